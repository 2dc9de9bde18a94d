//! How a map finds its keys.

use core::hash::{Hash, Hasher};

use crate::{collections::Text, host::Host, thread::Attached};

/// What a map with keys `K` can be asked for: `K` itself, and for [`Text`] a `str`.
///
/// A wrong answer makes a map lose entries, and nothing worse.
pub trait Lookup<'i, K: ?Sized> {
    /// Feeds the hasher; equal keys feed it equally.
    fn feed<H: Host>(&self, cx: &Attached<'i, H>, hasher: &mut impl Hasher);

    /// Whether `key` is the one that is asked for.
    fn is<H: Host>(&self, cx: &Attached<'i, H>, key: &K) -> bool;
}

impl<K: Hash + Eq + ?Sized> Lookup<'_, K> for K {
    fn feed<H: Host>(&self, _: &Attached<'_, H>, hasher: &mut impl Hasher) {
        self.hash(hasher);
    }

    fn is<H: Host>(&self, _: &Attached<'_, H>, key: &K) -> bool {
        self == key
    }
}

impl<'i> Lookup<'i, Text<'i>> for str {
    fn feed<H: Host>(&self, _: &Attached<'i, H>, hasher: &mut impl Hasher) {
        self.hash(hasher);
    }

    fn is<H: Host>(&self, cx: &Attached<'i, H>, key: &Text<'i>) -> bool {
        self == key.as_str(cx)
    }
}

impl<'i> Lookup<'i, Text<'i>> for Text<'i> {
    fn feed<H: Host>(&self, cx: &Attached<'i, H>, hasher: &mut impl Hasher) {
        self.as_str(cx).hash(hasher);
    }

    fn is<H: Host>(&self, cx: &Attached<'i, H>, key: &Text<'i>) -> bool {
        self.as_str(cx) == key.as_str(cx)
    }
}

/// Fast and small: a rotation, an exclusive or and a multiplication for each word (as FxHash), and a last mix, because the
/// place in the table is taken from the low bits. It is no defence against keys that are chosen to collide.
pub(super) struct FoldHasher(usize);

/// Digits of the golden ratio, as many as a word has.
const FACTOR: usize = 0x9e37_79b9_7f4a_7c15_u64 as usize | 1;

impl FoldHasher {
    pub(super) fn new(seed: usize) -> Self {
        FoldHasher(seed)
    }

    fn word(&mut self, word: usize) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(FACTOR);
    }

    /// The hash, never zero.
    pub(super) fn hash(&self) -> u32 {
        let high = self.0 >> (usize::BITS / 2);
        let mixed = (self.0 ^ high).wrapping_mul(FACTOR);
        ((mixed >> (usize::BITS / 2)) as u32 ^ mixed as u32).max(1)
    }
}

impl Hasher for FoldHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(size_of::<usize>()) {
            let mut word = [0; size_of::<usize>()];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.word(usize::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.word(usize::from(n));
    }

    fn write_u32(&mut self, n: u32) {
        self.word(n as usize);
    }

    fn write_u64(&mut self, n: u64) {
        self.word(n as usize);
        if size_of::<usize>() < size_of::<u64>() {
            self.word((n >> 32) as usize);
        }
    }

    fn write_usize(&mut self, n: usize) {
        self.word(n);
    }

    fn finish(&self) -> u64 {
        self.0 as u64
    }
}
