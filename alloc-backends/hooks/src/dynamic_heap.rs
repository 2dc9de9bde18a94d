//! Heaps that are chosen at run time, by domain: functions and a context (`PyMem_SetAllocator` of the mem and object
//! domains).

#![allow(unsafe_code)]

use core::{alloc::Layout, marker::PhantomData, mem::MaybeUninit, ptr, ptr::NonNull};

use archipelago_kernel::{
    Host, Runtime,
    host::{Heap, HeapState, RawAlloc, RawLock},
    memory::{AllocCause, Asker, Domain, RawDomain},
};

use crate::{SetError, dynamic_raw::check_phase, sealed::Sealed};

/// Where the heap of one interpreter lies: room for a heap of 96 words.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct HeapSpace([MaybeUninit<usize>; 96]);

/// What each function gets first: the table's context, and where the interpreter's heap lies.
#[derive(Debug, Clone, Copy)]
pub struct HeapCall {
    /// The context of the table.
    pub context: *const (),
    /// The heap, which `begin` made.
    pub heap: *mut HeapSpace,
}

type Served = Result<NonNull<[u8]>, AllocCause>;

/// The functions of a heap, and their context.
#[derive(Debug)]
pub struct HeapTable<R: RawAlloc> {
    /// Handed to each function.
    pub context: *const (),
    /// Makes a heap that owns nothing.
    pub begin: unsafe fn(HeapCall),
    /// As [`Heap::allocate_for`].
    pub allocate: unsafe fn(HeapCall, RawDomain<'_, R>, Layout, Option<Asker>) -> Served,
    /// As [`Heap::vouches_for`].
    pub vouches_for: unsafe fn(HeapCall, usize, Layout, Asker) -> bool,
    /// As [`Heap::deallocate_for`].
    pub deallocate: unsafe fn(HeapCall, RawDomain<'_, R>, NonNull<u8>, Layout, Option<Asker>),
    /// As [`Heap::trim`].
    pub trim: unsafe fn(HeapCall, RawDomain<'_, R>),
    /// As [`Heap::sweep`].
    pub sweep: unsafe fn(HeapCall, RawDomain<'_, R>),
    /// As [`Heap::inspect`].
    pub inspect: unsafe fn(HeapCall) -> HeapState,
    /// Drops the heap.
    pub end: unsafe fn(HeapCall),
}

impl<R: RawAlloc> Clone for HeapTable<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R: RawAlloc> Copy for HeapTable<R> {}

// SAFETY: whoever uses a table promises that it works from any thread (contract of `HeapChoice::set`).
unsafe impl<R: RawAlloc> Send for HeapTable<R> {}
// SAFETY: as above.
unsafe impl<R: RawAlloc> Sync for HeapTable<R> {}

/// # Safety
/// `call` leads to a `T` that its `begin` made, which nobody else uses meanwhile.
unsafe fn heap<'a, T>(call: HeapCall) -> &'a mut T {
    // SAFETY: passed on.
    unsafe { &mut *call.heap.cast::<T>() }
}

impl<R: RawAlloc> HeapTable<R> {
    /// The table of heaps of type `T`. One that is larger than the room there is does not compile.
    pub const fn of<T: Heap<R>>() -> Self {
        const {
            assert!(size_of::<T>() <= size_of::<HeapSpace>() && align_of::<T>() <= align_of::<HeapSpace>());
        }
        // SAFETY (of each): `begin` writes a `T`, the others are called afterwards and one at a time (contract of
        // `DynamicHeap`, which alone calls them); the rest is passed on.
        HeapTable {
            context: ptr::null(),
            // SAFETY: as above: the room is large enough.
            begin: |call| unsafe { call.heap.cast::<T>().write(T::new()) },
            // SAFETY: as above.
            allocate: |call, raw, layout, asker| unsafe {
                match asker {
                    Some(asker) => heap::<T>(call).allocate_for(raw, layout, asker),
                    None => heap::<T>(call).allocate(raw, layout),
                }
            },
            // SAFETY: as above.
            vouches_for: |call, address, layout, asker| unsafe {
                heap::<T>(call).vouches_for(address, layout, asker)
            },
            // SAFETY: as above.
            deallocate: |call, raw, block, layout, asker| unsafe {
                match asker {
                    Some(asker) => heap::<T>(call).deallocate_for(raw, block, layout, asker),
                    None => heap::<T>(call).deallocate(raw, block, layout),
                }
            },
            // SAFETY: as above.
            trim: |call, raw| unsafe { heap::<T>(call).trim(raw) },
            // SAFETY: as above.
            sweep: |call, raw| unsafe { heap::<T>(call).sweep(raw) },
            // SAFETY: as above.
            inspect: |call| unsafe { (*call.heap.cast::<T>().cast_const()).inspect() },
            // SAFETY: as above; nothing is called afterwards.
            end: |call| unsafe { call.heap.cast::<T>().drop_in_place() },
        }
    }
}

/// Which tables the heaps of a host get, by domain. Can be a static.
pub struct HeapChoice<L, R: RawAlloc> {
    /// Of the mem domain, with charged raw blocks, and of the object domain.
    tables: Sealed<L, [HeapTable<R>; 2]>,
}

const fn place(domain: Domain) -> usize {
    match domain {
        Domain::Raw | Domain::Mem => 0,
        Domain::Object => 1,
    }
}

impl<L: RawLock, R: RawAlloc> HeapChoice<L, R> {
    /// `T` for both domains, unless something else is set.
    pub const fn new<T: Heap<R>>(lock: L) -> Self {
        HeapChoice { tables: Sealed::new(lock, [HeapTable::of::<T>(), HeapTable::of::<T>()]) }
    }

    /// The present table of a domain (`PyMem_GetAllocator`).
    pub fn get(&self, domain: Domain) -> HeapTable<R> {
        self.tables.get()[place(domain)]
    }

    /// Heaps that are made from now on serve a domain from `table` (`PyMem_SetAllocator`), which may call the one before.
    /// A raw block that an interpreter asks for by its token comes from the mem domain's.
    ///
    /// # Errors
    /// `Initialized` and `InUse`: refused.
    ///
    /// # Safety
    /// With this context the functions keep the contract of [`Heap`], from now on and for ever.
    pub unsafe fn set<H: Host<Raw = R>>(
        &self,
        runtime: &Runtime<H>,
        domain: Domain,
        table: HeapTable<R>,
    ) -> Result<(), SetError> {
        check_phase(runtime)?;
        let change = |mut tables: [HeapTable<R>; 2]| {
            tables[place(domain)] = table;
            tables
        };
        if self.tables.exchange(change) { Ok(()) } else { Err(SetError::InUse) }
    }
}

/// Where a [`DynamicHeap`] finds its choice: the kernel makes heaps without an argument.
pub trait Choice<R: RawAlloc>: 'static {
    /// The lock around the choice.
    type Lock: RawLock;

    /// Always the same one.
    fn choice() -> &'static HeapChoice<Self::Lock, R>;
}

/// A heap whose functions were chosen before the runtime was initialized: a heap for each domain behind pointers to
/// functions. Each call costs one call through a pointer. Blocks are not resized in place: a resize does not say for whom.
pub struct DynamicHeap<R: RawAlloc, C> {
    tables: [HeapTable<R>; 2],
    spaces: [HeapSpace; 2],
    _choice: PhantomData<fn() -> C>,
}

// SAFETY: the heaps behind the tables are `Send` (contract of `Heap`, which the functions keep).
unsafe impl<R: RawAlloc, C> Send for DynamicHeap<R, C> {}

impl<R: RawAlloc, C> DynamicHeap<R, C> {
    fn part(&mut self, place: usize) -> (HeapTable<R>, HeapCall) {
        let table = self.tables[place];
        (table, HeapCall { context: table.context, heap: &raw mut self.spaces[place] })
    }

    fn serving(&mut self, asker: Option<Asker>) -> (HeapTable<R>, HeapCall) {
        self.part(asker.map_or(1, |asker| place(asker.domain)))
    }
}

impl<R: RawAlloc, C> Drop for DynamicHeap<R, C> {
    fn drop(&mut self) {
        for place in 0..2 {
            let (table, call) = self.part(place);
            // SAFETY: `begin` made it, and nothing is called afterwards.
            unsafe { (table.end)(call) };
        }
    }
}

// SAFETY: each block belongs to the heap of its domain, which keeps the contract; a block comes back for the domain it
// was taken for (the kernel's seam), so to its own heap. Moving the value moves the two heaps, which may move.
unsafe impl<R: RawAlloc, C: Choice<R>> Heap<R> for DynamicHeap<R, C> {
    fn new() -> Self {
        let tables = C::choice().tables.seal();
        let space = || HeapSpace([MaybeUninit::uninit(); 96]);
        let mut heap = DynamicHeap { tables, spaces: [space(), space()], _choice: PhantomData };
        for place in 0..2 {
            let (table, call) = heap.part(place);
            // SAFETY: the room is there, and nothing was made in it.
            unsafe { (table.begin)(call) };
        }
        heap
    }

    fn allocate(&mut self, raw: RawDomain<'_, R>, layout: Layout) -> Result<NonNull<[u8]>, AllocCause> {
        let (table, call) = self.serving(None);
        // SAFETY: `begin` made the heap.
        unsafe { (table.allocate)(call, raw, layout, None) }
    }

    unsafe fn deallocate(&mut self, raw: RawDomain<'_, R>, block: NonNull<u8>, layout: Layout) {
        let (table, call) = self.serving(None);
        // SAFETY: passed on.
        unsafe { (table.deallocate)(call, raw, block, layout, None) }
    }

    fn allocate_for(
        &mut self,
        raw: RawDomain<'_, R>,
        layout: Layout,
        asker: Asker,
    ) -> Result<NonNull<[u8]>, AllocCause> {
        let (table, call) = self.serving(Some(asker));
        // SAFETY: `begin` made the heap.
        unsafe { (table.allocate)(call, raw, layout, Some(asker)) }
    }

    fn vouches_for(&mut self, address: usize, layout: Layout, asker: Asker) -> bool {
        let (table, call) = self.serving(Some(asker));
        // SAFETY: `begin` made the heap.
        unsafe { (table.vouches_for)(call, address, layout, asker) }
    }

    unsafe fn deallocate_for(
        &mut self,
        raw: RawDomain<'_, R>,
        block: NonNull<u8>,
        layout: Layout,
        asker: Asker,
    ) {
        let (table, call) = self.serving(Some(asker));
        // SAFETY: passed on.
        unsafe { (table.deallocate)(call, raw, block, layout, Some(asker)) }
    }

    unsafe fn trim(&mut self, raw: RawDomain<'_, R>) {
        for place in 0..2 {
            let (table, call) = self.part(place);
            // SAFETY: passed on.
            unsafe { (table.trim)(call, raw) };
        }
    }

    unsafe fn sweep(&mut self, raw: RawDomain<'_, R>) {
        for place in 0..2 {
            let (table, call) = self.part(place);
            // SAFETY: passed on.
            unsafe { (table.sweep)(call, raw) };
        }
    }

    fn inspect(&self) -> HeapState {
        let state = |place: usize| {
            let table = self.tables[place];
            let heap = (&raw const self.spaces[place]).cast_mut();
            // SAFETY: `begin` made the heap; `inspect` only looks.
            unsafe { (table.inspect)(HeapCall { context: table.context, heap }) }
        };
        match (state(0), state(1)) {
            (broken @ HeapState::Broken(_), _) | (_, broken @ HeapState::Broken(_)) => broken,
            (HeapState::Sound { blocks }, HeapState::Sound { blocks: more }) => {
                HeapState::Sound { blocks: blocks + more }
            }
            _ => HeapState::Unknown,
        }
    }
}
