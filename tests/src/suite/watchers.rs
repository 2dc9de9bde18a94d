//! Watchers: what they are told of GILs (SPEC G5).

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    thread,
};

use archipelago_kernel::{
    Runtime,
    config::{GilChoice, InterpreterConfig},
    error::AttachError,
    interpreter::Whence,
    observe::{
        Event,
        GilChange::{self, Attached, Detached, GaveWay, Waiting},
        GilEvent, Observer, ObserverNode, Veto,
    },
    raw,
    thread::Current,
};

use crate::{
    TestHost,
    support::{Scribe, Told, create, forever, scaled, until},
};

/// Writes down what it is told.
#[derive(Default)]
struct Watch(Mutex<Vec<GilEvent>>);

impl Watch {
    fn of<H: TestHost>(rt: &Runtime<H>) -> &'static Watch {
        let watch = forever(Watch::default());
        assert!(rt.watch(forever(ObserverNode::new(watch))));
        watch
    }

    fn events(&self) -> Vec<GilEvent> {
        core::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What happened, and to which thread state.
    fn told(&self) -> Vec<(GilChange, u64)> {
        self.events().into_iter().map(|event| (event.change, event.of.thread)).collect()
    }
}

impl Observer for Watch {
    fn event(&self, event: &Event<'_>) -> Result<(), Veto> {
        let Event::Gil(event) = event else { panic!("{event:?} is for observers") };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(*event);
        // There is nothing to veto.
        Err(Veto)
    }
}

/// SPEC: G5, R5
pub fn every_way_in_and_out_is_told<H: TestHost>() {
    let rt = H::started();
    let (watch, scribe) = (Watch::of(&rt), Scribe::of(&rt));
    let config = InterpreterConfig::isolated();
    let shared = config.with_gil(GilChoice::Shared);
    let mut first = rt.create(&config, None).unwrap();
    let [mut same, mut own] = [config, config].map(|_| rt.thread_state(first.interpreter()).unwrap());
    let [mut one, mut other] = [shared, shared].map(|config| rt.create(&config, None).unwrap());
    assert_eq!(watch.told(), [], "nothing of a GIL is needed for that");
    let [a, b] = [first.id(), same.id()];
    first.attach(|cx| cx.detach(|| ())).unwrap();
    assert_eq!(watch.told(), [(Attached, a), (Detached, a), (Attached, a), (Detached, a)]);
    first.attach(|cx| cx.enter(&mut same, |cx| cx.detach(|| ())).unwrap()).unwrap();
    let told = watch.told();
    let inner = [(Attached, b), (Detached, b), (Attached, b), (Detached, b)];
    let expected = [&[(Attached, a), (Detached, a)][..], &inner, &[(Attached, a), (Detached, a)]].concat();
    assert_eq!(told, expected, "the lock was kept, the thread state was another");
    let names = [&one, &other].map(|state| Current { interpreter: state.interpreter(), thread: state.id() });
    one.attach(|cx| cx.enter(&mut other, |_| ()).unwrap()).unwrap();
    let events = watch.events();
    assert!(events.windows(2).all(|two| two[0].gil == two[1].gil), "{events:?}");
    let of: Vec<_> = events.iter().map(|event| event.of).collect();
    assert_eq!(of, [names[0], names[0], names[1], names[1], names[0], names[0]]);
    one.attach(|cx| cx.enter(&mut own, |_| ()).unwrap()).unwrap();
    let events = watch.events();
    assert_eq!(events.len(), 6);
    assert_ne!(events[1].gil, events[2].gil, "this one has its own");
    assert!(!scribe.take().contains(&Told::Other), "observers are told of none of it");
    // A thread state of its own, and of the end's.
    rt.ensure(first.interpreter(), |_| ()).unwrap();
    assert_eq!(watch.told().len(), 2);
    rt.end(first.interpreter(), None).unwrap();
    assert_eq!(watch.told().iter().map(|told| told.0).collect::<Vec<_>>(), [Attached, Detached]);
}

/// SPEC: G5, G3
pub fn a_waiter_and_a_switch_are_told<H: TestHost>() {
    let rt = H::started();
    let watch = Watch::of(&rt);
    let id = create(&rt, &InterpreterConfig::isolated());
    let gil = || rt.interpreter(id).unwrap().gil().unwrap();
    let mut state = rt.thread_state(id).unwrap();
    let (mine, other) = (state.id(), state.id() + 1);
    thread::scope(|s| {
        state
            .attach(|cx| {
                s.spawn(|| rt.ensure(id, |_| ()).unwrap());
                until("it waits", || gil().waiters == 1);
                until("it was let in", || cx.safepoint().is_ok() && gil().switches == 3);
            })
            .unwrap();
    });
    let mut events = watch.events();
    // The holder may find the other still there, and has to wait.
    events.retain(|event| (event.change, event.of.thread) != (Waiting, mine));
    // Who lets go later may have been asked too: by the holder that waits to have it back, or for it, late.
    let late = |event: &&mut GilEvent| event.change == GaveWay && event.switches > 1;
    events.iter_mut().filter(late).for_each(|event| event.change = Detached);
    let told: Vec<_> = events.iter().map(|event| (event.change, event.of.thread, event.switches)).collect();
    assert_eq!(
        told,
        [
            (Attached, mine, 1),
            (Waiting, other, 1),
            (GaveWay, mine, 1),
            (Attached, other, 2),
            (Detached, other, 2),
            (Attached, mine, 3),
            (Detached, mine, 3),
        ]
    );
}

/// SPEC: G5, T2, T3
#[allow(unsafe_code)]
pub fn raw_attaches_are_told<H: TestHost>() {
    let rt = H::started();
    let watch = Watch::of(&rt);
    let main = rt.main().unwrap();
    let other = create(&rt, &InterpreterConfig::isolated());
    // SAFETY: [R1] of the layer: the runtime outlives its raw attaches and does not move, each name was made by it, and what
    // was attached is detached in reverse order.
    let numbers = unsafe {
        let [a, b] = [0; 2].map(|_| raw::thread_new(&rt, main).unwrap());
        let c = raw::thread_new(&rt, other).unwrap();
        raw::attach(&rt, a).unwrap();
        for next in [b, c, a] {
            raw::swap(&rt, Some(next)).unwrap();
        }
        raw::detach(&rt).unwrap();
        [a, b, c].map(|state| state.id(&rt).unwrap())
    };
    let [a, b, c] = numbers;
    let told: Vec<_> = [a, b, c, a].iter().flat_map(|of| [(Attached, *of), (Detached, *of)]).collect();
    assert_eq!(watch.told(), told);
}

/// SPEC: G5
pub fn the_changes_of_a_gil_are_told_in_their_order<H: TestHost>() {
    let rt = H::started();
    let watch = Watch::of(&rt);
    let ids = [InterpreterConfig::isolated(), InterpreterConfig::legacy(), InterpreterConfig::legacy()]
        .map(|config| create(&rt, &config));
    thread::scope(|s| {
        for n in 0..scaled(6, 3) {
            let (rt, id) = (&rt, ids[n % 3]);
            s.spawn(move || {
                let mut state = rt.thread_state(id).unwrap();
                state
                    .attach(|cx| {
                        for _ in 0..scaled(50, 4) {
                            cx.detach(|| ());
                            cx.safepoint().unwrap();
                        }
                    })
                    .unwrap();
            });
        }
    });
    let mut holders = HashMap::new();
    let mut switches = HashMap::new();
    let mut seen = HashMap::new();
    for event in watch.events() {
        match event.change {
            Attached => {
                assert_eq!(holders.insert(event.gil, event.of), None, "{event:?}");
                let before = seen.insert(event.gil, event.switches);
                *switches.entry(event.of.interpreter).or_insert(0) +=
                    usize::from(before != Some(event.switches));
            }
            Detached | GaveWay => assert_eq!(holders.remove(&event.gil), Some(event.of), "{event:?}"),
            _ => {}
        }
    }
    assert_eq!(holders.len(), 0, "all let go");
    for id in ids {
        let counted = rt.interpreter(id).unwrap().stats().unwrap().switches;
        assert_eq!(switches.get(&id).copied().unwrap_or(0), counted, "{id:?}");
    }
}

/// SPEC: G5, R5
pub fn a_watcher_stays_and_has_one_place<H: TestHost>() {
    let rt = H::fresh();
    let watch = forever(Watch::default());
    let node = forever(ObserverNode::new(watch));
    assert!(rt.watch(node));
    assert!(!rt.watch(node) && !rt.observe(node), "it stands in a list");
    let second = Watch::of(&rt);
    for _ in 0..2 {
        let main = rt.initialize(None).unwrap().main();
        rt.ensure(main, |_| ()).unwrap();
        let told = watch.told();
        assert_eq!(told.len(), 2);
        assert_eq!(second.told(), told);
        let sub = rt.create_as(&InterpreterConfig::isolated(), None, Whence::CApi).unwrap();
        drop(sub);
        rt.finalize(None).unwrap();
        assert_eq!(second.told().len(), watch.told().len());
    }
}

/// Who had the GIL and may not be attached was there, and is told of.
///
/// SPEC: G5, C7
pub fn who_is_refused_came_and_went<H: TestHost>() {
    let rt = H::started();
    let bound = InterpreterConfig::isolated().with_bound_to_thread(true);
    let mut state = rt.create(&bound, None).unwrap();
    state.attach(|_| ()).unwrap();
    let watch = Watch::of(&rt);
    let bound = state.interpreter();
    let refused = || {
        let mut other = rt.thread_state(bound).unwrap();
        assert_eq!(other.attach(|_| ()), Err(AttachError::WrongThread));
        other.id()
    };
    let other = thread::scope(|s| s.spawn(refused).join().unwrap());
    assert_eq!(watch.told(), [(Attached, other), (Detached, other)]);
}
