//! A block of one interpreter that comes back through another one's token: heaps of their own, main's heap, and one heap
//! for all, in every combination (SPEC M7).
#![allow(missing_docs, unsafe_code)]

use core::{alloc::Layout, cell::RefCell, ptr::NonNull};

use archipelago_alloc_hooks::{
    BlockRegister, Debug, Frame, Misuse, MisuseKind, Quarantine, Register, Site, Watch,
};
use archipelago_alloc_shared::Shared;
use archipelago_alloc_slab::SmallHeap;
use archipelago_alloc_system::SystemRaw;
use archipelago_kernel::{
    Attached, Host, Runtime, ThreadState,
    config::{GilChoice, InterpreterConfig},
    host::{Heap, RawLock},
    memory::{Asker, Domain, Usage},
};
use archipelago_locks::SpinLock;
use archipelago_tests::{Machine, support::create};

std::thread_local! {
    static REPORTS: RefCell<Vec<Misuse>> = const { RefCell::new(Vec::new()) };
}

static REGISTER: BlockRegister<SpinLock> = BlockRegister::new(SpinLock::new_const());
static HERE: Frame = Frame::root("here");

/// Has a register.
struct Knowing;
/// Has none.
struct Unknowing;

macro_rules! watches {
    ($($watch:ident: $register:expr,)+) => { $(
        impl Watch for $watch {
            fn report(misuse: &Misuse) {
                REPORTS.with_borrow_mut(|reports| reports.push(*misuse));
            }

            fn site() -> Site {
                Site(Some(&HERE))
            }

            fn register() -> Option<&'static dyn Register> {
                $register
            }
        }
    )+ };
}

watches!(Knowing: Some(&REGISTER), Unknowing: None,);

const LAYOUT: Layout = Layout::new::<[u64; 3]>();

fn one_heap() -> InterpreterConfig {
    InterpreterConfig::legacy().with_gil(GilChoice::Own)
}

fn take<H: Host>(cx: &Attached<'_, H>) -> NonNull<u8> {
    let block = cx.allocate(Domain::Object, LAYOUT).unwrap();
    // SAFETY: live, and as large.
    unsafe { block.write_bytes(7, LAYOUT.size()) };
    block
}

/// Every interpreter gives back what every other one took: `is_known` tells whether the owner can be told. Where it is the
/// same interpreter that takes and gives back, nothing is wrong.
fn each_to_each<T: Heap<SystemRaw>>(
    configs: &[InterpreterConfig],
    is_known: fn(&InterpreterConfig, &InterpreterConfig) -> bool,
) {
    let rt = Runtime::<Machine<SystemRaw, T>>::new(Machine::new(), SystemRaw, RawLock::new());
    let main = rt.initialize(None).unwrap().main();
    let mut states: Vec<ThreadState<'_, _>> = vec![rt.thread_state(main).unwrap()];
    // Two of each, for there are others of the same kind.
    states.extend([configs, configs].concat().iter().map(|config| rt.create(config, None).unwrap()));
    // Main has a heap of its own.
    let kinds = [&[InterpreterConfig::isolated()], configs, configs].concat();
    for owner in 0..states.len() {
        let id = states[owner].interpreter();
        let block = states[owner].attach(|cx| take(cx)).unwrap();
        for other in (0..states.len()).filter(|other| *other != owner) {
            let by = states[other].interpreter();
            states[other]
                .attach(|cx| {
                    let (before, own) = (cx.usage(), take(cx));
                    // SAFETY: not what the contract asks for, which is what is tested: the wrapper answers for it.
                    unsafe { cx.deallocate(Domain::Object, block, LAYOUT) };
                    let reports = REPORTS.take();
                    let [misuse] = reports[..] else { panic!("one report: {reports:?}") };
                    assert_eq!(misuse.found, Site(Some(&HERE)));
                    if is_known(&kinds[owner], &kinds[other]) {
                        assert_eq!(misuse.kind, MisuseKind::WrongInterpreter { number: by.number() });
                        let owner = misuse.owner.map(|owner| (owner.domain, owner.interpreter));
                        assert_eq!(owner, Some((Domain::Object, id)));
                        // With a wrapper around it, the block is a part of what `Debug` knows.
                        let bytes = misuse.address..misuse.address + misuse.size;
                        assert!(bytes.contains(&block.addr().get()), "{misuse}");
                        assert_eq!((misuse.allocated, misuse.freed), (Site(Some(&HERE)), None));
                        assert!(misuse.serial.is_some());
                    } else {
                        assert_eq!((misuse.kind, misuse.owner), (MisuseKind::ForeignBlock, None));
                    }
                    // SAFETY: its own, with domain and layout.
                    unsafe { cx.deallocate(Domain::Object, own, LAYOUT) };
                    let live = |usage: Usage| (usage.object.bytes, usage.object.blocks);
                    assert_eq!(live(cx.usage()), live(before), "its account is as it was");
                })
                .unwrap();
        }
        let give_back = |cx: &mut Attached<'_, _>| {
            // SAFETY: what others tried was left out, so the block is live, and as it was.
            unsafe {
                assert!((0..LAYOUT.size()).all(|n| block.add(n).read() == 7));
                cx.deallocate(Domain::Object, block, LAYOUT);
            }
        };
        states[owner].attach(give_back).unwrap();
    }
    let ended: Vec<_> = states.iter().skip(1).map(ThreadState::interpreter).collect();
    drop(states);
    for id in ended {
        assert!(rt.end(id, None).unwrap().is_clean());
    }
    rt.finalize(None).unwrap();
    assert_eq!(REPORTS.take(), []);
}

/// SPEC: M3, M7
#[test]
fn with_a_register_every_owner_is_told() {
    let configs = [InterpreterConfig::isolated(), InterpreterConfig::legacy()];
    each_to_each::<Debug<SmallHeap, Knowing>>(&configs, |_, _| true);
    each_to_each::<Quarantine<Debug<SmallHeap, Knowing>, 1000>>(&configs, |_, _| true);
    let configs = [InterpreterConfig::isolated(), InterpreterConfig::legacy(), one_heap()];
    each_to_each::<Shared<Debug<SmallHeap, Knowing>, SpinLock>>(&configs, |_, _| true);
}

/// SPEC: M3, M7
#[test]
fn without_one_the_owner_is_told_where_the_heap_is_the_same() {
    let configs = [InterpreterConfig::legacy()];
    each_to_each::<Debug<SmallHeap, Unknowing>>(&configs, |_, _| true);
    let configs = [InterpreterConfig::legacy(), one_heap()];
    each_to_each::<Shared<Debug<SmallHeap, Unknowing>, SpinLock>>(&configs, |_, _| true);
    let configs = [InterpreterConfig::isolated()];
    each_to_each::<Debug<SmallHeap, Unknowing>>(&configs, |_, _| false);
}

/// Heaps of several threads at once, each of which asks for blocks of the others.
///
/// SPEC: M7
#[test]
fn heaps_of_several_threads_share_a_register() {
    type Host = Machine<SystemRaw, Debug<SmallHeap, Knowing, 500>>;
    let rt = Runtime::<Host>::new(Machine::new(), SystemRaw, RawLock::new());
    let _main = rt.initialize(None).unwrap();
    let turns = if cfg!(miri) { 5 } else { 200 };
    std::thread::scope(|s| {
        let ids = [0; 3].map(|_| create(&rt, &InterpreterConfig::isolated()));
        let blocks = ids.map(|id| rt.thread_state(id).unwrap().attach(|cx| take(cx)).unwrap().addr());
        for (n, id) in ids.into_iter().enumerate() {
            let (rt, others) = (&rt, blocks[(n + 1) % 3]);
            s.spawn(move || {
                let mut state = rt.thread_state(id).unwrap();
                state
                    .attach(|cx| {
                        for _ in 0..turns {
                            let block = take(cx);
                            // SAFETY: the first is no block of this interpreter, and the wrapper looks at its address only.
                            unsafe {
                                cx.deallocate(Domain::Object, NonNull::without_provenance(others), LAYOUT);
                                cx.deallocate(Domain::Object, block, LAYOUT);
                            }
                            let reports = REPORTS.take();
                            let [Misuse { kind: MisuseKind::WrongInterpreter { .. }, owner, .. }] =
                                reports[..]
                            else {
                                panic!("one report: {reports:?}")
                            };
                            assert_ne!(owner.map(|owner: Asker| owner.interpreter), Some(cx.id()));
                        }
                    })
                    .unwrap();
            });
        }
    });
    rt.finalize(None).unwrap();
}
