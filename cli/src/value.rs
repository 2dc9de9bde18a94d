//! Sizes, durations and counts as they are written on the command line.

use core::time::Duration;

/// A size in bytes: a number, alone or with `KiB`, `MiB` or `GiB`.
pub fn size(text: &str) -> Option<usize> {
    let (number, unit) = split(text);
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(1 << shift)
}

/// A duration: a number, with or without a fraction, and a unit.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text);
    let nanoseconds: u64 = match unit {
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let mut total = u128::from(whole.parse::<u64>().ok()?) * u128::from(nanoseconds);
    let mut place = nanoseconds;
    for digit in fraction.chars() {
        place /= 10;
        total += u128::from(digit.to_digit(10)?) * u128::from(place);
    }
    let seconds = u64::try_from(total / 1_000_000_000).ok()?;
    Some(Duration::new(seconds, (total % 1_000_000_000) as u32))
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
    fn sizes() {
        assert_eq!(size("4096"), Some(4096));
        assert_eq!(size("64KiB"), Some(64 << 10));
        assert_eq!(size("3 MiB"), Some(3 << 20));
        assert_eq!(size("2GiB"), Some(2 << 30));
        for bad in ["", "MiB", "1.5MiB", "64kb", "-1", "99999999999999GiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration("10s"), Some(Duration::from_secs(10)));
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("1.5h"), Some(Duration::from_secs(5400)));
        assert_eq!(duration("0.25m"), Some(Duration::from_secs(15)));
        assert_eq!(duration("7us"), Some(Duration::from_micros(7)));
        for bad in ["", "10", "s", "-1s", "1..5s", "1.x5s", "5 parsecs", "99999999999999999999s"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
