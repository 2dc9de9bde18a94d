//! Group d: the registry.

use core::sync::atomic::Ordering::Relaxed;

use archipelago_kernel::{
    config::InterpreterConfig,
    error::{LookupError, ThreadError},
    interpreter::InterpreterId,
    observe::{Event, Observer, ObserverNode, Veto},
};
use archipelago_loom_tests::{LoomRuntime, model, own_gil, shared_gil};
use loom::thread;

fn listed(rt: LoomRuntime) -> Vec<InterpreterId> {
    let mut names = [rt.main().unwrap(); 4];
    let count = rt.list(&mut names).unwrap();
    names[..count].to_vec()
}

/// Model 7: two creators get different names, and the list has both in the order of their numbers.
#[test]
fn two_creators() {
    model("registry::two_creators", |rt| {
        let _ = rt.initialize(None).unwrap();
        let thread = thread::spawn(move || own_gil(rt).interpreter());
        let (mine, other) = (own_gil(rt).interpreter(), thread.join().unwrap());
        assert_ne!(mine, other);
        let names = listed(rt);
        assert_eq!(names.len(), 3);
        assert!(names.is_sorted());
        assert!(names.contains(&mine) && names.contains(&other));
        assert_eq!(rt.head().ok(), names.last().copied());
    });
}

/// Model 7: lists and look-ups against an end.
#[test]
fn lookup_against_end() {
    model("registry::lookup_against_end", |rt| {
        let main = rt.initialize(None).unwrap().main();
        let (first, last) = (own_gil(rt).interpreter(), own_gil(rt).interpreter());
        let thread = thread::spawn(move || rt.end(first, None).unwrap());
        let names = listed(rt);
        assert!(names == [main, first, last] || names == [main, last], "{names:?}");
        assert!(matches!(rt.next(last), Ok(Some(id)) if id == first || id == main));
        match rt.interpreter(first) {
            Ok(handle) => assert!(matches!(handle.threads(), Ok(0 | 1) | Err(LookupError::NotFound))),
            Err(error) => assert_eq!(error, LookupError::NotFound),
        }
        thread.join().unwrap();
        assert_eq!(listed(rt), [main, last]);
    });
}

/// Model 7: a number is never given twice, also when a slot is.
#[test]
fn end_against_create() {
    model("registry::end_against_create", |rt| {
        let main = rt.initialize(None).unwrap().main();
        let first = own_gil(rt).interpreter();
        let thread = thread::spawn(move || rt.end(first, None).unwrap());
        let second = rt.create(&InterpreterConfig::legacy(), None).unwrap().interpreter();
        thread.join().unwrap();
        assert!(second > first);
        assert_eq!(listed(rt), [main, second]);
        assert_eq!(rt.interpreter(first).err(), Some(LookupError::NotFound));
    });
}

/// Model 7: a thread state is made in a running interpreter or not at all.
#[test]
fn new_thread_state_against_end() {
    model("registry::new_thread_state_against_end", |rt| {
        let _ = rt.initialize(None).unwrap();
        let id = own_gil(rt).interpreter();
        let thread = thread::spawn(move || rt.end(id, None).unwrap());
        match rt.thread_state(id) {
            Ok(mut state) => {
                let _ = state.attach(|cx| assert_eq!(cx.id(), id));
            }
            Err(error) => assert!(matches!(error, ThreadError::NotFound | ThreadError::Finalizing)),
        }
        thread.join().unwrap();
        assert_eq!(rt.count(), Ok(1));
    });
}

/// Model 7: `ensure` on a foreign thread, against the end.
#[test]
fn ensure_against_end() {
    model("registry::ensure_against_end", |rt| {
        let _ = rt.initialize(None).unwrap();
        let id = own_gil(rt).interpreter();
        let thread = thread::spawn(move || {
            let _ = rt.ensure(id, |cx| assert_eq!(cx.id(), id));
        });
        rt.end(id, None).unwrap();
        thread.join().unwrap();
        assert_eq!(rt.count(), Ok(1));
    });
}

/// Model 7: two creators for whom the table of numbers has no room: one growth, and both are found.
#[test]
fn growth_with_two_creators() {
    model("registry::growth_with_two_creators", |rt| {
        let _ = rt.initialize(None).unwrap();
        // As many as the first table takes, main among them.
        let before: Vec<_> = (1..16).map(|_| shared_gil(rt).interpreter()).collect();
        let thread = thread::spawn(move || shared_gil(rt).interpreter());
        let (mine, other) = (shared_gil(rt).interpreter(), thread.join().unwrap());
        assert_eq!(rt.count(), Ok(18));
        for id in before.into_iter().chain([mine, other]) {
            assert_eq!(rt.id(id.number()), Ok(id));
        }
    });
}

/// Model 7: a table that grows, against a look-up and an end.
#[test]
fn growth_against_end() {
    model("registry::growth_against_end", |rt| {
        let main = rt.initialize(None).unwrap().main();
        let before: Vec<_> = (1..16).map(|_| shared_gil(rt).interpreter()).collect();
        let (first, last) = (before[0], before[14]);
        let thread = thread::spawn(move || {
            rt.end(first, None).unwrap();
            assert_eq!((rt.id(main.number()), rt.id(last.number())), (Ok(main), Ok(last)));
        });
        let new = shared_gil(rt).interpreter();
        thread.join().unwrap();
        assert_eq!((rt.id(new.number()), rt.id(first.number())), (Ok(new), Err(LookupError::NotFound)));
        assert_eq!(rt.count(), Ok(16));
    });
}

/// Told of each change of a GIL, counted.
struct Counts(std::sync::atomic::AtomicUsize);

impl Observer for Counts {
    fn event(&self, _: &Event<'_>) -> Result<(), Veto> {
        self.0.fetch_add(1, Relaxed);
        Ok(())
    }
}

/// A watcher: what it counted, and its node. They live for ever, as watchers do.
fn watcher() -> (&'static Counts, &'static ObserverNode) {
    let counts: &'static Counts = Box::leak(Box::new(Counts(Default::default())));
    (counts, Box::leak(Box::new(ObserverNode::new(counts))))
}

/// Model 7: of two that begin to watch at the same time none is lost, and who attaches meanwhile tells whole nodes.
#[test]
fn two_watchers_against_a_telling() {
    model("registry::two_watchers_against_a_telling", |rt| {
        let mut main = rt.thread_state(rt.initialize(None).unwrap().main()).unwrap();
        let ((first, node), (second, other)) = (watcher(), watcher());
        let thread = thread::spawn(move || assert!(rt.watch(node)));
        assert!(rt.watch(other));
        main.attach(|_| ()).unwrap();
        assert_eq!(second.0.load(Relaxed), 2, "it came and went");
        thread.join().unwrap();
        let before = [first, second].map(|counts| counts.0.load(Relaxed));
        main.attach(|_| ()).unwrap();
        assert_eq!([first, second].map(|counts| counts.0.load(Relaxed)), before.map(|before| before + 2));
        assert!(!rt.watch(node), "it is in the list already");
    });
}
