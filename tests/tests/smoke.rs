#![allow(unsafe_code, missing_docs, clippy::undocumented_unsafe_blocks)]
use archipelago_kernel::{config::*, error::*, gil::*, guest::*, host::*, *};
use std::{alloc::Layout, cell::Cell, ptr::NonNull, sync::atomic::*, time::Duration};
pub struct Spin(AtomicBool);
unsafe impl RawLock for Spin {
    type Held = ();
    fn new() -> Self {
        Spin(AtomicBool::new(false))
    }
    fn lock(&self) {
        while self.0.swap(true, Ordering::Acquire) {
            std::thread::yield_now()
        }
    }
    fn try_lock(&self) -> Option<()> {
        (!self.0.swap(true, Ordering::Acquire)).then_some(())
    }
    unsafe fn unlock(&self, _: ()) {
        self.0.store(false, Ordering::Release)
    }
}
unsafe impl RawGil for Spin {
    type Held = ();
    fn new() -> Self {
        Spin(AtomicBool::new(false))
    }
    fn lock(&self) {
        while self.0.swap(true, Ordering::Acquire) {
            std::thread::yield_now()
        }
    }
    fn try_lock(&self) -> Option<()> {
        (!self.0.swap(true, Ordering::Acquire)).then_some(())
    }
    unsafe fn unlock(&self, _: ()) {
        self.0.store(false, Ordering::Release)
    }
}
pub struct Sys;
unsafe impl RawAlloc for Sys {
    fn allocate(&self, l: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        NonNull::new(unsafe { std::alloc::alloc(l) })
            .map(|p| NonNull::slice_from_raw_parts(p, l.size()))
            .ok_or(Exhausted)
    }
    unsafe fn deallocate(&self, p: NonNull<u8>, l: Layout) {
        unsafe { std::alloc::dealloc(p.as_ptr(), l) }
    }
}
pub struct Hp(usize);
unsafe impl Heap<Sys> for Hp {
    fn new() -> Self {
        Hp(0)
    }
    fn allocate(&mut self, r: &Sys, l: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        self.0 += 1;
        r.allocate(l)
    }
    unsafe fn deallocate(&mut self, r: &Sys, p: NonNull<u8>, l: Layout) {
        self.0 -= 1;
        unsafe { r.deallocate(p, l) }
    }
    unsafe fn sweep(&mut self, _: &Sys) -> Swept {
        let n = self.0;
        self.0 = 0;
        Swept { blocks: n, bytes: 0 }
    }
}
thread_local!(static SLOT: Cell<*const ()> = const { Cell::new(std::ptr::null()) });
thread_local!(static ME: u8 = const {0});
pub struct Tls;
unsafe impl CurrentSlot for Tls {
    fn get() -> *const () {
        SLOT.get()
    }
    unsafe fn set(p: *const ()) {
        SLOT.set(p)
    }
}
pub struct B;
static N: AtomicU64 = AtomicU64::new(1);
impl Host for B {
    type Lock = Spin;
    type Gil = Spin;
    type GilPolicy = Blocking;
    type Park = NoPark;
    type Clock = NoClock;
    type Raw = Sys;
    type Heap = Hp;
    type Slot = Tls;
    fn clock(&self) -> &NoClock {
        &NoClock
    }
    fn park(&self) -> &NoPark {
        &NoPark
    }
    fn new_cycle(&self) -> u64 {
        N.fetch_add(1, Ordering::Relaxed)
    }
    fn thread_id(&self) -> usize {
        ME.with(|m| m as *const u8 as usize)
    }
    fn relax(&self) {
        std::thread::yield_now()
    }
}
fn rt() -> Runtime<B> {
    Runtime::new(B, Sys, Spin(AtomicBool::new(false)))
}
struct Noisy(std::sync::Arc<AtomicUsize>);
impl Drop for Noisy {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
#[test]
fn life() {
    let rt = rt();
    let main = rt.initialize(None).unwrap().main();
    assert_eq!(main.number(), 0);
    let mut a = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let mut b = rt.create(&InterpreterConfig::legacy(), None).unwrap();
    let n = std::sync::Arc::new(AtomicUsize::new(0));
    a.attach(|cx| {
        let o = cx.alloc_plain(5i64).unwrap();
        assert_eq!(*o.get(cx), 5);
        cx.safepoint().unwrap();
        let p = cx.alloc_plain(Noisy(n.clone())).ok().unwrap();
        drop(p);
        assert_eq!(n.load(Ordering::Relaxed), 0);
        cx.safepoint().unwrap();
        assert_eq!(n.load(Ordering::Relaxed), 1);
        let q = cx.alloc_plain(Noisy(n.clone())).ok().unwrap();
        cx.detach(|| drop(q));
        cx.safepoint().unwrap();
        assert_eq!(n.load(Ordering::Relaxed), 2);
        std::mem::forget(cx.alloc_plain(Noisy(n.clone())).ok().unwrap());
        cx.enter(&mut b, |cy| {
            assert_eq!(cy.id().number(), 2);
            cy.alloc_plain(1u8).map(drop).unwrap()
        })
        .unwrap();
    })
    .unwrap();
    let mut m = rt.thread_state(main).unwrap();
    m.attach(|cx| cx.enter(&mut b, |cy| cy.id().number()).unwrap()).unwrap();
    let (ai, bi) = (a.interpreter(), b.interpreter());
    let l = rt.end(ai, None).unwrap();
    assert_eq!(l.objects, 1);
    assert_eq!(n.load(Ordering::Relaxed), 3);
    assert!(l.leaked.object.bytes == 0);
    assert_eq!(a.attach(|_| ()), Err(AttachError::Ended));
    assert_eq!(rt.end(ai, None), Err(EndError::NotFound));
    let r = rt.end(bi, Some(Duration::ZERO)).unwrap();
    println!("{r:?}");
    drop((a, b, m));
    let l = rt.finalize(None).unwrap();
    println!("{l:?}");
}
#[test]
fn threads() {
    let rt = rt();
    rt.initialize(None).unwrap();
    std::thread::scope(|s| {
        for k in 0..8 {
            let rt = &rt;
            s.spawn(move || {
                for j in 0..50 {
                    let cfg = if (k + j) % 2 == 0 {
                        InterpreterConfig::isolated()
                    } else {
                        InterpreterConfig::legacy()
                    };
                    let mut t = rt.create(&cfg, None).unwrap();
                    t.attach(|cx| {
                        for _ in 0..20 {
                            let o = cx.alloc_plain(1u64).unwrap();
                            cx.safepoint().unwrap();
                            cx.detach(|| ());
                            drop(o);
                        }
                    })
                    .unwrap();
                    let id = t.interpreter();
                    if j % 3 == 0 {
                        drop(t);
                        rt.end(id, None).unwrap();
                    } else {
                        rt.end(id, None).unwrap();
                        drop(t);
                    }
                }
            });
        }
    });
    assert_eq!(rt.count(), 1);
}
