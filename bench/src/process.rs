//! What the operating system says of this process.

use core::time::Duration;
use std::fs;

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

use crate::Trouble;

/// Resident memory of this process, in bytes.
///
/// # Errors
/// Where there is no `/proc`.
pub fn resident() -> Result<u64, Trouble> {
    status("VmRSS")
}

fn status(field: &str) -> Result<u64, Trouble> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line =
        status.lines().find_map(|line| line.strip_prefix(field)).ok_or("a field is missing in /proc")?;
    let kilobytes: u64 = line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024)
}

/// The most memory of this process that was resident at a time, in bytes, since [`forget_peak`].
///
/// # Errors
/// Where there is no `/proc`.
pub fn peak() -> Result<u64, Trouble> {
    status("VmHWM")
}

/// From here on the [`peak`] is measured anew.
///
/// # Errors
/// Where there is no `/proc`, or it is not writable.
pub fn forget_peak() -> Result<(), Trouble> {
    Ok(fs::write("/proc/self/clear_refs", "5")?)
}

/// Asks the C library to return what is free to the operating system: it keeps what lies below something live.
#[allow(unsafe_code)]
pub fn return_free_memory() {
    #[cfg(target_env = "gnu")]
    {
        unsafe extern "C" {
            safe fn malloc_trim(pad: usize) -> i32;
        }
        // Whether there was anything to return is not asked.
        let _some = malloc_trim(0);
    }
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

/// This thread stays on the processor it is on. Dropped, it may go where it could before.
pub struct Pinned(Option<CpuSet>);

/// Keeps this thread on one processor: its caches and clock are that one's. Threads that it makes meanwhile stay there too.
/// Where the system does not let it, it goes where it is sent.
pub fn pin() -> Pinned {
    let before = sched_getaffinity(None).ok();
    let mut one = CpuSet::new();
    one.set(sched_getcpu());
    Pinned(before.filter(|_| sched_setaffinity(None, &one).is_ok()))
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // It could be there before.
            let _ = sched_setaffinity(None, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_passes_where_work_is_done() {
        let before = processor_time().unwrap();
        // On a busy machine a tick takes its time.
        while processor_time().unwrap() == before {}
        let used = processor_time().unwrap() - before;
        // Another test may use as much.
        assert!(used > Duration::ZERO && used < Duration::from_secs(1000), "{used:?}");
    }

    #[test]
    fn a_thread_is_pinned_for_a_while() {
        let before = sched_getaffinity(None).unwrap();
        let pinned = pin();
        assert_eq!(sched_getaffinity(None).unwrap().count(), 1);
        drop(pinned);
        assert_eq!(sched_getaffinity(None).unwrap(), before);
    }

    #[test]
    fn a_process_has_memory() {
        assert!(resident().unwrap() > 100_000);
    }
}
