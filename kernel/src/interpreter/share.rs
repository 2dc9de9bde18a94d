//! The switch from one GIL's heap to everybody's (SPEC M3, the third strategy).

#![allow(unsafe_code)]

use crate::{
    host::{Heap, Host},
    interpreter::InterpreterSlot,
    thread::{
        place::Place,
        slot::{Status, ThreadSlot},
    },
};

/// Main's GIL, held by a creator through the thread state it is about to answer.
struct MainsGil<'a, H: Host>(&'a InterpreterSlot<H>, &'a ThreadSlot);

impl<H: Host> Drop for MainsGil<'_, H> {
    fn drop(&mut self) {
        self.1.set_status(Status::Detached);
        // SAFETY: taken below, on this thread and through this thread state.
        unsafe { self.0.gil().release(self.1) }
        // Of main's GIL, which this thread state does not take again.
        self.1.set_gave_way(None);
    }
}

impl<H: Host> Place<'_, H> {
    /// Tells main's heap that several threads use it from now on, if this interpreter will use it under a GIL of its own
    /// and nobody told it before.
    ///
    /// Runs in phase CREATING, between listing and the first use: listed, the interpreter keeps main from ending; not
    /// started, it has not touched the heap. Main's GIL orders the switch with all who use the heap without a lock: who
    /// had the GIL before is out of the heap, and who gets it next comes after the switch. The creator holds no GIL and
    /// no lock, so it waits for main's as an attach to main would: no longer than its holder takes to the next
    /// safepoint, and only until the heap has been told once.
    pub(crate) fn share_heap(self) {
        let Some(sharing) = <H::Heap as Heap<H::Raw>>::SHARING else { return };
        let Some(main) = self.interpreter.shares_heap_of() else { return };
        // SAFETY: the heap lives as long as its slot; where the type can be shared, only main's end uses it alone.
        let heap = unsafe { &*main.own_heap.get() };
        if (sharing.is_shared)(heap) {
            return;
        }
        self.rt.assert_unlocked();
        main.gil().take_untimed(self.thread, &self.interpreter.head);
        let _held = MainsGil(main, self.thread);
        // SAFETY: [M4]: main's GIL is held.
        unsafe { (sharing.share)(heap) }
    }
}
