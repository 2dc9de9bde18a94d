//! Reset: an interpreter returns to its just-created state and keeps its name and its place (SPEC L14).
//!
//! It is an end up to the sweep and a creation from the guest's start on, in one slot:
//!
//! ```text
//! RUNNING → FINALIZING → CLEARING → CREATING → RUNNING
//!       begin_end    claim    begin_again  publish
//! ```
//!
//! All thread states die before `begin_again`, so one of before that enters later finds its generation gone, as after an
//! end. Ports stay: they begin visits in RUNNING only.

use core::{mem, ptr};

use crate::{
    error::{EndError, ResetError},
    host::Host,
    interpreter::{
        InterpreterSlot, Patience, Phase,
        create::Taken,
        end::refuse_own_frames,
        retire::{Finish, Tell, with_token},
    },
    memory::Ledger,
    observe::Event,
    thread::{ThreadState, place::Place},
};

impl<'rt, H: Host> ThreadState<'rt, H> {
    /// Returns the interpreter to the state it was created in, without creating another (SPEC L14): for pools that hand
    /// out warm interpreters.
    ///
    /// It begins as [`Runtime::end`](crate::runtime::Runtime::end) does: nobody gets in, running code is told `Finalizing`, what is owed runs, the
    /// guest is taken down, values are dropped and the heap is swept. Then the guest starts again under the config of
    /// the creation: limits, fuel, deadline, switch interval and thread binding are as they were then, accounts and
    /// counters begin anew. Name, [`Port`](crate::interpreter::Port)s and this handle go on; every other thread state
    /// has ended, and every [`Global`](crate::object::Global) of before is stale. Slots that
    /// [`reserve_calls`](crate::interpreter::Interpreter::reserve_calls) set aside are given back: set them aside again. Meanwhile it is not listed.
    ///
    /// The ledger says what the program had not given back.
    ///
    /// A panic of a destructor or of the guest goes on when the interpreter has ended.
    ///
    /// # Errors
    /// [`ResetError::End`]: as for [`Runtime::end`](crate::runtime::Runtime::end); after `StillActive` it has become an end, which the last activation
    /// to leave completes. [`ResetError::Create`]: the guest did not start again, or not within the limits; the
    /// interpreter ended. [`ResetError::ThreadEnded`] and [`ResetError::NoMemory`]: nothing changed.
    pub fn reset(&mut self, patience: Patience) -> Result<Ledger, ResetError> {
        let Place { rt, interpreter: slot, .. } = self.place();
        let id = self.interpreter();
        rt.may_wait(patience)?;
        if id.is_main() {
            return Err(EndError::Main.into());
        }
        let thread = rt.new_thread_slot().map_err(|_| ResetError::NoMemory)?;
        let fresh = Taken { rt, thread: Some(thread), slot: ptr::null_mut() };
        let refuse = |slot: &InterpreterSlot<H>| {
            // Of a thread state that ended, in an interpreter that did not: another one reset it.
            if !self.is_alive() {
                return Err(EndError::NotFound);
            }
            refuse_own_frames::<H>(slot)?;
            // One that is ending was asked to end.
            if slot.head.word.phase() == Phase::Running { Ok(()) } else { Err(EndError::InProgress) }
        };
        let announce = || rt.tell(&Event::InterpreterClearing { id });
        let begun = rt.begin_end(id, refuse, announce).map_err(|error| match error {
            EndError::NotFound => ResetError::ThreadEnded,
            other => other.into(),
        })?;
        begun.await_exits(0, patience)?;
        let guest = slot.guest_table.get();
        let mut tell = Tell::of(rt, slot);
        let finish = Finish::new(rt, slot);
        with_token(rt, slot, None, |cx| cx.take_down(&mut tell.ledger));
        let generation = finish.begin_again(thread).ok_or(ResetError::Worn)?;
        mem::forget(fresh);
        let place = Place { rt, interpreter: slot, thread };
        place.start_up(&slot.head.config(), guest)?;
        self.move_to(place, generation);
        slot.head.word.publish();
        rt.moved_on();
        rt.remind_of(slot);
        let ledger = tell.into_ledger();
        let _ = rt.tell(&Event::InterpreterReset { id, ledger: &ledger });
        Ok(ledger)
    }
}
