//! The end of an interpreter with a hundred daemon threads (SPEC T7, L10).

use core::{
    hint::black_box,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};
use std::{sync::Arc, thread, time::Instant};

use archipelago::{
    Attached, InterpreterConfig, Runtime,
    kernel::{error::Interrupt, host::Wake},
};

use crate::{
    Trouble,
    contend::{microsecond, work},
    figure::{Figure, Goal, Peer},
    measure::turns,
};

pub(super) const FIGURES: &[Figure] = &[Figure {
    name: "end/daemons",
    what: "an interpreter ended with 100 daemon threads: 25 waiting for the GIL, 25 in waits, 50 computing; all are told",
    unit: "ms",
    goal: Goal::AtMost(50.0),
    peer: Peer::None,
    measure: |effort| turns(effort, end),
}];

const WAITING: usize = 25;
const BLOCKED: usize = 25;
const COMPUTING: usize = 50;

/// Ends a blocked wait.
struct Bell {
    thread: thread::Thread,
    rung: AtomicBool,
}

impl Wake for Bell {
    fn wake(&self) {
        self.rung.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// What a daemon does until it is told: the answer is what it was told.
type Daemon = for<'i> fn(&mut Attached<'i>) -> Interrupt;

fn waits_for_the_gil(cx: &mut Attached<'_>) -> Interrupt {
    loop {
        cx.detach(|| ());
        if let Err(told) = cx.safepoint() {
            return told;
        }
    }
}

fn blocks(cx: &mut Attached<'_>) -> Interrupt {
    let bell = Bell { thread: thread::current(), rung: AtomicBool::new(false) };
    loop {
        let block = || {
            while !bell.rung.swap(false, Ordering::Acquire) {
                thread::park();
            }
        };
        if let Err(told) = cx.wait(&bell, block).and_then(|()| cx.safepoint()) {
            return told;
        }
    }
}

fn computes(cx: &mut Attached<'_>) -> Interrupt {
    let step = microsecond();
    loop {
        black_box(work(step));
        if let Err(told) = cx.safepoint() {
            return told;
        }
    }
}

/// Milliseconds until the end is through.
fn end() -> Result<f64, Trouble> {
    let rt = Runtime::new()?;
    let config = InterpreterConfig::isolated().with_allow_daemon_threads(true);
    let id = rt.create(&config, None)?.interpreter();
    let begun = Arc::new(AtomicUsize::new(0));
    let kinds: [(usize, Daemon); 3] =
        [(WAITING, waits_for_the_gil), (BLOCKED, blocks), (COMPUTING, computes)];
    let mut daemons = Vec::new();
    for (count, daemon) in kinds {
        for _ in 0..count {
            let begun = begun.clone();
            daemons.push(rt.spawn_daemon(id, move |cx| {
                begun.fetch_add(1, Ordering::Relaxed);
                daemon(cx)
            })?);
        }
    }
    while begun.load(Ordering::Relaxed) < daemons.len() {
        thread::sleep(Duration::from_millis(1));
    }
    let start = Instant::now();
    rt.end(id, None)?;
    let took = start.elapsed().as_secs_f64() * 1e3;
    for daemon in daemons {
        match daemon.join()? {
            Interrupt::Finalizing => {}
            other => return Err(format!("a daemon was told {other:?}").into()),
        }
    }
    Ok(took)
}
