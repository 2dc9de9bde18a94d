//! Exact bytes and blocks of one interpreter, by domain (SPEC M6).
//!
//! The words are written by the holder of the GIL only and may be read from anywhere, so plain relaxed
//! loads and stores are enough: no read-modify-write stands on the allocation path.

use crate::{
    memory::{AllocCause, Domain, LimitError, MemoryLimits},
    sync::{
        Cell, Ordering,
        tally::{AtomicU32, AtomicUsize},
    },
};

/// Requested bytes and blocks of one domain.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DomainUsage {
    /// Requested bytes that are live.
    pub bytes: usize,
    /// Blocks that are live.
    pub blocks: usize,
    /// The most bytes that were live at a time.
    pub peak: usize,
}

/// What an interpreter uses, at the moment of asking.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Memory outside the interpreter's heap that is charged to it: its own slots and what a guest's engine
    /// took elsewhere.
    pub raw: DomainUsage,
    /// The mem domain.
    pub mem: DomainUsage,
    /// The object domain.
    pub object: DomainUsage,
    /// The most bytes that were live at a time over all domains.
    pub peak: usize,
}

impl Usage {
    /// Requested bytes that are live, over all domains.
    pub const fn bytes(&self) -> usize {
        // Of words that change meanwhile, so the sum is not one that ever was.
        self.raw.bytes.saturating_add(self.mem.bytes).saturating_add(self.object.bytes)
    }

    /// One domain's part.
    pub const fn domain(&self, domain: Domain) -> DomainUsage {
        match domain {
            Domain::Raw => self.raw,
            Domain::Mem => self.mem,
            Domain::Object => self.object,
        }
    }
}

/// One domain's part of an account.
struct DomainAccount {
    live: AtomicUsize,
    /// What is live may be less than this without a closer look.
    top: AtomicUsize,
    peak: AtomicUsize,
    blocks: AtomicU32,
}

#[inline]
fn get(word: &AtomicUsize) -> usize {
    word.load(Ordering::Relaxed)
}

#[inline]
fn put(word: &AtomicUsize, value: usize) {
    word.store(value, Ordering::Relaxed);
}

impl DomainAccount {
    fn new() -> Self {
        let word = || AtomicUsize::new(0);
        DomainAccount { live: word(), top: word(), peak: word(), blocks: AtomicU32::new(0) }
    }

    /// So many bytes are live now, in so many blocks more, which wraps.
    #[inline]
    fn now(&self, live: usize, more: u32) {
        put(&self.live, live);
        self.blocks.store(self.blocks.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }

    /// Bytes that are live. After a wrong discharge more may be given back than is left: that is none.
    fn live(&self) -> usize {
        let live = get(&self.live);
        if live.cast_signed() < 0 { 0 } else { live }
    }

    /// As for the bytes.
    fn blocks(&self) -> usize {
        let blocks = self.blocks.load(Ordering::Relaxed);
        if blocks.cast_signed() < 0 { 0 } else { blocks as usize }
    }

    /// Bytes below the most that were ever live.
    fn below_peak(&self) -> usize {
        get(&self.peak).saturating_sub(self.live())
    }
}

/// Nothing is limited.
const UNLIMITED: usize = usize::MAX;

/// Whose requests are admitted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// Up to the soft limit.
    Open,
    /// Up to the reserve beyond it: a refusal is being handled.
    Reserve,
    /// None: a holder saw the interpreter finalizing.
    Closed,
}

/// The answer to [`Account::admit`] where it is a yes.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// There is room.
    Freely,
    /// There is room, but the limit is near.
    NearTheLimit,
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
    gate: Cell<Gate>,
    /// Each request is looked at: the heap is not the interpreter's own.
    every: Cell<bool>,
    /// From here on the limit is near.
    near: Cell<usize>,
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
            gate: Cell::new(Gate::Open),
            every: Cell::new(false),
            near: Cell::new(UNLIMITED),
        }
    }

    /// For the next interpreter. `every`: room is handed out to no domain.
    pub(crate) fn renew(&self, limits: MemoryLimits, every: bool) {
        self.every.set(every);
        for domain in &self.domains {
            for word in [&domain.live, &domain.top, &domain.peak] {
                put(word, 0);
            }
            domain.blocks.store(0, Ordering::Relaxed);
        }
        put(&self.peak, 0);
        self.gate.set(Gate::Open);
        self.put_limits(limits);
    }

    fn domain(&self, domain: Domain) -> &DomainAccount {
        &self.domains[domain as usize]
    }

    /// What will be live with one block more of so many bytes, if that needs no closer look: then the heap is the
    /// interpreter's own. Holder only.
    #[inline]
    pub(crate) fn room(&self, domain: Domain, bytes: usize) -> Option<usize> {
        let account = self.domain(domain);
        // Neither passes `isize::MAX`: blocks do not, and charges beyond are refused.
        let live = get(&account.live).wrapping_add(bytes);
        (live < get(&account.top)).then_some(live)
    }

    /// Adds the block that [`room`](Self::room) was answered for: so much is live now. Holder only.
    #[inline]
    pub(crate) fn take(&self, domain: Domain, live: usize) {
        self.domain(domain).now(live, 1);
    }

    /// Takes a block away. Holder only.
    #[inline]
    pub(crate) fn give(&self, domain: Domain, bytes: usize) {
        let account = self.domain(domain);
        account.now(get(&account.live).wrapping_sub(bytes), u32::MAX);
    }

    /// Whether `more` bytes are allowed. Holder only.
    pub(crate) fn admit(&self, more: usize) -> Result<Admitted, AllocCause> {
        if self.gate.get() == Gate::Closed {
            return Err(AllocCause::Finalizing);
        }
        let ceiling = self.ceiling();
        match self.live().checked_add(more).filter(|total| total.cast_signed() >= 0) {
            Some(total) if total <= self.near.get() => Ok(Admitted::Freely),
            Some(total) if total <= ceiling => {
                // Told again when half of what is left is gone too.
                self.near.set(total + (ceiling - total) / 2);
                Ok(Admitted::NearTheLimit)
            }
            Some(total) if total <= get(&self.hard) => Err(AllocCause::SoftLimit),
            _ => Err(AllocCause::HardLimit),
        }
    }

    /// What may be live at most, as the gate stands.
    fn ceiling(&self) -> usize {
        let (soft, hard) = (get(&self.soft), get(&self.hard));
        match self.gate.get() {
            Gate::Open => soft.min(hard),
            Gate::Reserve => soft.saturating_add(get(&self.reserve)).min(hard),
            Gate::Closed => 0,
        }
    }

    /// Bytes that are live over all domains. Holder only, for exactness.
    fn live(&self) -> usize {
        self.domains.iter().map(DomainAccount::live).fold(0, usize::saturating_add)
    }

    /// Decides anew from where on the limit is near: seven eighths of it. Holder only.
    pub(crate) fn watch(&self) {
        let ceiling = self.ceiling();
        let (live, near) = (self.live(), ceiling - ceiling / 8);
        self.near.set(match self.gate.get() {
            Gate::Open if ceiling == UNLIMITED => UNLIMITED,
            Gate::Open if live < near => near,
            Gate::Open => live + ceiling.saturating_sub(live) / 2,
            Gate::Reserve => ceiling,
            Gate::Closed => 0,
        });
        self.look(Domain::Object);
    }

    /// Adds a block that was admitted. Holder only.
    pub(crate) fn add(&self, domain: Domain, bytes: usize) {
        let account = self.domain(domain);
        account.now(account.live() + bytes, 1);
        self.look(domain);
    }

    /// Takes a charge back: one that was never made, as far as there is one.
    pub(crate) fn discharge(&self, bytes: usize) {
        let raw = self.domain(Domain::Raw);
        raw.now(raw.live().saturating_sub(bytes), if raw.blocks() > 0 { u32::MAX } else { 0 });
    }

    /// Changes the size of a charge, if growth is allowed. Holder only. Of a charge that was never made only what there
    /// is counts as old.
    pub(crate) fn resize(&self, domain: Domain, old: usize, new: usize) -> Result<Admitted, AllocCause> {
        let old = old.min(self.domain(domain).live());
        let admitted = self.admit_growth(old, new)?;
        self.exchange(domain, old, new);
        Ok(admitted)
    }

    /// Whether a block may become so large. Holder only.
    pub(crate) fn admit_growth(&self, old: usize, new: usize) -> Result<Admitted, AllocCause> {
        if new > old { self.admit(new - old) } else { Ok(Admitted::Freely) }
    }

    /// Notes that a block changed its size, as was admitted. Holder only.
    pub(crate) fn exchange(&self, domain: Domain, old: usize, new: usize) {
        let account = self.domain(domain);
        account.now(account.live().saturating_sub(old) + new, 0);
        self.look(domain);
    }

    /// A closer look, after a domain got more than it had room for: peaks are raised and room is handed out anew, so that
    /// [M3] holds.
    fn look(&self, domain: Domain) {
        let mut total = 0_usize;
        for account in &self.domains {
            let live = account.live();
            put(&account.peak, get(&account.peak).max(live));
            put(&account.top, 0);
            total = total.saturating_add(live);
        }
        put(&self.peak, get(&self.peak).max(total));
        if !self.every.get() && self.gate.get() != Gate::Closed {
            self.hand_out(self.domain(domain), total);
        }
    }

    /// Room for each domain below its peak; where that is more than there may be, half of it for the one that asks.
    fn hand_out(&self, asking: &DomainAccount, total: usize) {
        let mut left = get(&self.peak).min(self.near.get()).min(self.ceiling()).saturating_sub(total);
        let wanted: usize = self.domains.iter().map(DomainAccount::below_peak).fold(0, usize::saturating_add);
        let enough = wanted <= left;
        let mut give = |account: &DomainAccount| {
            let room = account.below_peak().min(if enough { left } else { left - left / 2 });
            put(&account.top, account.live() + room + 1);
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
        self.watch();
    }

    /// The clearing thread may allocate again, without a limit: finalizers must not fail for it.
    pub(crate) fn reopen(&self) {
        self.gate.set(Gate::Open);
        self.put_limits(MemoryLimits::none());
    }

    /// Lets the reserve be used, or no longer: whether it was before. Holder only.
    pub(crate) fn use_reserve(&self, used: bool) -> bool {
        let before = self.gate.get();
        if before != Gate::Closed {
            self.gate.set(if used { Gate::Reserve } else { Gate::Open });
            self.watch();
        }
        before == Gate::Reserve
    }

    pub(crate) fn limits(&self) -> MemoryLimits {
        let some = |word| Some(get(word)).filter(|limit| *limit != UNLIMITED);
        MemoryLimits { hard: some(&self.hard), soft: some(&self.soft), reserve: get(&self.reserve) }
    }

    /// Holder only.
    pub(crate) fn set_limits(&self, limits: MemoryLimits) -> Result<(), LimitError> {
        if self.gate.get() == Gate::Closed {
            return Err(LimitError::Finalizing);
        }
        if limits.are_crossed() {
            return Err(LimitError::SoftAboveHard);
        }
        if limits.soft.or(limits.hard).is_some_and(|lowest| lowest < self.live()) {
            return Err(LimitError::BelowLive);
        }
        self.put_limits(limits);
        Ok(())
    }

    fn put_limits(&self, limits: MemoryLimits) {
        put(&self.hard, limits.hard.unwrap_or(UNLIMITED));
        put(&self.soft, limits.soft.unwrap_or(UNLIMITED));
        put(&self.reserve, limits.reserve);
        self.watch();
    }

    pub(crate) fn usage(&self) -> Usage {
        let part = |domain: Domain| {
            let account = self.domain(domain);
            DomainUsage { bytes: account.live(), blocks: account.blocks(), peak: get(&account.peak) }
        };
        Usage {
            raw: part(Domain::Raw),
            mem: part(Domain::Mem),
            object: part(Domain::Object),
            peak: get(&self.peak),
        }
    }
}
