//! `Trace`: live and peak bytes and blocks, by call site, domain and interpreter.

#![allow(unsafe_code)]

use core::{alloc::Layout, cell::UnsafeCell, marker::PhantomData, ptr, ptr::NonNull};

use archipelago_kernel::{
    host::RawLock,
    memory::{AllocCause, Asker},
};
use heapless::index_map::FnvIndexMap;

use crate::{Below, Hook, Site};

/// Bytes and blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Requested bytes that are live.
    pub bytes: usize,
    /// Blocks that are live.
    pub blocks: usize,
    /// The most bytes that were live at a time.
    pub peak_bytes: usize,
    /// The most blocks that were live at a time.
    pub peak_blocks: usize,
    /// Blocks that were ever taken.
    pub taken: u64,
}

impl Counts {
    pub(crate) const NONE: Counts = Counts { bytes: 0, blocks: 0, peak_bytes: 0, peak_blocks: 0, taken: 0 };

    pub(crate) fn add(&mut self, bytes: usize) {
        self.blocks += 1;
        self.taken += 1;
        self.peak_blocks = self.peak_blocks.max(self.blocks);
        self.resize(0, bytes);
    }

    pub(crate) fn resize(&mut self, old: usize, new: usize) {
        self.bytes = self.bytes.saturating_sub(old).saturating_add(new);
        self.peak_bytes = self.peak_bytes.max(self.bytes);
    }

    pub(crate) fn sub(&mut self, bytes: usize) {
        self.blocks = self.blocks.saturating_sub(1);
        self.resize(bytes, 0);
    }
}

/// One line of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Where the blocks were taken.
    pub site: Site,
    /// The domain and the interpreter they were taken for; `None` in the raw domain.
    pub asker: Option<Asker>,
    /// How many they are.
    pub counts: Counts,
}

pub(crate) type Key = (Site, Option<Asker>);

/// Where traces are written. It outlives every heap that writes to it, so that what ended interpreters used is known.
pub trait Book: Sync {
    /// One more block. The answer names its line.
    fn add(&self, site: Site, asker: Option<Asker>, bytes: usize) -> u32;

    /// One block less.
    fn sub(&self, line: u32, bytes: usize);

    /// A block of another size.
    fn resize(&self, line: u32, old: usize, new: usize);

    /// Calls `f` with every line. `f` must not use memory that is traced in this book.
    fn each(&self, f: &mut dyn FnMut(Row));

    /// The line of all blocks for which there was no line left.
    fn rest(&self) -> Counts;
}

struct Lines<const N: usize> {
    lines: FnvIndexMap<Key, Counts, N>,
    rest: Counts,
}

/// A book of `N` lines, a power of two, behind the lock `L`. Can be a static.
pub struct TraceBook<L, const N: usize> {
    lock: L,
    lines: UnsafeCell<Lines<N>>,
}

/// The line of those that have none.
pub(crate) const REST: u32 = u32::MAX;

// SAFETY: [W1] the lines are reached through `with` only, which holds the lock; sites are references to frames that are
// `Sync`.
unsafe impl<L: RawLock, const N: usize> Sync for TraceBook<L, N> {}

impl<L: RawLock, const N: usize> TraceBook<L, N> {
    /// An empty book.
    pub const fn new(lock: L) -> Self {
        TraceBook { lock, lines: UnsafeCell::new(Lines { lines: FnvIndexMap::new(), rest: Counts::NONE }) }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Lines<N>) -> T) -> T {
        // SAFETY: [W1] the lock is held while `f` runs, which does not come back here and leaves none locked.
        unsafe { self.lock.with(|| f(&mut *self.lines.get())) }
    }
}

impl<const N: usize> Lines<N> {
    fn counts(&mut self, line: u32) -> &mut Counts {
        match self.lines.get_index_mut(line as usize) {
            Some((_, counts)) => counts,
            None => &mut self.rest,
        }
    }
}

impl<L: RawLock, const N: usize> Book for TraceBook<L, N> {
    fn add(&self, site: Site, asker: Option<Asker>, bytes: usize) -> u32 {
        self.with(|book| {
            let key = (site, asker);
            let line = match book.lines.get_index_of(&key) {
                Some(line) => line as u32,
                // Lines are never removed, so a new one is the last.
                None => match book.lines.insert(key, Counts::default()) {
                    Ok(_) => (book.lines.len() - 1) as u32,
                    Err(_) => REST,
                },
            };
            book.counts(line).add(bytes);
            line
        })
    }

    fn sub(&self, line: u32, bytes: usize) {
        self.with(|book| book.counts(line).sub(bytes));
    }

    fn resize(&self, line: u32, old: usize, new: usize) {
        self.with(|book| book.counts(line).resize(old, new));
    }

    fn each(&self, f: &mut dyn FnMut(Row)) {
        self.with(|book| {
            for ((site, asker), counts) in &book.lines {
                f(Row { site: *site, asker: *asker, counts: *counts });
            }
        });
    }

    fn rest(&self) -> Counts {
        self.with(|book| book.rest)
    }
}

/// What the host tells the trace wrapper.
pub trait Tracer: Send + 'static {
    /// Where traces are written: always the same one.
    fn book() -> &'static dyn Book;

    /// Where the program is. With `std`, `site` answers the thread's scopes, as `StdTracer` does.
    fn site() -> Site {
        Site::UNKNOWN
    }
}

/// In front of a block.
struct Header {
    prev: *mut Header,
    next: *mut Header,
    /// What the interpreter asked for.
    size: usize,
    line: u32,
}

/// Writes each block into the book of `W`, on the line of whoever took it.
///
/// Invariant \[W4\]: the list leads to the headers of all live blocks.
pub struct Tracing<W> {
    first: *mut Header,
    _tracer: PhantomData<fn() -> W>,
}

// SAFETY: [W4] what the list leads to belongs to this value.
unsafe impl<W> Send for Tracing<W> {}

/// The layout of the whole block, and where the caller's part lies in it.
fn plan(layout: Layout) -> Result<(Layout, usize), AllocCause> {
    Layout::new::<Header>().extend(layout).map_err(|_| AllocCause::TooLarge)
}

impl<W> Tracing<W> {
    /// Nothing is live.
    pub const fn new() -> Self {
        Tracing { first: ptr::null_mut(), _tracer: PhantomData }
    }
}

impl<W> Default for Tracing<W> {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: a block is the part behind the header of one from below.
unsafe impl<W: Tracer> Hook for Tracing<W> {
    fn allocate(
        &mut self,
        below: &mut impl Below,
        layout: Layout,
        asker: Option<Asker>,
    ) -> Result<NonNull<[u8]>, AllocCause> {
        let (whole, offset) = plan(layout)?;
        let block = below.allocate(whole, asker)?;
        let size = layout.size() - asker.map_or(0, |asker| asker.offset(layout));
        let line = W::book().add(W::site(), asker, size);
        let header = block.cast::<Header>().as_ptr();
        // SAFETY: the block is fresh, aligned for a header and larger; [W4] for the neighbour.
        let start = unsafe {
            header.write(Header { prev: ptr::null_mut(), next: self.first, size, line });
            if let Some(next) = self.first.as_mut() {
                next.prev = header;
            }
            self.first = header;
            block.add(offset)
        };
        Ok(NonNull::slice_from_raw_parts(start, layout.size()))
    }

    fn vouches_for(
        &mut self,
        below: impl FnOnce(usize, Layout, Asker) -> bool,
        address: usize,
        layout: Layout,
        asker: Asker,
    ) -> bool {
        plan(layout).is_ok_and(|(whole, offset)| below(address.wrapping_sub(offset), whole, asker))
    }

    unsafe fn deallocate(
        &mut self,
        below: &mut impl Below,
        block: NonNull<u8>,
        layout: Layout,
        asker: Option<Asker>,
    ) {
        let Ok((whole, offset)) = plan(layout) else { return };
        // SAFETY: [W4] the block and its neighbours are live.
        unsafe {
            let start = block.sub(offset);
            let Header { prev, next, size, line } = start.cast::<Header>().read();
            match prev.as_mut() {
                Some(prev) => prev.next = next,
                None => self.first = next,
            }
            if let Some(next) = next.as_mut() {
                next.prev = prev;
            }
            W::book().sub(line, size);
            below.deallocate(start, whole, asker);
        }
    }

    unsafe fn resize(
        &mut self,
        below: &mut impl Below,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), AllocCause> {
        let ((from, offset), (to, _)) = (plan(old)?, plan(new)?);
        // SAFETY: [W4]; one alignment, so one offset.
        unsafe {
            let start = block.sub(offset);
            below.resize(start, from, to)?;
            let header = start.cast::<Header>().as_ptr();
            let asked = (*header).size;
            // What the kernel has in front of the block stays as it is.
            let size = new.size() - (old.size() - asked);
            W::book().resize((*header).line, asked, size);
            (*header).size = size;
        }
        Ok(())
    }

    unsafe fn sweep(&mut self) {
        // SAFETY: [W4].
        while let Some(header) = unsafe { self.first.as_ref() } {
            W::book().sub(header.line, header.size);
            self.first = header.next;
        }
    }
}
