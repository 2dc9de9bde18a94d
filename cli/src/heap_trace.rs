//! `--heap-trace`: the most bytes that were held, by interpreter, domain and call site.

use core::{cmp::Reverse, fmt::Write as _};
use std::{fs::File, io::Write as _, path::PathBuf};

use archipelago::{
    InterpreterId, StdHostOf, UsualHeap,
    kernel::memory::{Asker, Domain},
};
use archipelago_alloc_hooks::{Book, Frame, Row, Site, StdBook, Trace, Tracer};
use archipelago_guest_wasm::Instance;

use crate::{failure::Failure, names::Names, plan::Plan, sites};

/// So many sites get a line each in the table; the file has all of them.
const MOST_ROWS: usize = 100;

/// The host of interpreters whose memory is written down.
pub type TracedHost = StdHostOf<Trace<UsualHeap, Recorder>>;

const WHAT: &str = "the heap trace";

static BOOK: StdBook = StdBook::new();

/// Writes into the book of this process.
pub struct Recorder;

impl Tracer for Recorder {
    fn book() -> &'static dyn Book {
        &BOOK
    }

    fn site() -> Site {
        sites::here()
    }
}

/// A trace under way, and the file it goes to.
pub struct HeapTrace {
    path: PathBuf,
    file: File,
}

impl HeapTrace {
    /// A trace that goes to the file `path`, which is made now: before anything runs in vain.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(path: PathBuf) -> Result<Self, Failure> {
        match File::create(&path) {
            Ok(file) => Ok(HeapTrace { path, file }),
            Err(error) => Err(Failure::file(&path, WHAT, &error)),
        }
    }

    /// The interpreter holds, or held, this much at `step` that no heap gave it.
    pub fn charge(&self, interpreter: InterpreterId, step: &'static Frame, bytes: usize) {
        let asker = Asker::new(Domain::Raw, interpreter);
        let line = BOOK.add(Site(Some(step)), Some(asker), bytes);
        BOOK.sub(line, bytes);
    }

    /// What the interpreter was charged for its program. Memories and tables are wasmi's, not of a heap; the guest
    /// keeps their peaks, so that nothing has to be told while it runs.
    pub fn charges(&self, interpreter: InterpreterId, instance: &Instance) {
        for charge in instance.charges() {
            self.charge(interpreter, sites::of(charge.reason), charge.peak);
        }
    }

    /// What was written down so far.
    pub fn lines(&self, plan: &Plan, names: &Names) -> Lines {
        let mut lines = Vec::new();
        BOOK.each(&mut |row| lines.extend(Line::of(&row, plan, names)));
        lines.sort_by_key(|line| (line.number, line.domain, Reverse(line.bytes)));
        Lines(lines)
    }

    /// Writes `text` to the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, text: &str) -> Result<(), Failure> {
        (&self.file).write_all(text.as_bytes()).map_err(|error| Failure::file(&self.path, WHAT, &error))
    }
}

/// One site of one interpreter.
struct Line {
    number: usize,
    interpreter: String,
    domain: &'static str,
    /// From the outermost step inwards.
    steps: Vec<&'static str>,
    bytes: usize,
}

impl Line {
    fn of(row: &Row, plan: &Plan, names: &Names) -> Option<Self> {
        let asker = row.asker?;
        let (number, interpreter) = (names.number(asker.interpreter), names.of(asker.interpreter, plan));
        let domain = match asker.domain {
            Domain::Raw => "raw",
            Domain::Mem => "mem",
            Domain::Object => "object",
        };
        let mut steps: Vec<_> = row.site.frames().map(|frame| frame.name).collect();
        steps.reverse();
        if steps.is_empty() {
            steps.push("unknown");
        }
        Some(Line { number, interpreter, domain, steps, bytes: row.counts.peak_bytes })
    }
}

/// The sites of all interpreters, those of one beside each other.
pub struct Lines(Vec<Line>);

impl Lines {
    /// A line for each, as tools for flame graphs read it.
    pub fn folded(&self) -> String {
        let mut text = String::new();
        for line in &self.0 {
            // These would end a frame or the line.
            let interpreter = line.interpreter.replace(|c: char| c == ';' || c.is_control(), "?");
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{interpreter};{};{} {}", line.domain, line.steps.join(";"), line.bytes);
        }
        text
    }

    /// A table, the largest first.
    pub fn table(&self) -> String {
        let mut lines: Vec<_> = self.0.iter().collect();
        lines.sort_by_key(|line| Reverse(line.bytes));
        let mut text = format!("{:>12}  {:<6}  {:<24}  interpreter\n", "peak bytes", "domain", "site");
        // Writing to a string cannot fail.
        for line in lines.iter().take(MOST_ROWS) {
            let Line { interpreter, domain, steps, bytes, .. } = line;
            let _ = writeln!(text, "{bytes:>12}  {domain:<6}  {:<24}  {interpreter}", steps.join(" > "));
        }
        if lines.len() > MOST_ROWS {
            let _ = writeln!(text, "{:>12}  {} more", "…", lines.len() - MOST_ROWS);
        }
        text
    }
}
