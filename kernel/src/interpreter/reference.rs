//! References by id (SPEC L6): where an interpreter is *linked*, the loss of the last one ends it.
//!
//! It is ended on the spot where an end can be asked for and nothing runs in it. Else it is queued: in its own reference word,
//! for there may be no memory, and main's thread ends it when it runs pending calls the next time, or the runtime's
//! finalization does.

use crate::{
    error::{LookupError, PendingError},
    host::Host,
    interpreter::{Interpreter, Port},
    memory::Ledger,
    sync::{AtomicU32, Ordering},
};

const COUNT: u32 = (1 << 29) - 1;
/// The loss of the last reference ends it.
const LINKED: u32 = 1 << 29;
/// The last reference is gone, and the end is still to begin.
const QUEUED: u32 = 1 << 30;
/// Somebody is at that end.
const CLAIMED: u32 = 1 << 31;

/// References to one interpreter: how many, and what their loss does. `QUEUED` and `CLAIMED` are not set both; either is set
/// only where the count is 0 and it is linked.
///
/// | | neither | `QUEUED` | `CLAIMED` |
/// |---|---|---|---|
/// | [`incref`](Self::incref), [`link`](Self::link) | one more; linked | the same, and not queued any more | refused |
/// | [`decref`](Self::decref) | one less; at 0 and linked: `QUEUED` | refused | refused |
/// | [`unlink`](Self::unlink) | not linked | the same, and not queued any more | refused |
/// | [`claim`](Self::claim), by an ender | refused | `CLAIMED` | refused |
/// | [`unclaim`](Self::unclaim), by that ender | | | `QUEUED`, or neither |
///
/// An end that somebody asks for does not look at it.
pub(super) struct ReferenceWord(AtomicU32);

/// The answer to [`ReferenceWord::decref`].
#[must_use]
pub(super) enum TakenBack {
    /// So many are left.
    Left(u32),
    /// It was the last one: the end is queued.
    Last,
    /// There was none.
    None,
}

impl ReferenceWord {
    const_unless_loom! {
        pub(super) const fn new() -> Self {
            ReferenceWord(AtomicU32::new(0))
        }
    }

    /// For the slot's next interpreter. A reset keeps it.
    pub(super) fn renew(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// One step. Acquire and release: who ends the interpreter comes after everybody who gave a reference back.
    fn step<E>(&self, mut next: impl FnMut(u32) -> Result<u32, E>) -> Result<u32, E> {
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            let then = next(now)?;
            match self.0.compare_exchange_weak(now, then, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Ok(then),
                Err(other) => now = other,
            }
        }
    }

    /// The word, but for one whose loss ends it at this moment.
    fn kept(word: u32) -> Result<u32, LookupError> {
        if word & CLAIMED == 0 { Ok(word & !QUEUED) } else { Err(LookupError::NotFound) }
    }

    fn incref(&self) -> Result<u32, LookupError> {
        self.step(|now| match Self::kept(now)? {
            full if full & COUNT == COUNT => Err(LookupError::TooMany),
            kept => Ok(kept + 1),
        })
    }

    /// `ends`: its loss may end it.
    fn decref(&self, ends: bool) -> TakenBack {
        let taken = self.step(|now| match now & (COUNT | LINKED) {
            none if none & COUNT == 0 => Err(()),
            last if ends && last == LINKED + 1 => Ok(LINKED | QUEUED),
            more => Ok(more - 1),
        });
        match taken {
            Err(()) => TakenBack::None,
            Ok(word) if word & QUEUED != 0 => TakenBack::Last,
            Ok(word) => TakenBack::Left(word & COUNT),
        }
    }

    fn link(&self) -> Result<u32, LookupError> {
        self.step(|now| Ok(Self::kept(now)? | LINKED))
    }

    fn unlink(&self) -> Result<u32, LookupError> {
        self.step(|now| Ok(Self::kept(now)? & !LINKED))
    }

    /// Takes the end that is queued, for the caller alone. `false`: none is, or it was taken back.
    #[must_use]
    pub(super) fn claim(&self) -> bool {
        self.step(|now| if now & QUEUED == 0 { Err(()) } else { Ok(now ^ (QUEUED | CLAIMED)) }).is_ok()
    }

    /// The end that was claimed did not go on: it is queued again, or not any more.
    pub(super) fn unclaim(&self, again: bool) {
        let _ = self.step(|now| match now & CLAIMED {
            0 => Err(()),
            _ => Ok(now & !CLAIMED | if again { QUEUED } else { 0 }),
        });
    }

    /// Whether an end is queued.
    pub(super) fn is_queued(&self) -> bool {
        self.0.load(Ordering::Acquire) & QUEUED != 0
    }

    /// Whether an end is queued, or somebody is at it.
    #[inline]
    pub(super) fn is_orphaned(&self) -> bool {
        self.0.load(Ordering::Relaxed) & (QUEUED | CLAIMED) != 0
    }
}

/// References to an interpreter at the moment of asking (SPEC L6).
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct References {
    /// How many there are.
    pub count: u32,
    /// Whether the loss of the last one ends it.
    pub linked: bool,
    /// The last one is gone, and main's thread is still to end it.
    pub queued: bool,
}

impl References {
    fn of(word: u32) -> Self {
        References { count: word & COUNT, linked: word & LINKED != 0, queued: word & (QUEUED | CLAIMED) != 0 }
    }
}

/// What giving a reference back did (SPEC L6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decref {
    /// So many are left; at 0 it is not linked, or main, which ends with the runtime.
    Left(u32),
    /// It was the last one, and the interpreter ended.
    Ended(Ledger),
    /// It was the last one, and the interpreter could not be ended here and now. Main's thread ends it when it runs pending
    /// calls the next time; where others are inside, they are told, and the last to leave may complete it before.
    Queued,
}

impl<H: Host> Interpreter<'_, H> {
    /// One more reference (`_PyInterpreterState_IDIncref`; SPEC L6): how many there are now. It keeps the interpreter only
    /// from what the loss of references does; somebody may end it all the same.
    ///
    /// # Errors
    /// `NotFound` once it ended, or where the loss of its last reference is ending it; until that begins it is
    /// taken back. `TooMany`.
    pub fn incref(&self) -> Result<u32, LookupError> {
        self.with_references(ReferenceWord::incref).map(|references| references.count)
    }

    /// One reference less (`_PyInterpreterState_IDDecref`; SPEC L6). Where it was the last one of an interpreter that is
    /// [linked](Self::link), the interpreter is ended without waiting for anybody: its callbacks run, and threads that are
    /// inside are told.
    ///
    /// That happens here, if this thread could ask for an end now and nothing runs in its main slot; else, as from inside, in
    /// a destructor, or while this thread keeps others stopped, it is queued, which takes no memory. Main's thread ends it
    /// then, and an [observer](crate::observe::Event::InterpreterOrphaned) is told. While threads are to be joined or guards are
    /// held it stays queued; an observer's veto takes it back.
    ///
    /// # Errors
    /// `NotReferenced`: there was none, and nothing changed. `NotFound` once it ended; `InInterrupt`, where a
    /// [`Port`] helps.
    pub fn decref(&self) -> Result<Decref, LookupError> {
        let ends = !self.id.is_main();
        let taken =
            self.rt.look(|registry| Ok(self.rt.listed(registry, self.id)?.head.references.decref(ends)))?;
        self.rt.after_decref(self.id, taken)
    }

    /// From now on the loss of the last reference ends it (`_PyInterpreterState_RequireIDRef`; SPEC L6). That there is none
    /// at this moment does nothing.
    ///
    /// # Errors
    /// As for [`incref`](Self::incref), but `TooMany`.
    pub fn link(&self) -> Result<(), LookupError> {
        self.with_references(ReferenceWord::link).map(|_| ())
    }

    /// From now on it does not (SPEC L6); an end that is queued is taken back.
    ///
    /// # Errors
    /// As for [`link`](Self::link).
    pub fn unlink(&self) -> Result<(), LookupError> {
        self.with_references(ReferenceWord::unlink).map(|_| ())
    }

    /// Its references.
    ///
    /// # Errors
    /// `NotFound` once it ended.
    pub fn references(&self) -> Result<References, LookupError> {
        self.with_references(|word| Ok(word.0.load(Ordering::Relaxed)))
    }

    fn with_references(
        &self,
        f: impl FnOnce(&ReferenceWord) -> Result<u32, LookupError>,
    ) -> Result<References, LookupError> {
        self.rt.look(|registry| f(&self.rt.listed(registry, self.id)?.head.references)).map(References::of)
    }
}

impl<H: Host> Port<'_, H> {
    /// As [`Interpreter::decref`], also in interrupt handlers: there the last one queues the end.
    ///
    /// # Errors
    /// `NotReferenced`; `NotFound` once it is finalizing or ended; `Busy` if too many others are at it at this moment.
    pub fn decref(&self) -> Result<Decref, LookupError> {
        let (view, id) = (self.view, self.view.id());
        // The visit is over before an end waits for it.
        let taken = match view.visit() {
            Ok(_visit) => view.slot().head.references.decref(!id.is_main()),
            Err(PendingError::Busy) => return Err(LookupError::Busy),
            Err(_) => return Err(LookupError::NotFound),
        };
        view.rt().after_decref(id, taken)
    }
}
