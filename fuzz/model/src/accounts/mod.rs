//! What one interpreter is charged, against plain sums (SPEC M6): live bytes, blocks and peaks of each domain, what is
//! left, and who is refused why, after each step; and the ledger of what is left at the end.
#![allow(unsafe_code)]

mod act;

pub use act::Act;

use core::{alloc::Layout, slice};

use archipelago_alloc_suite::Filled;
use archipelago_kernel::{
    Attached, Host, Runtime,
    config::InterpreterConfig,
    memory::{AllocCause, AllocError, Domain, MemoryLimits},
};

use crate::{account::Account, manual};

/// Blocks that are live at a time: what they take fits on the smallest host.
const MOST: usize = 40;

/// A live block, and what it is charged to.
type Block = (Domain, Filled);

/// Does the steps in a new interpreter, and asserts that its account is right. `fail` tells the raw domain which request
/// is to fail; without one it has all that is asked for.
pub fn steps<H: Host>(
    rt: &Runtime<H>,
    config: &InterpreterConfig,
    fail: Option<&dyn Fn(Option<usize>)>,
    acts: &[Act],
) {
    let mut state = rt.create(config, None).expect("an interpreter");
    let id = state.interpreter();
    let account = state.attach(|cx| {
        let mut account = Account::new(cx.memory_limits());
        account.usage = cx.usage();
        let footprint = account.usage.raw.bytes;
        let mut run = Run { account, blocks: Vec::new(), charges: Vec::new(), fill: 0, fail };
        run.compare(cx);
        run.acts(cx, &mut acts.iter(), usize::MAX);
        run.end(cx);
        run.account.give(Domain::Raw, footprint);
        run.account
    });
    let left = account.expect("it is alive").usage;
    assert_eq!(rt.interpreter(id).expect("it is listed").usage().expect("it is listed").peak, left.peak);
    let ledger = rt.end(id, None).expect("nobody is inside");
    assert_eq!((ledger.leaked, ledger.peak, ledger.objects), (left, left.peak, 0));
}

/// The steps on a runtime of their own whose raw domain fails, and gets everything back.
pub fn while_memory_fails(config: &InterpreterConfig, acts: &[Act]) {
    let rt = manual().runtime;
    let raw = rt.raw().backend().clone();
    let _main = rt.initialize(None).expect("memory");
    steps(&rt, config, Some(&|after| raw.0.fail_after(after)), acts);
    drop(rt);
    assert_eq!(raw.0.live(), (0, 0), "everything is back");
}

struct Run<'a> {
    account: Account,
    blocks: Vec<Block>,
    charges: Vec<usize>,
    fill: u8,
    fail: Option<&'a dyn Fn(Option<usize>)>,
}

impl Run<'_> {
    /// As many of the acts.
    fn acts<H: Host>(&mut self, cx: &mut Attached<'_, H>, acts: &mut slice::Iter<'_, Act>, most: usize) {
        for _ in 0..most {
            let Some(act) = acts.next() else { return };
            self.act(cx, *act, acts);
            self.compare(cx);
        }
    }

    fn act<H: Host>(&mut self, cx: &mut Attached<'_, H>, act: Act, rest: &mut slice::Iter<'_, Act>) {
        match act {
            Act::Allocate { domain, size, align } => {
                let layout = layout(size, 1 << (align % 13));
                self.allocate(cx, Domain::ALL[usize::from(domain) % 3], layout);
            }
            Act::Deallocate { nth } => {
                if let Some(nth) = nth_of(&self.blocks, nth) {
                    let block = self.blocks.swap_remove(nth);
                    self.deallocate(cx, block);
                }
            }
            Act::Reallocate { nth, size } => {
                if let Some(nth) = nth_of(&self.blocks, nth) {
                    self.reallocate(cx, nth, size);
                }
            }
            Act::Resize { nth, size } => {
                if let Some(nth) = nth_of(&self.blocks, nth) {
                    self.resize(cx, nth, size);
                }
            }
            Act::Charge { size } if self.charges.len() < MOST => {
                let bytes = bytes(size);
                let answer = cx.charge(bytes);
                assert_eq!(answer, self.account.take(Domain::Raw, bytes));
                self.charges.extend(answer.map(|()| bytes));
            }
            Act::Charge { .. } => {}
            Act::Recharge { nth, size } => {
                if let Some(nth) = nth_of(&self.charges, nth) {
                    let (old, new) = (self.charges[nth], bytes(size));
                    let refuse = |cause| AllocError { domain: Domain::Raw, requested: new, cause };
                    let expected = self.account.admit_growth(old, new).map_err(refuse);
                    assert_eq!(cx.recharge(old, new), expected);
                    if expected.is_ok() {
                        self.account.exchange(Domain::Raw, old, new);
                        self.charges[nth] = new;
                    }
                }
            }
            Act::Discharge { nth } => {
                if let Some(nth) = nth_of(&self.charges, nth) {
                    let bytes = self.charges.swap_remove(nth);
                    assert_eq!(cx.discharge(bytes), Ok(()));
                    self.account.give(Domain::Raw, bytes);
                }
            }
            Act::Reserve { acts } => {
                let before = core::mem::replace(&mut self.account.in_reserve, true);
                cx.with_reserve(|cx| {
                    self.compare(cx);
                    self.acts(cx, rest, usize::from(acts % 8));
                });
                self.account.in_reserve = before;
            }
            Act::Limits { soft, hard, reserve } => {
                let least = self.account.usage.bytes().saturating_sub(200);
                let limit = |steps: Option<u8>| steps.map(|steps| least + usize::from(steps) * 32);
                let limits = MemoryLimits::none()
                    .with_soft(limit(soft))
                    .with_hard(limit(hard))
                    .with_reserve(usize::from(reserve) * 32);
                assert_eq!(cx.set_memory_limits(limits), self.account.set_limits(limits));
            }
            Act::Trim => cx.trim(),
            Act::Safepoint => assert_eq!(cx.safepoint(), Ok(())),
            Act::Fail { after } => {
                if let Some(fail) = self.fail {
                    fail(after.map(usize::from));
                }
            }
        }
    }

    fn compare<H: Host>(&self, cx: &Attached<'_, H>) {
        assert_eq!(cx.usage(), self.account.usage);
        assert_eq!(cx.available(), self.account.available());
        assert_eq!(cx.memory_limits(), self.account.limits);
    }

    /// Only where the raw domain fails, and where no limit is the reason.
    fn refused(&self, error: AllocError, domain: Domain, requested: usize, limit: Option<AllocCause>) {
        assert!(limit.is_some() || self.fail.is_some(), "{error:?} without a reason");
        let cause = limit.unwrap_or(AllocCause::Exhausted);
        assert_eq!(error, AllocError { domain, requested, cause });
    }

    fn allocate<H: Host>(&mut self, cx: &Attached<'_, H>, domain: Domain, layout: Layout) {
        if self.blocks.len() == MOST {
            return;
        }
        let limit = self.account.admit(layout.size()).err();
        match cx.allocate(domain, layout) {
            Ok(start) => {
                assert!(start.addr().get().is_multiple_of(layout.align()));
                assert_eq!(self.account.take(domain, layout.size()), Ok(()));
                self.fill = self.fill.wrapping_add(1);
                // SAFETY: it was returned just now, for this layout.
                self.blocks.push((domain, unsafe { Filled::new(start, layout, self.fill) }));
            }
            Err(error) => self.refused(error, domain, layout.size(), limit),
        }
    }

    fn deallocate<H: Host>(&mut self, cx: &Attached<'_, H>, (domain, block): Block) {
        block.check();
        // SAFETY: live, with this domain and layout; it left the list.
        unsafe { cx.deallocate(domain, block.start(), block.layout()) };
        self.account.give(domain, block.size());
    }

    fn reallocate<H: Host>(&mut self, cx: &Attached<'_, H>, nth: usize, size: u16) {
        let (domain, old) = self.blocks[nth];
        let new = layout(size, old.layout().align());
        let (from, to) = (old.size(), new.size());
        let growth = self.account.admit_growth(from, to).err();
        let both = self.account.admit(to).err();
        // SAFETY: live, with this domain and layout; the alignment is the same.
        match unsafe { cx.reallocate(domain, old.start(), old.layout(), new) } {
            Ok(start) => {
                assert_eq!(growth, None);
                if start == old.start() {
                    self.account.exchange(domain, from, to);
                } else {
                    // Both were live for a moment.
                    assert_eq!(self.account.take(domain, to), Ok(()));
                    self.account.give(domain, from);
                }
                // SAFETY: live, of this layout, and the old one is gone.
                self.blocks[nth].1 = unsafe { old.resized(start, new) };
            }
            Err(error) => {
                self.refused(error, domain, to, growth.or(both));
                old.check();
            }
        }
    }

    fn resize<H: Host>(&mut self, cx: &Attached<'_, H>, nth: usize, size: u16) {
        let (domain, old) = self.blocks[nth];
        let new = layout(size, old.layout().align());
        let (from, to) = (old.size(), new.size());
        let growth = self.account.admit_growth(from, to).err();
        // SAFETY: live, with this domain and layout; the alignment is the same.
        match unsafe { cx.resize(domain, old.start(), old.layout(), new) } {
            Ok(()) => {
                assert_eq!(growth, None);
                self.account.exchange(domain, from, to);
                // SAFETY: it is of this layout now.
                self.blocks[nth].1 = unsafe { old.resized(old.start(), new) };
            }
            Err(error) => {
                // What can be done in place is the heap's.
                let cause = growth.unwrap_or(AllocCause::Exhausted);
                assert_eq!(error, AllocError { domain, requested: to, cause });
                old.check();
            }
        }
    }

    /// Gives half of it back: the other half is for the ledger.
    fn end<H: Host>(&mut self, cx: &mut Attached<'_, H>) {
        if let Some(fail) = self.fail {
            fail(None);
        }
        let half = self.blocks.len() / 2;
        for block in self.blocks.split_off(half) {
            self.deallocate(cx, block);
            self.compare(cx);
        }
        self.blocks.iter().for_each(|(_, block)| block.check());
    }
}

fn bytes(size: u16) -> usize {
    usize::from(size % 4097)
}

fn layout(size: u16, align: usize) -> Layout {
    Layout::from_size_align(bytes(size), align).expect("a layout")
}

fn nth_of<T>(all: &[T], nth: u8) -> Option<usize> {
    usize::from(nth).checked_rem(all.len())
}
