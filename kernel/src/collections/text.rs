//! `Text`: a string in an interpreter's heap.

#![allow(unsafe_code)]

use core::str;

use crate::{collections::Vec, host::Host, memory::AllocError, thread::Attached};

/// A string in the heap of interpreter `'i`, with one owner.
#[derive(Default)]
pub struct Text<'i>(Vec<'i, u8>);

impl<'i> Text<'i> {
    /// An empty one, without memory.
    pub const fn new() -> Self {
        Text(Vec::new())
    }

    /// A copy of `text` in the heap.
    ///
    /// # Errors
    /// The reason.
    #[doc(alias = "from_str")]
    pub fn of<H: Host>(cx: &Attached<'i, H>, text: &str) -> Result<Self, AllocError> {
        let mut bytes = Vec::with_capacity(cx, text.len())?;
        bytes.extend_from_slice(cx, text.as_bytes())?;
        Ok(Text(bytes))
    }

    /// The text.
    pub fn as_str<'a, H: Host>(&'a self, cx: &'a Attached<'i, H>) -> &'a str {
        // SAFETY: whole strings go in, and are cut at character boundaries.
        unsafe { str::from_utf8_unchecked(self.0.as_slice(cx)) }
    }

    /// Bytes that it has.
    pub fn len<H: Host>(&self, cx: &Attached<'i, H>) -> usize {
        self.0.len(cx)
    }

    /// Whether it has none.
    pub fn is_empty<H: Host>(&self, cx: &Attached<'i, H>) -> bool {
        self.0.is_empty(cx)
    }

    /// Makes room for so many bytes more.
    ///
    /// # Errors
    /// The reason; everything is as it was.
    pub fn reserve<H: Host>(&mut self, cx: &Attached<'i, H>, more: usize) -> Result<(), AllocError> {
        self.0.reserve(cx, more)
    }

    /// Adds text at the end.
    ///
    /// # Errors
    /// The reason; everything is as it was.
    pub fn push_str<H: Host>(&mut self, cx: &Attached<'i, H>, more: &str) -> Result<(), AllocError> {
        self.0.extend_from_slice(cx, more.as_bytes())
    }

    /// Adds a character at the end.
    ///
    /// # Errors
    /// The reason; everything is as it was.
    pub fn push<H: Host>(&mut self, cx: &Attached<'i, H>, more: char) -> Result<(), AllocError> {
        self.push_str(cx, more.encode_utf8(&mut [0; 4]))
    }

    /// Keeps the first `len` bytes, or fewer where a character would be cut.
    pub fn truncate<H: Host>(&mut self, cx: &Attached<'i, H>, len: usize) {
        let end = self.as_str(cx).floor_char_boundary(len);
        self.0.truncate(cx, end);
    }

    /// Empties it and keeps its memory.
    pub fn clear<H: Host>(&mut self, cx: &Attached<'i, H>) {
        self.0.clear(cx);
    }

    /// Gives memory back that no text is in.
    ///
    /// # Errors
    /// As for [`Vec::shrink_to_fit`].
    pub fn shrink_to_fit<H: Host>(&mut self, cx: &Attached<'i, H>) -> Result<(), AllocError> {
        self.0.shrink_to_fit(cx)
    }

    /// Its bytes.
    pub fn into_bytes(self) -> Vec<'i, u8> {
        self.0
    }

    /// Frees it, now.
    pub fn release<H: Host>(self, cx: &mut Attached<'i, H>) {
        self.0.release(cx);
    }
}
