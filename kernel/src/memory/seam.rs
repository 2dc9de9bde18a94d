//! The allocator seam: where every block of an interpreter is charged, asked for and checked.

#![allow(unsafe_code)]

use core::{alloc::Layout, ops::Range, ptr, ptr::NonNull};

use crate::{
    host::{HeapState, Host},
    interpreter::InterpreterSlot,
    memory::{
        AllocCause, AllocError, Asker, Domain, RawDomain,
        raw::{check, is_in_place, misplaced},
        reach::Reach,
        tenant::Tenant,
    },
    thread::slot::ThreadSlot,
};

impl<H: Host> InterpreterSlot<H> {
    /// The heap in use.
    ///
    /// # Safety
    /// This thread holds this interpreter's GIL until the answer is dropped.
    #[inline(always)]
    unsafe fn heap(&self) -> Reach<'_, H::Heap, H::Raw> {
        // SAFETY: [M4]: an own heap is protected by this interpreter's GIL. Main's is protected by main's GIL, which
        // C3 makes an interpreter in it share; or it can be shared, and was told so when this interpreter was created.
        unsafe { Reach::new(&(*self.heap_of.get()).own_heap) }
    }

    /// As [`heap`](Self::heap), where it is this interpreter's own.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    unsafe fn own_heap(&self) -> Reach<'_, H::Heap, H::Raw> {
        // SAFETY: [M4]: an own heap is protected by this interpreter's GIL.
        unsafe { Reach::new(&self.own_heap) }
    }

    /// This interpreter, as it is named to its heap. Where the heap does not look, nothing is left of it.
    #[inline]
    fn asker(&self, domain: Domain) -> Asker {
        Asker::new(domain, self.head.id.get()).linked(!self.owns_heap())
    }

    /// Whether the heap knows of nothing that speaks against giving back, or resizing, this block. Where it does, the block
    /// may be anything: nothing is read from it.
    ///
    /// # Safety
    /// This thread holds this interpreter's GIL.
    unsafe fn vouches_for(&self, domain: Domain, block: NonNull<u8>, layout: Layout) -> bool {
        // SAFETY: passed on.
        let heap = unsafe { self.heap() };
        let (asker, address) = (self.asker(domain), block.addr().get());
        if self.owns_heap() {
            return heap.vouches_for(address, layout, asker);
        }
        Tenant::extend(layout)
            .is_some_and(|(whole, offset)| heap.vouches_for(address.wrapping_sub(offset), whole, asker))
    }

    /// As [`vouches_for`](Self::vouches_for), for a block that is to have another size.
    ///
    /// # Safety
    /// As there.
    unsafe fn vouch(
        &self,
        domain: Domain,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), AllocError> {
        let refused = AllocError { domain, requested: new.size(), cause: AllocCause::Exhausted };
        // SAFETY: passed on.
        unsafe { self.vouches_for(domain, block, old) }.then_some(()).ok_or(refused)
    }

    /// A block of the interpreter's heap, charged to `domain`, where neither the account nor the heap needs a closer
    /// look; or why the heap's answer cannot be used. `region` is the raw domain's.
    ///
    /// # Safety
    /// This thread holds this interpreter's GIL.
    #[inline(always)]
    pub(crate) unsafe fn allocate_at_hand(
        &self,
        region: impl FnOnce() -> Option<Range<usize>>,
        domain: Domain,
        layout: Layout,
    ) -> Option<Result<NonNull<u8>, AllocError>> {
        let live = self.head.account.room(domain, layout.size())?;
        // SAFETY: the caller holds the GIL; where there is room the heap is this interpreter's own.
        let block = unsafe { self.own_heap().allocate_at_hand(layout) }?;
        let region = region();
        if !is_in_place(block, layout, region.clone()) {
            let cause = misplaced(block, layout, region);
            return Some(Err(AllocError { domain, requested: layout.size(), cause }));
        }
        self.head.account.take(domain, live);
        Some(Ok(block))
    }

    /// A block of the interpreter's heap, charged to `domain`. Near the limit `thread` is told.
    ///
    /// # Safety
    /// This thread holds this interpreter's GIL, through `thread`. `raw` is its runtime's raw domain.
    pub(crate) unsafe fn allocate(
        &self,
        raw: RawDomain<'_, H::Raw>,
        thread: &ThreadSlot,
        domain: Domain,
        layout: Layout,
    ) -> Result<NonNull<u8>, AllocError> {
        // SAFETY: passed on.
        unsafe {
            match self.allocate_at_hand(|| raw.region(), domain, layout) {
                Some(answer) => answer,
                None => self.allocate_slowly(raw, thread, domain, layout),
            }
        }
    }

    /// As [`allocate`](Self::allocate), where nothing is at hand.
    ///
    /// # Safety
    /// As for [`allocate`](Self::allocate).
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn allocate_slowly(
        &self,
        raw: RawDomain<'_, H::Raw>,
        thread: &ThreadSlot,
        domain: Domain,
        layout: Layout,
    ) -> Result<NonNull<u8>, AllocError> {
        let requested = layout.size();
        let refuse = |cause| AllocError { domain, requested, cause };
        let account = &self.head.account;
        if let Some(live) = account.room(domain, requested) {
            // SAFETY: passed on.
            let block = unsafe { self.allocate_uncharged(raw, domain, layout) }.map_err(refuse)?;
            account.take(domain, live);
            return Ok(block);
        }
        account.admit(requested).map_err(|cause| thread.refused(cause)).map_err(refuse)?;
        // SAFETY: passed on.
        let block = unsafe { self.allocate_uncharged(raw, domain, layout) }.map_err(refuse)?;
        thread.notice(account.add(domain, requested));
        Ok(block)
    }

    /// # Safety
    /// As for [`allocate`](Self::allocate).
    unsafe fn allocate_uncharged(
        &self,
        raw: RawDomain<'_, H::Raw>,
        domain: Domain,
        layout: Layout,
    ) -> Result<NonNull<u8>, AllocCause> {
        // SAFETY: the caller holds the GIL.
        let heap = unsafe { self.heap() };
        let asker = self.asker(domain);
        if self.owns_heap() {
            return check(heap.allocate(raw, layout, asker)?, layout, raw.region());
        }
        let (whole, offset) = Tenant::extend(layout).ok_or(AllocCause::TooLarge)?;
        let block = check(heap.allocate(raw, whole, asker)?, whole, raw.region())?;
        // SAFETY: the block is fresh and was allocated for `whole`.
        Ok(unsafe { self.tenant.admit(block, whole, offset, domain) })
    }

    /// Gives a block back, where the heap needs no closer look. Answers whether it did.
    ///
    /// # Safety
    /// This thread holds this interpreter's GIL. `block` came from [`allocate`](Self::allocate) with the same domain and
    /// layout, and is live.
    #[inline(always)]
    pub(crate) unsafe fn deallocate_at_hand(
        &self,
        domain: Domain,
        block: NonNull<u8>,
        layout: Layout,
    ) -> bool {
        // SAFETY: the caller holds the GIL; the block is this heap's, for it owns one.
        let is_back = unsafe { self.owns_heap() && self.own_heap().deallocate_at_hand(block, layout) };
        if is_back {
            self.head.account.give(domain, layout.size());
        }
        is_back
    }

    /// Gives a block back.
    ///
    /// # Safety
    /// As for [`deallocate_at_hand`](Self::deallocate_at_hand). `raw` is the runtime's raw domain.
    pub(crate) unsafe fn deallocate(
        &self,
        raw: RawDomain<'_, H::Raw>,
        domain: Domain,
        block: NonNull<u8>,
        layout: Layout,
    ) {
        // SAFETY: passed on.
        unsafe {
            if !self.deallocate_at_hand(domain, block, layout) {
                self.deallocate_slowly(raw, domain, block, layout);
            }
        }
    }

    /// As [`deallocate`](Self::deallocate), where it takes a closer look.
    ///
    /// # Safety
    /// As for [`deallocate`](Self::deallocate).
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn deallocate_slowly(
        &self,
        raw: RawDomain<'_, H::Raw>,
        domain: Domain,
        block: NonNull<u8>,
        layout: Layout,
    ) {
        // SAFETY: passed on.
        if !unsafe { self.vouches_for(domain, block, layout) } {
            return;
        }
        self.head.account.give(domain, layout.size());
        let asker = self.asker(domain);
        // SAFETY: the caller holds the GIL; block and layout are the ones of the allocation.
        unsafe {
            if self.owns_heap() {
                self.own_heap().deallocate(raw, block, layout, asker);
            } else if let Some((whole, offset)) = Tenant::extend(layout) {
                let block = self.tenant.dismiss(block, offset);
                self.heap().deallocate(raw, block, whole, asker);
            }
        }
    }

    /// Makes a block larger or smaller: in place where the heap can, or else by a new one. The limit holds for what is
    /// live at any moment, so a block that moves needs room for both.
    ///
    /// # Safety
    /// As for [`allocate`](Self::allocate) and [`deallocate`](Self::deallocate), `old` being the block's layout; `new` has the same alignment.
    pub(crate) unsafe fn reallocate(
        &self,
        raw: RawDomain<'_, H::Raw>,
        thread: &ThreadSlot,
        domain: Domain,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, AllocError> {
        // SAFETY: passed on.
        unsafe { self.vouch(domain, block, old, new)? };
        // SAFETY: passed on.
        match unsafe { self.resize_vouched(raw, thread, domain, block, old, new) } {
            Ok(()) => return Ok(block),
            // Where a few bytes more are too many, as many again are too.
            Err(error) if error.cause != AllocCause::Exhausted => return Err(error),
            Err(_) => {}
        }
        // SAFETY: passed on; both blocks are live and do not overlap, and the old one is not used afterwards.
        unsafe {
            let fresh = self.allocate(raw, thread, domain, new)?;
            ptr::copy_nonoverlapping(block.as_ptr(), fresh.as_ptr(), old.size().min(new.size()));
            self.deallocate(raw, domain, block, old);
            Ok(fresh)
        }
    }

    /// Makes a block larger or smaller where it is.
    ///
    /// # Safety
    /// As for [`reallocate`](Self::reallocate).
    pub(crate) unsafe fn resize(
        &self,
        raw: RawDomain<'_, H::Raw>,
        thread: &ThreadSlot,
        domain: Domain,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), AllocError> {
        // SAFETY: passed on.
        unsafe {
            self.vouch(domain, block, old, new)?;
            self.resize_vouched(raw, thread, domain, block, old, new)
        }
    }

    /// # Safety
    /// As for [`reallocate`](Self::reallocate).
    unsafe fn resize_vouched(
        &self,
        raw: RawDomain<'_, H::Raw>,
        thread: &ThreadSlot,
        domain: Domain,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), AllocError> {
        let refuse = |cause| AllocError { domain, requested: new.size(), cause };
        let account = &self.head.account;
        let admitted = account.admit_growth(old.size(), new.size());
        admitted.map_err(|cause| thread.refused(cause)).map_err(refuse)?;
        // SAFETY: passed on.
        unsafe { self.resize_uncharged(raw, block, old, new) }.map_err(refuse)?;
        thread.notice(account.exchange(domain, old.size(), new.size()));
        Ok(())
    }

    /// # Safety
    /// As for [`reallocate`](Self::reallocate).
    unsafe fn resize_uncharged(
        &self,
        raw: RawDomain<'_, H::Raw>,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), AllocCause> {
        // A heap may refuse for reasons of its own: they are all the same here, for it was not asked for a block.
        let resize = |block: NonNull<u8>, old: Layout, new: Layout| {
            let past =
                raw.region().is_some_and(|region| new.size() > region.end.saturating_sub(block.addr().get()));
            if past {
                return Err(AllocCause::Exhausted);
            }
            // SAFETY: the caller holds the GIL; block and layout are those of the allocation.
            unsafe { self.heap().resize(raw, block, old, new) }.map_err(|_| AllocCause::Exhausted)
        };
        if self.owns_heap() {
            return if old == new { Ok(()) } else { resize(block, old, new) };
        }
        let (whole, offset) = Tenant::extend(new).ok_or(AllocCause::TooLarge)?;
        // SAFETY: [M2] the block is a live one of this tenant's, and lies as far in as one of the new layout, which
        // has the same alignment.
        unsafe {
            let (start, before) = self.tenant.whole(block, offset);
            if before != whole {
                resize(start, before, whole)?;
                self.tenant.resized(start, whole);
            }
        }
        Ok(())
    }

    /// Returns what the heap in use keeps for later.
    ///
    /// # Safety
    /// This thread holds this interpreter's GIL. `raw` is its runtime's raw domain.
    pub(crate) unsafe fn trim(&self, raw: RawDomain<'_, H::Raw>) {
        // SAFETY: the caller holds the GIL; every call of the heap gets this raw domain.
        unsafe { self.heap().trim(raw) }
    }

    /// Returns the heap whole, or this interpreter's blocks in main's heap.
    ///
    /// # Safety
    /// This thread holds this interpreter's GIL, and no block of it is used any more.
    pub(crate) unsafe fn sweep(&self, raw: RawDomain<'_, H::Raw>) {
        // SAFETY: the caller holds the GIL and nothing uses the blocks.
        unsafe {
            let heap = self.heap();
            debug_assert!(
                !matches!(heap.inspect(), HeapState::Broken(_)),
                "something wrote into a heap's own words"
            );
            if self.owns_heap() {
                return heap.sweep(raw);
            }
            while let Some((block, whole, domain)) = self.tenant.evict() {
                heap.deallocate(raw, block, whole, self.asker(domain));
            }
        }
    }
}
