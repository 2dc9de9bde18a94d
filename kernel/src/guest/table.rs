//! The table of a guest's functions: what an interpreter keeps of its language.

#![allow(unsafe_code)]

use core::{alloc::Layout, any::TypeId, mem::ManuallyDrop, ptr::NonNull};

use crate::{
    error::GuestError,
    guest::{Family, Guest, Step, Value},
    host::Host,
    memory::Domain,
    thread::Attached,
};

/// One language, as an interpreter holds it. Made by [`of`](Self::of).
pub struct GuestTable<H: Host> {
    pub(super) type_id: fn() -> TypeId,
    pub(super) state: StateTable<H>,
    pub(super) thread: StateTable<H>,
    pub(super) exec: fn(&mut Attached<'_, H>, &[u8]) -> Step,
    pub(super) call: fn(&mut Attached<'_, H>, &str, &[Value]) -> Step,
    pub(super) resume: fn(&mut Attached<'_, H>) -> Step,
    pub(super) eval: fn(&mut Attached<'_, H>, bool) -> Step,
    pub(crate) memory_low: fn(&mut Attached<'_, H>),
    pub(super) end: fn(&mut Attached<'_, H>),
}

/// How to make and drop one kind of state. It is kept as `At<'static>` behind a thin pointer.
pub(super) struct StateTable<H: Host> {
    layout: Layout,
    start: unsafe fn(&mut Attached<'_, H>, NonNull<u8>) -> Result<(), GuestError>,
    drop: unsafe fn(NonNull<u8>),
}

impl<H: Host> GuestTable<H> {
    /// The table of guest `G`.
    pub const fn of<G: Guest<H>>() -> &'static Self {
        const {
            &GuestTable {
                type_id: TypeId::of::<G>,
                state: StateTable {
                    layout: Layout::new::<<G::State as Family>::At<'static>>(),
                    start: start::<G, H>,
                    drop: drop_state::<G::State>,
                },
                thread: StateTable {
                    layout: Layout::new::<<G::Thread as Family>::At<'static>>(),
                    start: start_thread::<G, H>,
                    drop: drop_state::<G::Thread>,
                },
                exec: G::exec,
                call: G::call,
                resume: G::resume,
                eval: G::eval,
                memory_low: G::memory_low,
                end: G::end,
            }
        }
    }
}

/// Stores a value that was made at the token's brand at the brand of storage.
///
/// # Safety
/// `place` is memory for the value.
unsafe fn store<F: Family>(place: NonNull<u8>, value: F::At<'_>) {
    // SAFETY: one family type at two lifetimes has one layout; the brand does not exist at run time.
    unsafe { place.cast::<F::At<'_>>().write(value) }
}

unsafe fn start<G: Guest<H>, H: Host>(
    cx: &mut Attached<'_, H>,
    place: NonNull<u8>,
) -> Result<(), GuestError> {
    let state = G::start(cx)?;
    // SAFETY: the caller gives memory for the state.
    unsafe { store::<G::State>(place, state) };
    Ok(())
}

unsafe fn start_thread<G: Guest<H>, H: Host>(
    cx: &mut Attached<'_, H>,
    place: NonNull<u8>,
) -> Result<(), GuestError> {
    let data = G::start_thread(cx)?;
    // SAFETY: the caller gives memory for the data.
    unsafe { store::<G::Thread>(place, data) };
    Ok(())
}

unsafe fn drop_state<F: Family>(place: NonNull<u8>) {
    // SAFETY: the caller passes a live value, once.
    unsafe { place.cast::<F::At<'static>>().drop_in_place() }
}

/// Gives the block of a state back, also when the guest panics.
struct Free<'a, 'i, H: Host>(&'a mut Attached<'i, H>, NonNull<u8>, Layout);

impl<H: Host> Drop for Free<'_, '_, H> {
    fn drop(&mut self) {
        // SAFETY: the block was allocated by `make` with this layout, and holds no value any more, or not yet.
        unsafe { self.0.deallocate(Domain::Mem, self.1, self.2) }
    }
}

impl<H: Host> StateTable<H> {
    /// Makes a value in the interpreter's heap.
    pub(super) fn make(&self, cx: &mut Attached<'_, H>) -> Result<NonNull<u8>, GuestError> {
        let place = cx.allocate(Domain::Mem, self.layout)?;
        let free = Free(cx, place, self.layout);
        // SAFETY: the block is memory for the value.
        unsafe { (self.start)(free.0, place) }?;
        let _kept = ManuallyDrop::new(free);
        Ok(place)
    }

    /// Drops a value and gives its memory back.
    ///
    /// # Safety
    /// `place` came from `make` of this table in this interpreter, and nothing refers to it.
    pub(super) unsafe fn unmake(&self, cx: &mut Attached<'_, H>, place: NonNull<u8>) {
        let _free = Free(cx, place, self.layout);
        // SAFETY: passed on from the caller.
        unsafe { (self.drop)(place) }
    }
}
