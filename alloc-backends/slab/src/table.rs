//! What each class takes from: a table that is there from the first request on, so that an interpreter that never
//! allocates does not carry it.

#![allow(unsafe_code)]

use core::{alloc::Layout, ptr, ptr::NonNull};

use archipelago_kernel::{
    host::RawAlloc,
    memory::{AllocCause, RawDomain},
};

use crate::{class::MOST_CLASSES, page::Page, spares::Spares};

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

/// What lies in the raw domain: first the pages, and behind them the spares of a heap that keeps any.
#[repr(C)]
struct Rows<const CLASSES: usize> {
    pages: [*mut Page; CLASSES],
    spares: Spares,
}

/// For each class the page it takes from.
///
/// Invariant [H3]: that is `NO_PAGE` or a page with role `Current`; those behind it in its list have role `Listed` and a
/// block to take.
pub(crate) struct Table<const CLASSES: usize, const KEEP: usize>(*mut *mut Page);

impl<const CLASSES: usize, const KEEP: usize> Table<CLASSES, KEEP> {
    /// Whether blocks are kept at all.
    const SPARES: bool = KEEP > 0;
    const LAYOUT: Layout = match Self::SPARES {
        true => Layout::new::<Rows<CLASSES>>(),
        false => Layout::new::<[*mut Page; CLASSES]>(),
    };

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
        let table = raw.take(Self::LAYOUT)?;
        // SAFETY: the block is fresh, and for these types.
        unsafe {
            table.cast().write([no_page(); CLASSES]);
            if Self::SPARES {
                (&raw mut (*table.cast::<Rows<CLASSES>>().as_ptr()).spares).write(Spares::new());
            }
        }
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
            unsafe { raw.deallocate(table.cast(), Self::LAYOUT) };
        }
        *self = Self::new();
    }

    /// The spares, where the heap keeps any and the table is there.
    pub(crate) fn spares(&mut self) -> Option<&mut Spares> {
        // SAFETY: `begin` wrote them behind the pages; the borrow is this value's.
        (Self::SPARES && self.is_there()).then(|| unsafe { &mut (*self.0.cast::<Rows<CLASSES>>()).spares })
    }

    /// Whether the spares are as they must be.
    pub(crate) fn has_sound_spares(&self) -> bool {
        // SAFETY: as above.
        !(Self::SPARES && self.is_there()) || unsafe { (*self.0.cast::<Rows<CLASSES>>()).spares.is_sound() }
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
