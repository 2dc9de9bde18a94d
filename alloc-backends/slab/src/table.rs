//! What each class takes from: a table that is there from the first request on, so that an interpreter that never
//! allocates does not carry it.

#![allow(unsafe_code)]

use core::{alloc::Layout, ptr, ptr::NonNull};

use archipelago_kernel::{
    host::RawAlloc,
    memory::{AllocCause, RawDomain},
};

use crate::{class::MOST_CLASSES, page::Page};

/// What stands for a page where there is none.
struct NoPage(Page);

// SAFETY: nobody writes to it.
unsafe impl Sync for NoPage {}

static NO_PAGE: NoPage = NoPage(Page::none());

/// What stands for a table where there is none.
struct NoTable([*mut Page; MOST_CLASSES]);

// SAFETY: nobody writes to it.
unsafe impl Sync for NoTable {}

static NO_TABLE: NoTable = NoTable([no_page(); MOST_CLASSES]);

/// Has no block, and is only read.
pub(crate) const fn no_page() -> *mut Page {
    (&raw const NO_PAGE.0).cast_mut()
}

/// For each class the page it takes from.
///
/// Invariant [H3]: that is `NO_PAGE` or a page with role `Current`; those behind it in its list have role `Listed` and a
/// block to take.
pub(crate) struct Table<const CLASSES: usize>(*mut *mut Page);

impl<const CLASSES: usize> Table<CLASSES> {
    /// One in which every class has nothing.
    pub(crate) const fn new() -> Self {
        Table((&raw const NO_TABLE.0).cast_mut().cast())
    }

    fn is_there(&self) -> bool {
        !ptr::eq(self.0, Self::new().0)
    }

    /// Takes the table from the raw domain, if it is not there yet.
    pub(crate) fn begin<R: RawAlloc>(&mut self, raw: RawDomain<'_, R>) -> Result<(), AllocCause> {
        if self.is_there() {
            return Ok(());
        }
        let table = raw.take(Layout::new::<[*mut Page; CLASSES]>())?.cast::<[*mut Page; CLASSES]>();
        // SAFETY: the block is fresh, and for this type.
        unsafe { table.write([no_page(); CLASSES]) };
        self.0 = table.as_ptr().cast();
        Ok(())
    }

    /// Returns it, if it is there.
    ///
    /// # Safety
    /// What it says is needed no more; `raw` is the domain it came from.
    pub(crate) unsafe fn end<R: RawAlloc>(&mut self, raw: RawDomain<'_, R>) {
        if let Some(table) = NonNull::new(self.0).filter(|_| self.is_there()) {
            // SAFETY: `begin` took it with this layout.
            unsafe { raw.deallocate(table.cast(), Layout::new::<[*mut Page; CLASSES]>()) };
        }
        *self = Self::new();
    }

    #[inline]
    pub(crate) fn page(&self, class: usize) -> *mut Page {
        debug_assert!(class < CLASSES);
        // SAFETY: `class` comes from `class_of`, or from a page in use; the table has an entry for it.
        unsafe { *self.0.add(class) }
    }

    /// # Safety
    /// The table is there; [H3] holds for `page`.
    pub(crate) unsafe fn set_page(&mut self, class: usize, page: *mut Page) {
        // SAFETY: as in `page`.
        unsafe { *self.0.add(class) = page };
    }
}
