//! Exact bytes and blocks of one interpreter, by domain (SPEC M6).

use crate::{
    memory::{
        AllocCause, Domain, LimitError, MemoryLimits, Usage,
        domain_account::{DomainAccount, get, put},
    },
    sync::{Cell, tally::AtomicUsize},
};

/// Nothing is limited.
const UNLIMITED: usize = usize::MAX;

/// Whose requests are admitted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// Up to the soft limit; while a refusal is being handled, up to the reserve beyond it.
    Open,
    /// None: a holder saw the interpreter finalizing.
    Closed,
    /// Those of the thread that clears, up to the hard limit.
    Clearing,
}

/// What an addition found.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nearness {
    /// The limit is far.
    Far,
    /// The limit is near: the guest is to be told.
    Near,
}

/// Invariant [M3]: the tops together pass neither a limit, nor the point where one is near, nor the most that was live
/// at a time over all domains; each passes its domain's peak as little. So a request that stays below its domain's top
/// breaks no limit and raises no peak.
pub(crate) struct Account {
    domains: [DomainAccount; 3],
    peak: AtomicUsize,
    hard: AtomicUsize,
    soft: AtomicUsize,
    reserve: AtomicUsize,
    /// From here on the limit is near.
    near: Cell<usize>,
    /// Bytes and blocks of the raw domain that are charges: of these alone a charge can be taken back.
    charged: Cell<usize>,
    charges: Cell<u32>,
    /// Frames that handle a refusal.
    handlers: Cell<u16>,
    gate: Cell<Gate>,
    /// Each request is looked at: the heap is not the interpreter's own.
    every: Cell<bool>,
}

impl Account {
    pub(crate) fn new() -> Self {
        let limit = || AtomicUsize::new(UNLIMITED);
        Account {
            domains: [DomainAccount::new(), DomainAccount::new(), DomainAccount::new()],
            peak: AtomicUsize::new(0),
            hard: limit(),
            soft: limit(),
            reserve: AtomicUsize::new(0),
            near: Cell::new(UNLIMITED),
            charged: Cell::new(0),
            charges: Cell::new(0),
            handlers: Cell::new(0),
            gate: Cell::new(Gate::Open),
            every: Cell::new(false),
        }
    }

    /// For the next interpreter. `every`: room is handed out to no domain.
    pub(crate) fn renew(&self, limits: MemoryLimits, every: bool) {
        self.domains.iter().for_each(DomainAccount::clear);
        put(&self.peak, 0);
        self.charged.set(0);
        self.charges.set(0);
        self.handlers.set(0);
        self.gate.set(Gate::Open);
        self.every.set(every);
        let _ = self.put_limits(limits);
    }

    fn domain(&self, domain: Domain) -> &DomainAccount {
        &self.domains[domain as usize]
    }

    /// What will be live with one block more of so many bytes, if that needs no closer look: then the heap is the
    /// interpreter's own. Holder only.
    #[inline]
    pub(crate) fn room(&self, domain: Domain, bytes: usize) -> Option<usize> {
        self.domain(domain).room(bytes)
    }

    /// Adds the block that [`room`](Self::room) was answered for: so much is live now. Holder only.
    #[inline]
    pub(crate) fn take(&self, domain: Domain, live: usize) {
        self.domain(domain).took(live);
    }

    /// Takes a block away. Holder only.
    #[inline]
    pub(crate) fn give(&self, domain: Domain, bytes: usize) {
        self.domain(domain).gave(bytes);
    }

    /// Whether `more` bytes are allowed. Holder only.
    pub(crate) fn admit(&self, more: usize) -> Result<(), AllocCause> {
        if self.gate.get() == Gate::Closed {
            return Err(AllocCause::Finalizing);
        }
        match self.live().checked_add(more).filter(|total| total.cast_signed() >= 0) {
            Some(total) if total <= self.ceiling() => Ok(()),
            Some(total) if total <= get(&self.hard) => Err(AllocCause::SoftLimit),
            _ => Err(AllocCause::HardLimit),
        }
    }

    /// Whether a block may become so large. Holder only.
    pub(crate) fn admit_growth(&self, old: usize, new: usize) -> Result<(), AllocCause> {
        if new > old { self.admit(new - old) } else { Ok(()) }
    }

    /// What may be live at most, as the gate stands.
    fn ceiling(&self) -> usize {
        let (soft, hard) = (get(&self.soft), get(&self.hard));
        match self.gate.get() {
            Gate::Open if self.handlers.get() > 0 => soft.saturating_add(get(&self.reserve)).min(hard),
            Gate::Open => soft.min(hard),
            Gate::Clearing => hard,
            Gate::Closed => 0,
        }
    }

    /// Bytes that are live over all domains. Holder only, for exactness.
    fn live(&self) -> usize {
        self.domains.iter().map(DomainAccount::live).fold(0, usize::saturating_add)
    }

    /// Decides anew from where on the limit is near: seven eighths of it; and whether it is. Holder only.
    pub(crate) fn watch(&self) -> Nearness {
        let ceiling = self.ceiling();
        let (live, near) = (self.live(), ceiling - ceiling / 8);
        let watched = self.gate.get() == Gate::Open && self.handlers.get() == 0 && ceiling != UNLIMITED;
        let (near, nearness) = match watched {
            false => (UNLIMITED, Nearness::Far),
            // Above what is allowed, as after the use of a reserve, the next that is allowed is near.
            true if live < near || live > ceiling => (near, Nearness::Far),
            true => (live + (ceiling - live) / 2, Nearness::Near),
        };
        self.near.set(near);
        let total = self.settle();
        self.share(Domain::Object, total);
        nearness
    }

    /// Adds a block that was admitted. Holder only.
    pub(crate) fn add(&self, domain: Domain, bytes: usize) -> Nearness {
        let account = self.domain(domain);
        account.took(account.live() + bytes);
        self.look(domain)
    }

    /// Notes that a block changed its size, as was admitted. Holder only.
    pub(crate) fn exchange(&self, domain: Domain, old: usize, new: usize) -> Nearness {
        self.domain(domain).changed(old, new);
        self.look(domain)
    }

    /// Charges so many bytes to the raw domain, as one block. Holder only.
    pub(crate) fn charge(&self, bytes: usize) -> Result<Nearness, AllocCause> {
        self.admit(bytes)?;
        self.charged.set(self.charged.get() + bytes);
        self.charges.set(self.charges.get().wrapping_add(1));
        Ok(self.add(Domain::Raw, bytes))
    }

    /// Changes the size of a charge. Holder only.
    pub(crate) fn recharge(&self, old: usize, new: usize) -> Result<Nearness, AllocCause> {
        let rest = self.charged_beside(old)?;
        self.admit_growth(old, new)?;
        self.charged.set(rest + new);
        Ok(self.exchange(Domain::Raw, old, new))
    }

    /// Takes a charge back. Holder only.
    pub(crate) fn discharge(&self, bytes: usize) -> Result<(), AllocCause> {
        let rest = self.charged_beside(bytes)?;
        self.charged.set(rest);
        self.charges.set(self.charges.get().wrapping_sub(1));
        self.give(Domain::Raw, bytes);
        Ok(())
    }

    /// What is charged beside one charge, if there can be such a one.
    fn charged_beside(&self, bytes: usize) -> Result<usize, AllocCause> {
        let rest = self.charged.get().checked_sub(bytes).filter(|_| self.charges.get() > 0);
        rest.ok_or(AllocCause::NotCharged)
    }

    /// A closer look, after a domain got more than it had room for: peaks are raised and room is handed out anew, so that
    /// [M3] holds. The limit is near again when half of what is left is gone too.
    fn look(&self, domain: Domain) -> Nearness {
        let total = self.settle();
        let nearness = if total > self.near.get() {
            self.near.set(total + self.ceiling().saturating_sub(total) / 2);
            Nearness::Near
        } else {
            Nearness::Far
        };
        self.share(domain, total);
        nearness
    }

    /// Raises the peaks and takes all room back: what is live.
    fn settle(&self) -> usize {
        let total = self.domains.iter().map(DomainAccount::settle).fold(0, usize::saturating_add);
        put(&self.peak, get(&self.peak).max(total));
        total
    }

    /// Hands room out anew, if any is to be had.
    fn share(&self, asking: Domain, total: usize) {
        if !self.every.get() && self.gate.get() != Gate::Closed {
            self.hand_out(self.domain(asking), total);
        }
    }

    /// Room for each domain below its peak; where that is more than there may be, half of it for the one that asks.
    fn hand_out(&self, asking: &DomainAccount, total: usize) {
        let most = get(&self.peak).min(self.near.get()).min(self.ceiling());
        // After the reserve was used more may be live than is allowed: then what is given back is not to be had again.
        let Some(mut left) = most.checked_sub(total) else { return };
        let wanted: usize = self.domains.iter().map(DomainAccount::below_peak).fold(0, usize::saturating_add);
        let enough = wanted <= left;
        let mut give = |account: &DomainAccount| {
            let room = account.below_peak().min(if enough { left } else { left - left / 2 });
            account.hand_out(room);
            left -= room;
        };
        give(asking);
        self.domains.iter().filter(|account| !core::ptr::eq(*account, asking)).for_each(&mut give);
    }

    /// Bytes that may still be allocated. Holder only, for exactness.
    pub(crate) fn available(&self) -> usize {
        self.ceiling().saturating_sub(self.live())
    }

    /// From now on every request is refused as `Finalizing`. Holder only.
    pub(crate) fn close(&self) {
        self.gate.set(Gate::Closed);
        let _ = self.watch();
    }

    /// The clearing thread may allocate again, up to the hard limit. Holder only.
    pub(crate) fn reopen(&self) {
        self.gate.set(Gate::Clearing);
        let _ = self.watch();
    }

    /// Lets the reserve be used until [`end_handling`](Self::end_handling) was called as often. Holder only.
    pub(crate) fn begin_handling(&self) {
        self.handlers.set(self.handlers.get().saturating_add(1));
        let _ = self.watch();
    }

    /// Holder only.
    pub(crate) fn end_handling(&self) {
        self.handlers.set(self.handlers.get().saturating_sub(1));
        let _ = self.watch();
    }

    pub(crate) fn limits(&self) -> MemoryLimits {
        let some = |word| Some(get(word)).filter(|limit| *limit != UNLIMITED);
        MemoryLimits { hard: some(&self.hard), soft: some(&self.soft), reserve: get(&self.reserve) }
    }

    /// Holder only.
    pub(crate) fn set_limits(&self, limits: MemoryLimits) -> Result<Nearness, LimitError> {
        if self.gate.get() != Gate::Open {
            return Err(LimitError::Finalizing);
        }
        if limits.are_crossed() {
            return Err(LimitError::SoftAboveHard);
        }
        if limits.soft.or(limits.hard).is_some_and(|lowest| lowest < self.live()) {
            return Err(LimitError::BelowLive);
        }
        Ok(self.put_limits(limits))
    }

    fn put_limits(&self, limits: MemoryLimits) -> Nearness {
        put(&self.hard, limits.hard.unwrap_or(UNLIMITED));
        put(&self.soft, limits.soft.unwrap_or(UNLIMITED));
        put(&self.reserve, limits.reserve);
        self.watch()
    }

    pub(crate) fn usage(&self) -> Usage {
        let part = |domain: Domain| self.domain(domain).usage();
        Usage {
            raw: part(Domain::Raw),
            mem: part(Domain::Mem),
            object: part(Domain::Object),
            peak: get(&self.peak),
        }
    }
}
