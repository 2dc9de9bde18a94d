//! What is said about the interpreters, and the status that follows from it.

use core::time::Duration;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Instant,
};

use archipelago::kernel::runtime::RuntimeLedger;
use archipelago_guest_wasm::{Stopped, WakeFd};

use crate::{
    failure::Failure,
    gil_trace::GilTrace,
    heap_trace::HeapTrace,
    job::Outcome,
    names::Names,
    plan::Plan,
    signals::Stop,
    stats::{Resident, Table},
    status::Status,
    stream::Stream,
};

/// So many failures get a line each; the rest is counted.
const MOST_LINES: usize = 100;

/// What is said about a program that was stopped waits at most so long for its reader.
const GRACE: Duration = Duration::from_millis(20);

/// Collects outcomes and tells failures as they come.
pub struct Report {
    paths: Vec<PathBuf>,
    count: usize,
    stderr: Arc<Stream>,
    stop: Arc<Stop>,
    begun: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    table: Table,
    lines: usize,
    unsaid: usize,
    /// By program: it was told already why it cannot be loaded.
    told: Vec<bool>,
    first: Option<(usize, Status)>,
    unclean: usize,
    /// A trace was not written.
    untraced: bool,
    /// Nobody reads standard error.
    stuck: bool,
}

impl Report {
    /// Nothing has happened yet.
    pub fn new(plan: &Plan, stderr: Arc<Stream>, stop: Arc<Stop>) -> Self {
        let paths: Vec<_> = plan.sources().iter().map(|source| source.path().to_owned()).collect();
        let state = State { told: vec![false; paths.len()], ..State::default() };
        Report { paths, count: plan.count(), stderr, stop, begun: Instant::now(), state: Mutex::new(state) }
    }

    /// Takes up what became of one interpreter.
    pub fn add(&self, outcome: Outcome) {
        let place = (outcome.number - 1) % self.paths.len();
        let failures: Vec<Failure> = {
            let mut state = self.state();
            let status = outcome.failure.as_ref().map(|failure| failure.status);
            if let Some(status) = status
                && state.first.is_none_or(|(number, _)| outcome.number < number)
            {
                state.first = Some((outcome.number, status));
            }
            state.unclean += usize::from(outcome.unclean.is_some());
            state.table.add(&outcome, &self.paths[place]);
            let told = !outcome.loaded && core::mem::replace(&mut state.told[place], true);
            let failures = outcome.failure.into_iter().filter(|_| !told).chain(outcome.unclean);
            failures.filter(|_| state.has_line()).collect()
        };
        for failure in failures {
            let status = failure.status;
            let stopped = matches!(status, Status::TimeOut | Status::Interrupted | Status::Terminated);
            let path = self.paths[place].display();
            let text = format!("{path}: {}: {}", status.word(), failure.text);
            match self.count {
                1 => self.say(&text, stopped),
                _ => self.say(&format!("[{}] {text}", outcome.number), stopped),
            }
        }
    }

    /// So many interpreters were never begun, because the command was told to stop.
    pub fn not_started(&self, count: usize) {
        let unsaid = self.state().unsaid;
        if unsaid > 0 {
            self.say(&format!("{unsaid} more failures; --stats counts them"), false);
        }
        if count > 0 {
            self.say(&format!("{count} interpreters were not started"), true);
        }
    }

    /// Takes up how the runtime ended.
    pub fn runtime(&self, ledger: &RuntimeLedger) {
        if !ledger.main.is_clean() {
            self.internal(&format!("the main interpreter: {}", Failure::unclean(&ledger.main).text));
        }
        if ledger.left_over > 0 {
            self.internal(&format!(
                "{} interpreters were left over, please report this bug",
                ledger.left_over
            ));
        }
    }

    /// Takes up a broken promise.
    pub fn internal(&self, what: &str) {
        self.state().unclean += 1;
        self.say(&format!("internal: {what}"), false);
    }

    /// Prints the table and the totals.
    pub fn stats(&self, before: Resident, after: Resident) {
        let text = {
            let state = self.state();
            state.table.text(self.begun.elapsed(), state.unclean, before, after)
        };
        self.put(text.into_bytes(), false);
    }

    /// Writes the heap trace to its file, and with `--stats` a table of it.
    pub fn heap_trace(&self, trace: &HeapTrace, plan: &Plan, names: &Names) {
        let lines = trace.lines(plan, names);
        if plan.options().stats {
            self.put(lines.table().into_bytes(), false);
        }
        if let Err(failure) = trace.write(&lines.folded()) {
            self.state().untraced = true;
            self.say(&failure.text, false);
        }
    }

    /// Writes the files of the recording.
    pub fn gil_trace(&self, trace: &GilTrace, plan: &Plan, names: &Names) {
        for failure in trace.write(plan, names) {
            self.state().untraced = true;
            self.say(&failure.text, false);
        }
    }

    /// Writes what a stopped program left of its last line, if its reader takes it soon.
    pub fn settle(&self, stream: &Stream) {
        let until = Instant::now() + GRACE;
        while stream.settle() > 0 && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The status of the command.
    pub fn status(&self) -> Status {
        let state = self.state();
        match (state.unclean, self.stop.asked(), state.first) {
            (1.., ..) => Status::Internal,
            (0, Some(signal), _) => signal,
            (0, None, Some((_, status))) => status,
            (0, None, None) if state.untraced => Status::Output,
            (0, None, None) => Status::Success,
        }
    }

    /// Says one line. `hasty`: about a program that was stopped, so that it must not wait long.
    fn say(&self, text: &str, hasty: bool) {
        self.put(format!("archipelago: {text}\n").into_bytes(), hasty);
    }

    fn put(&self, block: Vec<u8>, hasty: bool) {
        if !hasty {
            // Ends when it is written or the command is told to stop; an error leaves the status alone to tell.
            let _unsaid = self.stderr.put(block, self.stop.wake());
            return;
        }
        let Ok(wake) = WakeFd::new() else { return };
        wake.wake();
        let until = Instant::now() + GRACE;
        while let Err(Stopped::Woken) = self.stderr.put(block.clone(), &wake) {
            if self.state().stuck || Instant::now() >= until {
                self.state().stuck = true;
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is valid after every statement, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether one more failure gets a line.
    fn has_line(&mut self) -> bool {
        let has = self.lines < MOST_LINES;
        self.lines += usize::from(has);
        self.unsaid += usize::from(!has);
        has
    }
}
