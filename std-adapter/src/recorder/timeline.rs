//! What the events of all threads amount to.

use core::time::Duration;
use std::{collections::HashMap, io, io::Write};

use archipelago_kernel::{
    InterpreterId,
    observe::{GilChange, GilEvent},
    thread::Current,
};

use super::{chrome, ring::Look, svg};

/// What a thread does about a GIL for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activity {
    /// It waits for it.
    Waits,
    /// It holds it.
    Holds,
}

/// One activity of one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The thread of the operating system: its place in [`Timeline::threads`].
    pub thread: usize,
    /// What it does.
    pub activity: Activity,
    /// Through this thread state.
    pub of: Current,
    /// The GIL, numbered as they were first seen.
    pub gil: usize,
    /// Since the recording began.
    pub from: Duration,
    /// As long after that; of one that is not over, the time of the look.
    pub to: Duration,
}

/// A GIL went to another thread state than had it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch {
    /// As of a [`Span`].
    pub thread: usize,
    /// Who has it now.
    pub of: Current,
    /// As of a [`Span`].
    pub gil: usize,
    /// Since the recording began.
    pub at: Duration,
}

/// What a [`Recorder`](crate::Recorder) has recorded at a time.
#[derive(Debug, Clone)]
pub struct Timeline {
    threads: Vec<String>,
    spans: Vec<Span>,
    switches: Vec<Switch>,
    lost: u64,
    length: Duration,
}

impl Timeline {
    pub(super) fn new(rings: impl Iterator<Item = Look>, length: Duration) -> Self {
        let mut timeline =
            Timeline { threads: Vec::new(), spans: Vec::new(), switches: Vec::new(), lost: 0, length };
        let mut gils = HashMap::new();
        let mut came = Vec::new();
        for (thread, look) in rings.enumerate() {
            timeline.threads.push(look.thread.unwrap_or_else(|| format!("thread {}", thread + 1)));
            timeline.lost += look.lost;
            let mut open: Option<Span> = None;
            for (at, event) in look.events {
                let seen = gils.len();
                let gil = *gils.entry(event.gil).or_insert(seen);
                // Whatever a thread does next, it does no longer what it did: also where the end of it was lost.
                timeline.spans.extend(open.take().map(|span| Span { to: at.max(span.from), ..span }));
                let begins = |activity| Some(Span { thread, activity, of: event.of, gil, from: at, to: at });
                open = match event.change {
                    GilChange::Waiting => begins(Activity::Waits),
                    GilChange::Attached => {
                        came.push((at, thread, gil, event));
                        begins(Activity::Holds)
                    }
                    _ => None,
                };
            }
            let end = |span: Span| Span { to: length.max(span.from), ..span };
            timeline.spans.extend(open.map(end));
        }
        timeline.find_switches(came);
        timeline
    }

    /// Who came after whom is known by the number of switches: those of one GIL were told in their order.
    fn find_switches(&mut self, mut came: Vec<(Duration, usize, usize, GilEvent)>) {
        came.sort_by_key(|(at, ..)| *at);
        let mut last: HashMap<usize, GilEvent> = HashMap::new();
        for (at, thread, gil, event) in came {
            let switched = match last.insert(gil, event) {
                // The memory of a GIL may be that of the next interpreter's.
                Some(before) if event.switches == 1 => {
                    before.switches != 1 || before.of.interpreter != event.of.interpreter
                }
                Some(before) => before.switches != event.switches,
                // Before the first that is known there may have been others.
                None => event.switches == 1,
            };
            if switched {
                self.switches.push(Switch { thread, of: event.of, gil, at });
            }
        }
    }

    /// The threads that were seen, by their names or numbers, in the order they came.
    pub fn threads(&self) -> &[String] {
        &self.threads
    }

    /// What they did: those of one thread in their order, one after the other.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// When GILs changed hands, in their order.
    pub fn switches(&self) -> &[Switch] {
        &self.switches
    }

    /// Events that are not in it, for they were the oldest of threads that had too many.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// From the beginning of the recording to the look.
    pub fn length(&self) -> Duration {
        self.length
    }

    /// Writes it in Chrome's trace event format, which [Perfetto](https://ui.perfetto.dev) opens: a row for each thread.
    /// `name` says what an interpreter is called.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_chrome(
        &self,
        out: &mut dyn Write,
        name: &dyn Fn(InterpreterId) -> String,
    ) -> io::Result<()> {
        chrome::write(self, out, name)
    }

    /// Draws it, a row for each thread, a colour for each interpreter. What is too short to be seen is drawn as if it
    /// belonged to what comes before it. `name` says what an interpreter is called.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_svg(&self, out: &mut dyn Write, name: &dyn Fn(InterpreterId) -> String) -> io::Result<()> {
        svg::write(self, out, name)
    }
}
