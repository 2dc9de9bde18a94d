//! Sizes, durations and counts as they are written on the command line.

use core::time::Duration;

use archipelago::{StdClock, kernel::host::Clock};

/// Why a text is no value of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// It is none.
    Form,
    /// It is one, and too large.
    TooLarge,
}

/// The longest time that can be asked for.
pub const LONGEST: Duration = StdClock::MAX;

/// A whole number above zero.
pub fn count(text: &str) -> Result<u64, Wrong> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Wrong::Form);
    }
    match text.parse() {
        Ok(0) => Err(Wrong::Form),
        Ok(count) => Ok(count),
        Err(_) => Err(Wrong::TooLarge),
    }
}

/// A whole number above zero that counts things.
pub fn natural(text: &str) -> Result<usize, Wrong> {
    count(text)?.try_into().map_err(|_| Wrong::TooLarge)
}

/// A size in bytes: a number above zero, alone or with `KiB`, `MiB` or `GiB`.
pub fn size(text: &str) -> Result<usize, Wrong> {
    let (number, unit) = split(text);
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(Wrong::Form),
    };
    natural(number)?.checked_mul(1 << shift).ok_or(Wrong::TooLarge)
}

/// A duration above zero: a number, with or without a fraction, and a unit.
pub fn duration(text: &str) -> Result<Duration, Wrong> {
    let (number, unit) = split(text);
    let nanoseconds: u64 = match unit {
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return Err(Wrong::Form),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return Err(Wrong::Form);
    }
    let whole: u64 = whole.parse().map_err(|_| Wrong::TooLarge)?;
    let mut total = u128::from(whole) * u128::from(nanoseconds);
    let mut place = nanoseconds;
    for digit in fraction.bytes() {
        place /= 10;
        total += u128::from(digit - b'0') * u128::from(place);
    }
    match total {
        0 => Err(Wrong::Form),
        _ if total > LONGEST.as_nanos() => Err(Wrong::TooLarge),
        _ => Ok(Duration::new((total / 1_000_000_000) as u64, (total % 1_000_000_000) as u32)),
    }
}

/// A number and the unit behind it.
fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        assert_eq!(count("1"), Ok(1));
        assert_eq!(count("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(count("18446744073709551616"), Err(Wrong::TooLarge));
        for bad in ["", "0", "00", "-1", "+1", "1.5", "x"] {
            assert_eq!(count(bad), Err(Wrong::Form), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("64KiB"), Ok(64 << 10));
        assert_eq!(size("3 MiB"), Ok(3 << 20));
        assert_eq!(size("2GiB"), Ok(2 << 30));
        assert_eq!(size("99999999999999GiB"), Err(Wrong::TooLarge));
        assert_eq!(size("99999999999999999999"), Err(Wrong::TooLarge));
        for bad in ["", "0", "0MiB", "MiB", "1.5MiB", "64kb", "-1"] {
            assert_eq!(size(bad), Err(Wrong::Form), "{bad}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("0.25m"), Ok(Duration::from_secs(15)));
        assert_eq!(duration("7us"), Ok(Duration::from_micros(7)));
        assert_eq!(duration("876000h"), Ok(LONGEST));
        for long in ["876000.1h", "99999999999999999999s"] {
            assert_eq!(duration(long), Err(Wrong::TooLarge), "{long}");
        }
        for bad in ["", "0s", "0.0s", "10", "s", "-1s", "1..5s", "1.x5s", "5 parsecs"] {
            assert_eq!(duration(bad), Err(Wrong::Form), "{bad}");
        }
    }
}
