//! Numbers for tests that try things in any order.

/// Numbers that look random and are the same every time (xorshift).
pub struct Dice(u64);

impl Dice {
    /// Other numbers for each seed.
    pub fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1))
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// One of so many.
    pub fn below(&mut self, end: usize) -> usize {
        (self.number() >> 16) as usize % end
    }
}
