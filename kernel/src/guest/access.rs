//! Typed access to a guest's state: the guest is checked, and the state handed out at the token's brand.

#![allow(unsafe_code)]

use core::{any::TypeId, ptr, ptr::NonNull};

use crate::{
    error::GuestError,
    guest::{Family, Guest, GuestTable},
    host::Host,
    thread::{Attached, place::Place},
};

/// A guest's state in this interpreter and its data in this thread state.
///
/// Unique while the token is borrowed: nobody else runs this interpreter meanwhile.
pub struct GuestParts<'a, 'i, G: Guest<H>, H: Host> {
    /// The state of the interpreter.
    pub state: &'a mut <G::State as Family>::At<'i>,
    /// The data of this thread state.
    pub thread: &'a mut <G::Thread as Family>::At<'i>,
}

impl<'i, H: Host> Attached<'i, H> {
    pub(crate) fn start_guest(&mut self, table: &'static GuestTable<H>) -> Result<(), GuestError> {
        let state = table.state.make(self)?;
        self.slot().guest.set(state.as_ptr().cast());
        self.slot().guest_table.set(Some(table));
        Ok(())
    }

    pub(crate) fn guest_table(&self) -> Result<&'static GuestTable<H>, GuestError> {
        self.slot().guest_table.get().ok_or(GuestError::NoGuest)
    }

    /// Whether this interpreter runs guest `G`.
    pub fn runs<G: Guest<H>>(&self) -> bool {
        self.guest_table().is_ok_and(|table| (table.type_id)() == TypeId::of::<G>())
    }

    /// Whether a `with_guest` has the guest's state.
    pub(crate) fn is_guest_lent(&self) -> bool {
        self.slot().guest_table.get().is_some() && self.slot().guest.get().is_null()
    }

    fn state_of<G: Guest<H>>(&self) -> Result<NonNull<()>, GuestError> {
        let table = self.guest_table()?;
        if (table.type_id)() != TypeId::of::<G>() {
            return Err(GuestError::WrongGuest);
        }
        NonNull::new(self.slot().guest.get()).ok_or(GuestError::Lent)
    }

    /// State and thread data of guest `G`. The data is made at the first call on a thread state.
    ///
    /// # Errors
    /// `NoGuest` or `WrongGuest`; `Lent` inside [`with_guest`](Self::with_guest); whatever kept the thread data from being
    /// made.
    pub fn guest<G: Guest<H>>(&mut self) -> Result<GuestParts<'_, 'i, G, H>, GuestError> {
        let state = self.state_of::<G>()?;
        if self.thread().guest().is_null() {
            let made = self.guest_table()?.thread.make(self)?;
            let thread = self.thread();
            if thread.guest().is_null() {
                thread.set_guest(made.as_ptr().cast());
            } else {
                // `start_thread` asked for its own data; the inner one stands.
                // SAFETY: the value was made a moment ago and nothing refers to it.
                unsafe { self.guest_table()?.thread.unmake(self, made) };
            }
        }
        let (state, thread) = (state.cast(), self.thread().guest().cast());
        // SAFETY: [P1] both pointers lead to live values of this guest, checked by its type, made in this
        // interpreter. `&mut self` is the unique token of the interpreter, so nobody else has them; the brand
        // is the token's.
        unsafe { Ok(GuestParts { state: &mut *state.as_ptr(), thread: &mut *thread }) }
    }

    /// Runs `f` with state and thread data of guest `G` and with the token beside them: what lies in the state may grow.
    ///
    /// Meanwhile they are lent: whoever asks for them in this interpreter, also on another thread where `f` detaches, gets an
    /// error. That memory is low the guest is told afterwards.
    ///
    /// # Errors
    /// As of [`guest`](Self::guest).
    pub fn with_guest<G: Guest<H>, R>(
        &mut self,
        f: impl FnOnce(GuestParts<'_, 'i, G, H>, &mut Self) -> R,
    ) -> Result<R, GuestError> {
        /// Gives the state back, also where `f` panics.
        struct Lent<'a, H: Host>(Place<'a, H>, *mut ());
        impl<H: Host> Drop for Lent<'_, H> {
            fn drop(&mut self) {
                self.0.interpreter.guest.set(self.1);
            }
        }
        let GuestParts { state, thread } = self.guest::<G>()?;
        let (state, thread) = (ptr::from_mut(state), ptr::from_mut(thread));
        // SAFETY: not used after this call.
        let place = unsafe { self.place_of_frame() };
        let lent = Lent(place, place.interpreter.guest.replace(ptr::null_mut()));
        // SAFETY: [P1] nobody reaches the state while it is lent, nor the data, which is handed out with the state only; both
        // live until this activation is over.
        let parts = unsafe { GuestParts { state: &mut *state, thread: &mut *thread } };
        let answer = f(parts, self);
        drop(lent);
        Ok(answer)
    }

    /// The state of guest `G`, to be read.
    ///
    /// # Errors
    /// `NoGuest` or `WrongGuest`; `Lent` inside [`with_guest`](Self::with_guest).
    pub fn guest_state<G: Guest<H>>(&self) -> Result<&<G::State as Family>::At<'i>, GuestError> {
        let state = self.state_of::<G>()?;
        // SAFETY: [P1] as in `guest`; `&self` excludes `&mut` borrows of it.
        unsafe { Ok(state.cast().as_ref()) }
    }

    /// Drops the guest's data of this thread state.
    pub(crate) fn drop_thread_data(&mut self) {
        if let (Some(data), Ok(table)) = (self.thread().take_guest(), self.guest_table()) {
            // SAFETY: [P1] the data was made by this table in this interpreter; `&mut self` excludes borrows.
            unsafe { table.thread.unmake(self, data) };
        }
    }

    /// Takes the guest down. In phase CLEARING, on the reserve token.
    pub(crate) fn end_guest(&mut self) {
        let Ok(table) = self.guest_table() else { return };
        if !self.slot().guest.get().is_null() {
            (table.end)(self);
        }
        while let Some(data) = self.take_any_thread_data() {
            // SAFETY: [P1] as in `drop_thread_data`; the thread states are not attached, for this token is the
            // only one there is.
            unsafe { table.thread.unmake(self, data) };
        }
        if let Some(state) = NonNull::new(self.slot().guest.replace(ptr::null_mut())) {
            // SAFETY: [P1] as above.
            unsafe { table.state.unmake(self, state.cast()) };
        }
        self.slot().guest_table.set(None);
    }

    fn take_any_thread_data(&self) -> Option<NonNull<u8>> {
        self.rt().locked(|_| {
            let mut at = self.slot().head.threads.get();
            // SAFETY: under the lock the list is stable, and its slots are type-stable.
            while let Some(thread) = unsafe { at.as_ref() } {
                if let Some(data) = thread.take_guest() {
                    return Some(data);
                }
                at = thread.next.get();
            }
            None
        })
    }
}
