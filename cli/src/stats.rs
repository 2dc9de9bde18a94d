//! `--stats`: one line per interpreter, totals, and the memory of the process.

use core::{fmt::Write, time::Duration};
use std::{fs, path::Path};

use crate::{job::Outcome, status::Status};

/// So many interpreters get a line each; the rest is in the totals.
const MOST_ROWS: usize = 100;

/// Resident memory of the process, if the operating system tells.
#[derive(Debug, Clone, Copy)]
pub struct Resident {
    now_kib: Option<u64>,
    peak_kib: Option<u64>,
}

/// Asks for the resident memory.
pub fn resident() -> Resident {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    Resident { now_kib: field("VmRSS:"), peak_kib: field("VmHWM:") }
}

/// What the interpreters used.
#[derive(Default)]
pub struct Table {
    rows: Vec<(usize, String)>,
    count: usize,
    by_status: [usize; Status::ALL.len()],
    waited: Duration,
    waits: usize,
    switches: usize,
    fuel: u64,
    peak: usize,
}

impl Table {
    /// Takes up one interpreter.
    pub fn add(&mut self, outcome: &Outcome, path: &Path) {
        let status = outcome.failure.as_ref().map_or(Status::Success, |failure| failure.status);
        self.count += 1;
        for ((known, _), count) in Status::ALL.iter().zip(&mut self.by_status) {
            *count += usize::from(*known == status);
        }
        self.waited += outcome.waited;
        self.waits = self.waits.wrapping_add(outcome.waits);
        self.switches = self.switches.wrapping_add(outcome.switches);
        self.fuel = self.fuel.saturating_add(outcome.fuel);
        self.peak = self.peak.max(outcome.peak);
        if outcome.number <= MOST_ROWS {
            let Outcome { number, wall, waited, waits, switches, fuel, peak, peaks, .. } = outcome;
            let [raw, mem, object] = peaks;
            let (wall, waited, exit) = (milliseconds(*wall), milliseconds(*waited), status.word());
            let row = format!(
                "{number:>11} {wall:>12.3} {waited:>12.3} {waits:>8} {switches:>8} {fuel:>13} {peak:>12} {raw:>12} {mem:>10} {object:>10}  {exit:<14} {}\n",
                path.display()
            );
            self.rows.push((*number, row));
        }
    }

    /// The table.
    pub fn text(&self, wall: Duration, unclean: usize, before: Resident, after: Resident) -> String {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|(number, _)| *number);
        let mut text = format!(
            "{:>11} {:>12} {:>12} {:>8} {:>8} {:>13} {:>12} {:>12} {:>10} {:>10}  {:<14} {}\n",
            "interpreter",
            "wall ms",
            "GIL wait ms",
            "waits",
            "switches",
            "fuel",
            "peak bytes",
            "raw",
            "mem",
            "object",
            "exit",
            "program"
        );
        text.extend(rows.iter().map(|(_, row)| row.as_str()));
        // Writing to a string cannot fail.
        if self.count > rows.len() {
            let _ = writeln!(text, "{:>11} {} more", "…", self.count - rows.len());
        }
        let _ = write!(text, "total: {} interpreters", self.count);
        for ((status, _), count) in Status::ALL.iter().zip(self.by_status).filter(|(_, count)| *count > 0) {
            let _ = write!(text, ", {count} {}", status.word());
        }
        let _ = writeln!(
            text,
            "; wall {:.3} ms, GIL wait {:.3} ms, waits {}, switches {}, fuel {}, highest peak {} bytes",
            milliseconds(wall),
            milliseconds(self.waited),
            self.waits,
            self.switches,
            self.fuel,
            self.peak
        );
        if let (Some(before), Some(after), Some(peak)) = (before.now_kib, after.now_kib, after.peak_kib) {
            let _ =
                writeln!(text, "memory: resident {before} KiB before, {after} KiB after, {peak} KiB at most");
        }
        let _ = match unclean {
            0 => writeln!(text, "ledgers: all clean"),
            _ => writeln!(text, "ledgers: {unclean} not clean"),
        };
        text
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
