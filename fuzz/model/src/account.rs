//! Bytes and blocks by domain, and limits, as one would write it without a thought of speed.

use archipelago_kernel::{
    config::InterpreterConfig,
    memory::{AllocCause, AllocError, Domain, DomainUsage, LimitError, MemoryLimits, Usage},
};

use crate::sizes::Sizes;

pub(crate) struct Account {
    pub(crate) usage: Usage,
    pub(crate) limits: MemoryLimits,
    /// A refusal is being handled.
    pub(crate) in_reserve: bool,
}

fn part(usage: &mut Usage, domain: Domain) -> &mut DomainUsage {
    match domain {
        Domain::Raw => &mut usage.raw,
        Domain::Mem => &mut usage.mem,
        Domain::Object => &mut usage.object,
    }
}

impl Account {
    pub(crate) fn new(limits: MemoryLimits) -> Self {
        Account { usage: Usage::default(), limits, in_reserve: false }
    }

    /// What an interpreter has before it runs anything.
    pub(crate) fn of(config: &InterpreterConfig, guest: bool, sizes: &Sizes) -> Result<Self, AllocError> {
        let mut account = Self::new(MemoryLimits::none().with_hard(config.memory_limit()));
        account.take(Domain::Raw, sizes.footprint)?;
        if guest {
            account.take(Domain::Mem, sizes.state)?;
            account.take(Domain::Object, sizes.root)?;
        }
        Ok(account)
    }

    /// What may be live at most, just now.
    fn ceiling(&self) -> usize {
        let reserve = if self.in_reserve { self.limits.reserve } else { 0 };
        let soft = self.limits.soft.map_or(usize::MAX, |soft| soft.saturating_add(reserve));
        soft.min(self.limits.hard.unwrap_or(usize::MAX))
    }

    pub(crate) fn available(&self) -> usize {
        self.ceiling().saturating_sub(self.usage.bytes())
    }

    /// Whether so many bytes more may be live.
    pub(crate) fn admit(&self, more: usize) -> Result<(), AllocCause> {
        let total = self.usage.bytes() + more;
        if total <= self.ceiling() {
            Ok(())
        } else if self.limits.hard.is_none_or(|hard| total <= hard) {
            Err(AllocCause::SoftLimit)
        } else {
            Err(AllocCause::HardLimit)
        }
    }

    pub(crate) fn take(&mut self, domain: Domain, bytes: usize) -> Result<(), AllocError> {
        self.admit(bytes).map_err(|cause| AllocError { domain, requested: bytes, cause })?;
        let part = part(&mut self.usage, domain);
        part.blocks += 1;
        part.peak_blocks = part.peak_blocks.max(part.blocks);
        self.exchange(domain, 0, bytes);
        Ok(())
    }

    pub(crate) fn give(&mut self, domain: Domain, bytes: usize) {
        part(&mut self.usage, domain).blocks -= 1;
        self.exchange(domain, bytes, 0);
    }

    /// Whether a block may become so large where it is.
    pub(crate) fn admit_growth(&self, old: usize, new: usize) -> Result<(), AllocCause> {
        if new > old { self.admit(new - old) } else { Ok(()) }
    }

    /// A block has another size.
    pub(crate) fn exchange(&mut self, domain: Domain, old: usize, new: usize) {
        let part = part(&mut self.usage, domain);
        part.bytes = part.bytes - old + new;
        part.peak = part.peak.max(part.bytes);
        self.usage.peak = self.usage.peak.max(self.usage.bytes());
    }

    pub(crate) fn set_limits(&mut self, limits: MemoryLimits) -> Result<(), LimitError> {
        if let (Some(soft), Some(hard)) = (limits.soft, limits.hard)
            && soft > hard
        {
            return Err(LimitError::SoftAboveHard);
        }
        if [limits.soft, limits.hard].into_iter().flatten().any(|limit| limit < self.usage.bytes()) {
            return Err(LimitError::BelowLive);
        }
        self.limits = limits;
        Ok(())
    }
}
