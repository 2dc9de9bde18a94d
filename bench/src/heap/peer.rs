//! The heap of an interpreter with its account and limits, and its peers.

#![allow(unsafe_code)]

use core::{
    alloc::GlobalAlloc,
    mem::MaybeUninit,
    ptr::{self, NonNull},
};

use archipelago::{
    StdHost,
    kernel::{
        Attached, Host,
        host::Heap,
        memory::{Domain, RawDomain},
    },
};
use archipelago_alloc_slab::UsualHeap;
use archipelago_alloc_system::SystemRaw;

use super::{Bytes, Memory};

/// An interpreter's object domain: accounts and limits on.
pub struct Ours<'a, 'i, H: Host = StdHost>(pub &'a mut Attached<'i, H>);

impl<H: Host> Memory for Ours<'_, '_, H> {
    #[inline(never)]
    fn take(&mut self, bytes: Bytes) -> *mut u8 {
        self.0.allocate(Domain::Object, bytes.layout()).map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    #[inline(never)]
    unsafe fn give(&mut self, block: *mut u8, bytes: Bytes) {
        // SAFETY: passed on; a block is not null.
        unsafe { self.0.deallocate(Domain::Object, NonNull::new_unchecked(block), bytes.layout()) }
    }
}

/// The same as a guest in Rust has it: what needs no closer look is compiled into the guest's own code.
pub struct Inlined<'a, 'i, H: Host = StdHost>(pub &'a mut Attached<'i, H>);

impl<H: Host> Memory for Inlined<'_, '_, H> {
    #[inline(always)]
    fn take(&mut self, bytes: Bytes) -> *mut u8 {
        self.0.allocate(Domain::Object, bytes.layout()).map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    #[inline(always)]
    unsafe fn give(&mut self, block: *mut u8, bytes: Bytes) {
        // SAFETY: passed on; a block is not null.
        unsafe { self.0.deallocate(Domain::Object, NonNull::new_unchecked(block), bytes.layout()) }
    }
}

/// A list of free blocks and a counter of bytes, and nothing else: the least that a call of an allocator takes.
pub struct Bare {
    free: *mut *mut u8,
    live: usize,
    _blocks: Box<[[*mut u8; 2]]>,
}

impl Bare {
    /// Two blocks of 16 bytes.
    #[expect(clippy::new_without_default, reason = "it takes memory")]
    pub fn new() -> Self {
        let mut blocks: Box<[_]> = Box::new([[ptr::null_mut(); 2]; 2]);
        let second = (&raw mut blocks[1]).cast::<u8>();
        blocks[0][0] = second;
        Bare { free: blocks.as_mut_ptr().cast(), live: 0, _blocks: blocks }
    }
}

impl Memory for Bare {
    #[inline(never)]
    fn take(&mut self, bytes: Bytes) -> *mut u8 {
        let block = self.free;
        if !block.is_null() {
            // SAFETY: a free block holds the next one.
            self.free = unsafe { block.read() }.cast();
            self.live += bytes.get();
        }
        block.cast()
    }

    #[inline(never)]
    unsafe fn give(&mut self, block: *mut u8, bytes: Bytes) {
        let block = block.cast::<*mut u8>();
        // SAFETY: passed on; a block has room for a pointer.
        unsafe { block.write(self.free.cast()) };
        self.free = block;
        self.live -= bytes.get();
    }
}

/// The heap of an interpreter alone: nobody counts what it serves, and it may serve anything.
pub struct Uncounted(UsualHeap);

impl Uncounted {
    /// One that owns nothing yet.
    #[expect(clippy::new_without_default, reason = "what it takes is given back by its sweep only")]
    pub fn new() -> Self {
        Uncounted(UsualHeap::new())
    }
}

impl Memory for Uncounted {
    #[inline(never)]
    fn take(&mut self, bytes: Bytes) -> *mut u8 {
        let layout = bytes.layout();
        let at_hand = Heap::<SystemRaw>::allocate_at_hand(&mut self.0, layout);
        let block = match at_hand {
            Some(block) => Some(block),
            None => self.0.allocate(RawDomain::new(&SystemRaw), layout).ok().map(NonNull::cast),
        };
        block.map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    #[inline(never)]
    unsafe fn give(&mut self, block: *mut u8, bytes: Bytes) {
        // SAFETY: passed on; a block is not null, and the raw domain is the one it was asked for with.
        unsafe {
            let block = NonNull::new_unchecked(block);
            self.0.deallocate(RawDomain::new(&SystemRaw), block, bytes.layout());
        }
    }
}

impl Drop for Uncounted {
    fn drop(&mut self) {
        // SAFETY: the patterns are over.
        unsafe { self.0.sweep(RawDomain::new(&SystemRaw)) };
    }
}

/// Microsoft's, for a whole process: the functions of C that its users call.
pub struct Mimalloc;

// The calls are the library's own, so nothing stands between the pattern and them.
impl Memory for Mimalloc {
    #[inline(always)]
    fn take(&mut self, bytes: Bytes) -> *mut u8 {
        // SAFETY: it may be called with any size.
        unsafe { libmimalloc_sys::mi_malloc(bytes.get()).cast() }
    }

    #[inline(always)]
    unsafe fn give(&mut self, block: *mut u8, _: Bytes) {
        // SAFETY: the block came from it and is live.
        unsafe { libmimalloc_sys::mi_free(block.cast()) }
    }
}

macro_rules! global {
    ($($(#[$doc:meta])* $name:ident($inner:expr);)+) => {
        $(
            $(#[$doc])*
            pub struct $name;

            impl Memory for $name {
                #[inline(always)]
                fn take(&mut self, bytes: Bytes) -> *mut u8 {
                    // SAFETY: there are bytes.
                    unsafe { $inner.alloc(bytes.layout()) }
                }

                #[inline(always)]
                unsafe fn give(&mut self, block: *mut u8, bytes: Bytes) {
                    // SAFETY: passed on.
                    unsafe { $inner.dealloc(block, bytes.layout()) }
                }
            }
        )+
    };
}

global! {
    /// Microsoft Research's, for a whole process.
    Snmalloc(snmalloc_rs::SnMalloc);
    /// The C library's, for a whole process.
    System(std::alloc::System);
}

/// Room for peers that are given a region. Only what is touched is resident.
const REGION: usize = 256 << 20;

fn region() -> Box<[MaybeUninit<u8>]> {
    Box::new_uninit_slice(REGION)
}

/// For a region, without a lock.
pub struct Talc {
    heap: talc::base::Talc<talc::source::Manual, talc::DefaultBinning>,
    _region: Box<[MaybeUninit<u8>]>,
}

impl Talc {
    /// One with a region of its own.
    #[expect(clippy::new_without_default, reason = "it takes a region")]
    pub fn new() -> Self {
        let mut region = region();
        let mut heap = talc::base::Talc::new(talc::source::Manual);
        // SAFETY: the region is kept beside the heap, and used by nobody else.
        let claimed = unsafe { heap.claim(region.as_mut_ptr().cast(), REGION) };
        assert!(claimed.is_some(), "the region is large enough");
        Talc { heap, _region: region }
    }
}

impl Memory for Talc {
    #[inline(never)]
    fn take(&mut self, bytes: Bytes) -> *mut u8 {
        // SAFETY: there are bytes.
        unsafe { self.heap.allocate(bytes.layout()) }.map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    #[inline(never)]
    unsafe fn give(&mut self, block: *mut u8, bytes: Bytes) {
        // SAFETY: passed on.
        unsafe { self.heap.deallocate(block, bytes.layout()) }
    }
}

/// Two-level segregated fit, for a region, without a lock.
pub struct Rlsf(rlsf::Tlsf<'static, u32, u32, 28, 32>);

impl Rlsf {
    /// One with a region of its own, which is never given back.
    #[expect(clippy::new_without_default, reason = "it takes a region")]
    pub fn new() -> Self {
        let mut heap = rlsf::Tlsf::new();
        let _pool = heap.insert_free_block(Box::leak(region()));
        Rlsf(heap)
    }
}

impl Memory for Rlsf {
    #[inline(never)]
    fn take(&mut self, bytes: Bytes) -> *mut u8 {
        self.0.allocate(bytes.layout()).map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    #[inline(never)]
    unsafe fn give(&mut self, block: *mut u8, bytes: Bytes) {
        // SAFETY: passed on; a block is not null.
        unsafe { self.0.deallocate(NonNull::new_unchecked(block), bytes.layout().align()) }
    }
}

/// First fit in a list, for a region, without a lock.
pub struct LinkedList(linked_list_allocator::Heap);

impl LinkedList {
    /// One with a region of its own, which is never given back.
    #[expect(clippy::new_without_default, reason = "it takes a region")]
    pub fn new() -> Self {
        let mut heap = linked_list_allocator::Heap::empty();
        heap.init_from_slice(Box::leak(region()));
        LinkedList(heap)
    }
}

impl Memory for LinkedList {
    #[inline(never)]
    fn take(&mut self, bytes: Bytes) -> *mut u8 {
        self.0.allocate_first_fit(bytes.layout()).map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    #[inline(never)]
    unsafe fn give(&mut self, block: *mut u8, bytes: Bytes) {
        // SAFETY: passed on; a block is not null.
        unsafe { self.0.deallocate(NonNull::new_unchecked(block), bytes.layout()) }
    }
}
