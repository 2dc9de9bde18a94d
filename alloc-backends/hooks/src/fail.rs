//! `FailNth`: allocations that fail when they are told to.

#![allow(unsafe_code)]

use core::{
    alloc::Layout,
    ptr::NonNull,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use archipelago_kernel::memory::{AllocCause, Asker};

use crate::{Below, Hook};

/// No failure is to come.
const NEVER: usize = usize::MAX;

/// Which allocation fails. Shared by whoever counts with it, and set from outside at any time.
///
/// Without compare-and-swap, or with several threads, the count is as exact as its plain loads and stores.
#[derive(Debug)]
pub struct Countdown {
    /// Requests that are still served.
    left: AtomicUsize,
    /// Those after the first failure fail too.
    and_all_after: AtomicBool,
    seen: AtomicUsize,
    failed: AtomicUsize,
}

impl Countdown {
    /// None fails.
    pub const fn new() -> Self {
        Countdown {
            left: AtomicUsize::new(NEVER),
            and_all_after: AtomicBool::new(false),
            seen: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
        }
    }

    /// Serves `served` more requests and fails the one after them.
    pub fn fail_after(&self, served: usize) {
        self.set(served, false);
    }

    /// Serves `served` more requests and fails all after them.
    pub fn fail_all_after(&self, served: usize) {
        self.set(served, true);
    }

    /// Fails none from now on.
    pub fn fail_none(&self) {
        self.set(NEVER, false);
    }

    fn set(&self, left: usize, and_all_after: bool) {
        self.and_all_after.store(and_all_after, Ordering::Relaxed);
        self.left.store(left, Ordering::Relaxed);
    }

    /// Sets both counts to zero.
    pub fn reset_counts(&self) {
        self.seen.store(0, Ordering::Relaxed);
        self.failed.store(0, Ordering::Relaxed);
    }

    /// Whether a failure is still to come.
    pub fn will_fail(&self) -> bool {
        self.left.load(Ordering::Relaxed) != NEVER
    }

    /// Requests it was asked about.
    pub fn seen(&self) -> usize {
        self.seen.load(Ordering::Relaxed)
    }

    /// Requests that it made fail.
    pub fn failed(&self) -> usize {
        self.failed.load(Ordering::Relaxed)
    }

    /// One more request: whether it fails.
    pub fn fails(&self) -> bool {
        step(&self.seen, |seen| seen.wrapping_add(1));
        let stays = self.and_all_after.load(Ordering::Relaxed);
        let left = step(&self.left, |left| match left {
            NEVER => NEVER,
            0 if stays => 0,
            0 => NEVER,
            left => left - 1,
        });
        if left == 0 {
            step(&self.failed, |failed| failed.wrapping_add(1));
        }
        left == 0
    }
}

impl Default for Countdown {
    fn default() -> Self {
        Self::new()
    }
}

/// What the word was before.
fn step(word: &AtomicUsize, next: impl Fn(usize) -> usize) -> usize {
    #[cfg(target_has_atomic = "ptr")]
    {
        let answer = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| Some(next(now)));
        answer.unwrap_or_else(|now| now)
    }
    #[cfg(not(target_has_atomic = "ptr"))]
    {
        let now = word.load(Ordering::Relaxed);
        word.store(next(now), Ordering::Relaxed);
        now
    }
}

/// Where a [`Failing`] finds its countdown. A heap is made by the kernel, so its plan is a type that leads to a static or
/// a thread-local; a raw domain may own one.
pub trait Plan: Send + 'static {
    /// Calls `f` with the countdown.
    fn with<T>(&self, f: impl FnOnce(&Countdown) -> T) -> T;
}

impl Plan for Countdown {
    fn with<T>(&self, f: impl FnOnce(&Countdown) -> T) -> T {
        f(self)
    }
}

/// Refuses the allocations that its plan tells; resizing counts as one.
#[derive(Debug, Default)]
pub struct Failing<P> {
    plan: P,
}

impl<P: Plan> Failing<P> {
    /// Fails by this plan.
    pub const fn new(plan: P) -> Self {
        Failing { plan }
    }

    /// The plan.
    pub const fn plan(&self) -> &P {
        &self.plan
    }

    fn ask(&self) -> Result<(), AllocCause> {
        if self.plan.with(Countdown::fails) { Err(AllocCause::Exhausted) } else { Ok(()) }
    }
}

// SAFETY: the blocks are those from below.
unsafe impl<P: Plan> Hook for Failing<P> {
    #[inline]
    fn allocate(
        &mut self,
        below: &mut impl Below,
        layout: Layout,
        asker: Option<Asker>,
    ) -> Result<NonNull<[u8]>, AllocCause> {
        self.ask()?;
        let block = below.allocate(layout, asker)?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    #[inline]
    unsafe fn deallocate(
        &mut self,
        below: &mut impl Below,
        block: NonNull<u8>,
        layout: Layout,
        asker: Option<Asker>,
    ) {
        // SAFETY: passed on.
        unsafe { below.deallocate(block, layout, asker) }
    }

    unsafe fn resize(
        &mut self,
        below: &mut impl Below,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), AllocCause> {
        self.ask()?;
        // SAFETY: passed on.
        unsafe { below.resize(block, old, new) }
    }
}
