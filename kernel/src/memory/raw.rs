//! The raw domain: what lies below every heap, with each answer of its backend checked (SPEC M1, M11).

#![allow(unsafe_code)]

use core::{alloc::Layout, ops::Range, ptr::NonNull};

use crate::{
    host::RawAlloc,
    memory::{AllocCause, AllocError, Domain},
};

/// By a mask: what a division takes would be half of what a small block does.
#[inline]
fn is_aligned(address: usize, layout: Layout) -> bool {
    address & (layout.align() - 1) == 0
}

/// Whether a block lies in the backend's region, where that is known.
#[inline]
fn is_inside(start: usize, layout: Layout, region: Option<Range<usize>>) -> bool {
    region.is_none_or(|region| {
        start >= region.start && start.checked_add(layout.size()).is_some_and(|end| end <= region.end)
    })
}

/// Checks a backend's answer: size, alignment and region (null cannot be, by type).
pub(super) fn check(
    block: NonNull<[u8]>,
    layout: Layout,
    region: Option<Range<usize>>,
) -> Result<NonNull<u8>, AllocCause> {
    let start = block.addr().get();
    if start.checked_add(layout.size()).is_none() {
        return Err(AllocCause::BackendOutside);
    }
    if block.len() < layout.size() {
        return Err(AllocCause::BackendShort);
    }
    if !is_aligned(start, layout) {
        return Err(AllocCause::BackendMisaligned);
    }
    if !is_inside(start, layout, region) {
        return Err(AllocCause::BackendOutside);
    }
    Ok(block.cast())
}

/// Whether a block of a heap is where it may be.
#[inline]
pub(super) fn is_in_place(block: NonNull<u8>, layout: Layout, region: Option<Range<usize>>) -> bool {
    let start = block.addr().get();
    is_aligned(start, layout) && is_inside(start, layout, region)
}

/// What is wrong with a block that is not in place.
#[cold]
pub(super) fn misplaced(block: NonNull<u8>, layout: Layout, region: Option<Range<usize>>) -> AllocCause {
    let block = NonNull::slice_from_raw_parts(block, layout.size());
    check(block, layout, region).err().unwrap_or(AllocCause::BackendOutside)
}

/// Backends see sizes above zero only; a zero-size request still gets a block of its own.
#[inline]
pub(super) fn backend_layout(layout: Layout) -> Result<Layout, AllocCause> {
    match layout.size() {
        0 => Layout::from_size_align(1, layout.align()).map_err(|_| AllocCause::TooLarge),
        _ => Ok(layout),
    }
}

/// The raw domain of a runtime: thread-safe memory, usable with nothing attached and charged to nobody
/// (`PyMem_RawMalloc`; SPEC M1). What its backend answers is checked, and given back where it is wrong.
pub struct RawDomain<'a, R>(&'a R);

impl<R> Clone for RawDomain<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for RawDomain<'_, R> {}

impl<'a, R: RawAlloc> RawDomain<'a, R> {
    /// The raw domain on `backend`.
    pub const fn new(backend: &'a R) -> Self {
        RawDomain(backend)
    }

    /// The backend, unchecked.
    pub const fn backend(self) -> &'a R {
        self.0
    }

    /// A block. A request of no bytes gets one of its own.
    ///
    /// # Errors
    /// The size and the cause.
    pub fn allocate(self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let refuse = |cause| AllocError { domain: Domain::Raw, requested: layout.size(), cause };
        self.take(layout).map_err(refuse)
    }

    /// As [`allocate`](Self::allocate), the cause alone.
    ///
    /// # Errors
    /// The cause.
    pub fn take(self, layout: Layout) -> Result<NonNull<u8>, AllocCause> {
        let layout = backend_layout(layout)?;
        let answer = self.0.allocate(layout).map_err(|_| AllocCause::Exhausted)?;
        check(answer, layout, self.0.region()).inspect_err(|_| {
            // SAFETY: it was returned for this layout just now, and nobody uses it.
            unsafe { self.0.deallocate(answer.cast(), layout) }
        })
    }

    /// Gives a block back.
    ///
    /// # Safety
    /// `block` came from this domain for `layout`, is live, and is not used afterwards.
    pub unsafe fn deallocate(self, block: NonNull<u8>, layout: Layout) {
        if let Ok(layout) = backend_layout(layout) {
            // SAFETY: passed on; the layout is the one that was asked for.
            unsafe { self.0.deallocate(block, layout) }
        }
    }

    /// Makes a block larger or smaller in place.
    ///
    /// # Errors
    /// `Exhausted` where the backend cannot; the block is as it was.
    ///
    /// # Safety
    /// `block` came from this domain for `old` and is live; `new` has the same alignment.
    pub unsafe fn resize(self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), AllocCause> {
        let (old, new) = (backend_layout(old)?, backend_layout(new)?);
        // SAFETY: passed on; the layouts are those the backend saw.
        unsafe { self.0.resize(block, old, new) }.map_err(|_| AllocCause::Exhausted)
    }

    /// The addresses all blocks lie in, where the backend knows them.
    pub fn region(self) -> Option<Range<usize>> {
        self.0.region()
    }
}
