//! A live block with known contents.
#![allow(unsafe_code)]

use core::{alloc::Layout, ptr::NonNull, slice};

/// A block that is filled with one byte.
///
/// Invariant: it is live, as large as its layout, and whoever has this value is alone in using it.
#[derive(Debug, Clone, Copy)]
pub struct Filled {
    start: NonNull<u8>,
    layout: Layout,
    fill: u8,
}

impl Filled {
    /// Fills a block.
    ///
    /// # Safety
    /// The block is live and of this layout, and nobody else uses it as long as this value or a copy of it is used.
    pub unsafe fn new(start: NonNull<u8>, layout: Layout, fill: u8) -> Self {
        let filled = Filled { start, layout, fill };
        filled.write(0);
        filled
    }

    /// Where it begins.
    pub const fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Its layout.
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// How many bytes it has.
    pub const fn size(&self) -> usize {
        self.layout.size()
    }

    /// The block after it was resized, or moved with its contents: checks what both sizes have in common, and fills the
    /// rest.
    ///
    /// # Safety
    /// As for [`new`](Self::new); the bytes that both sizes have in common are initialized. The old value is not used
    /// any more.
    #[must_use]
    pub unsafe fn resized(self, start: NonNull<u8>, layout: Layout) -> Self {
        let kept = self.size().min(layout.size());
        let resized = Filled { start, layout, ..self };
        resized.check_first(kept);
        resized.write(kept);
        resized
    }

    /// Nobody wrote to it.
    pub fn check(&self) {
        self.check_first(self.size());
    }

    fn write(&self, from: usize) {
        // SAFETY: the type's invariant.
        unsafe { self.start.add(from).write_bytes(self.fill, self.size() - from) };
    }

    fn check_first(&self, len: usize) {
        // SAFETY: the first `len` bytes were filled, and nothing writes to them while the slice lives (the type's invariant).
        let bytes = unsafe { slice::from_raw_parts(self.start.as_ptr(), len) };
        // Compared in whole chunks, which Miri does natively.
        let chunk = [self.fill; 256];
        assert!(bytes.chunks(256).all(|part| part == &chunk[..part.len()]), "the contents changed");
    }
}
