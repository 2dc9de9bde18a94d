//! A recorder of what threads do about GILs (SPEC G5).

mod chrome;
mod ring;
mod svg;
mod timeline;

pub use timeline::{Activity, Span, Switch, Timeline};

use core::{
    cell::RefCell,
    sync::atomic::{AtomicU64, Ordering},
};
use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Instant,
};

use archipelago_kernel::{
    self as kernel, Host,
    observe::{Event, Observer, ObserverNode, Veto},
};

use ring::Ring;

/// Records for every thread when it waited for a GIL, when it held one, and when one went from one thread state to
/// another. Each thread of the operating system has a ring of its own, of which the oldest events are lost, and counted.
///
/// ```
/// use archipelago::{InterpreterConfig, Recorder, Runtime};
///
/// let runtime = Runtime::new()?;
/// let recorder = Recorder::of(&runtime, 10_000);
/// let mut state = runtime.create(&InterpreterConfig::isolated(), None)?;
/// state.attach(|cx| cx.detach(|| ()))?;
///
/// let timeline = recorder.timeline();
/// assert_eq!((timeline.spans().len(), timeline.lost()), (2, 0));
/// let mut file = Vec::new(); // a `.json` file, for <https://ui.perfetto.dev>
/// timeline.write_chrome(&mut file, &|interpreter| format!("interpreter {}", interpreter.number()))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// An event costs two looks at a thread-local, one at the clock, and a lock that nobody else wants. What a thread did stays
/// when it ends: half a KiB at least for each thread there ever was.
#[derive(Clone)]
pub struct Recorder(Arc<Record>);

/// What a recorder and the node in the runtime's list share.
struct Record {
    number: u64,
    begun: Instant,
    events_per_thread: usize,
    rings: Mutex<Vec<Arc<Ring>>>,
}

static RECORDS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// This thread's ring in each record that is still there.
    static RINGS: RefCell<Vec<(u64, Weak<Ring>)>> = const { RefCell::new(Vec::new()) };
}

impl Recorder {
    /// Records what happens in `runtime` from now on, for each thread at most so many events.
    ///
    /// The runtime tells it for ever ([`watch`](kernel::Runtime::watch)), also where this value is gone: what it keeps of a
    /// recorder is a few words then.
    pub fn of<H: Host>(runtime: &kernel::Runtime<H>, events_per_thread: usize) -> Self {
        let record = Arc::new(Record {
            number: RECORDS.fetch_add(1, Ordering::Relaxed),
            begun: Instant::now(),
            events_per_thread,
            rings: Mutex::default(),
        });
        let watcher: &'static Watcher = Box::leak(Box::new(Watcher(Arc::downgrade(&record))));
        // A new node is in no list.
        let _added = runtime.watch(Box::leak(Box::new(ObserverNode::new(watcher))));
        Recorder(record)
    }

    /// What was recorded so far.
    pub fn timeline(&self) -> Timeline {
        let rings = self.0.rings.lock().unwrap_or_else(PoisonError::into_inner);
        Timeline::new(rings.iter().map(|ring| ring.look()), self.0.begun.elapsed())
    }
}

struct Watcher(Weak<Record>);

impl Observer for Watcher {
    fn event(&self, event: &Event<'_>) -> Result<(), Veto> {
        if let (Event::Gil(event), Some(record)) = (event, self.0.upgrade()) {
            let at = record.begun.elapsed();
            record.with_ring(|ring| ring.push(at, *event, record.events_per_thread));
        }
        Ok(())
    }
}

impl Record {
    /// Runs `f` with the ring of this thread. A thread that ends has none any more, and is not recorded.
    fn with_ring(&self, f: impl FnOnce(&Ring)) {
        let _ended = RINGS.try_with(|rings| {
            let mut rings = rings.borrow_mut();
            let known = rings.iter().find(|(number, _)| *number == self.number);
            let ring = known.and_then(|(_, ring)| ring.upgrade()).unwrap_or_else(|| {
                // Those of recorders that are gone.
                rings.retain(|(_, ring)| ring.strong_count() > 0);
                let ring = Arc::new(Ring::of_this_thread());
                rings.push((self.number, Arc::downgrade(&ring)));
                self.rings.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&ring));
                ring
            });
            f(&ring);
        });
    }
}
