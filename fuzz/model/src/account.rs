//! Bytes and blocks by domain.

use archipelago_kernel::memory::{AllocCause, AllocError, Domain, DomainUsage, Usage};

pub(crate) struct Account {
    pub(crate) usage: Usage,
    pub(crate) limit: Option<usize>,
}

fn part(usage: &mut Usage, domain: Domain) -> &mut DomainUsage {
    match domain {
        Domain::Raw => &mut usage.raw,
        Domain::Mem => &mut usage.mem,
        Domain::Object => &mut usage.object,
    }
}

impl Account {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Account { usage: Usage::default(), limit }
    }

    pub(crate) fn take(&mut self, domain: Domain, bytes: usize) -> Result<(), AllocError> {
        if self.limit.is_some_and(|limit| self.usage.bytes() + bytes > limit) {
            return Err(AllocError { domain, requested: bytes, cause: AllocCause::HardLimit });
        }
        let part = part(&mut self.usage, domain);
        part.bytes += bytes;
        part.blocks += 1;
        part.peak = part.peak.max(part.bytes);
        part.peak_blocks = part.peak_blocks.max(part.blocks);
        self.usage.peak = self.usage.peak.max(self.usage.bytes());
        Ok(())
    }

    pub(crate) fn give(&mut self, domain: Domain, bytes: usize) {
        let part = part(&mut self.usage, domain);
        part.bytes -= bytes;
        part.blocks -= 1;
    }
}
