//! What the operating system says of this process.

use core::time::Duration;
use std::fs;

use crate::Trouble;

/// Resident memory of this process, in bytes.
///
/// # Errors
/// Where there is no `/proc`.
pub fn resident() -> Result<u64, Trouble> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024)
}

/// Processor time that this process used, all threads together, to a hundredth of a second.
///
/// # Errors
/// Where there is no `/proc`.
pub fn processor_time() -> Result<Duration, Trouble> {
    // Of Linux, whatever the kernel's own clock does.
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The second field is a name in parentheses, which may contain anything.
    let fields = stat.rsplit_once(')').ok_or("no name in /proc/self/stat")?.1;
    let mut ticks = fields.split_whitespace().skip(11);
    let mut next = || ticks.next().ok_or("too few fields in /proc/self/stat");
    let (user, system): (u32, u32) = (next()?.parse()?, next()?.parse()?);
    Ok(TICK * (user + system))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_passes_where_work_is_done() {
        let (before, start) = (processor_time().unwrap(), std::time::Instant::now());
        while start.elapsed() < Duration::from_millis(100) {}
        let used = processor_time().unwrap() - before;
        // Another test may use as much, a busy machine may leave less.
        assert!(used > Duration::ZERO && used < Duration::from_secs(10), "{used:?}");
    }

    #[test]
    fn a_process_has_memory() {
        assert!(resident().unwrap() > 100_000);
    }
}
