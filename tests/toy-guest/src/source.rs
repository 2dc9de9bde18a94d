//! Program text, word by word. Everything is `const`, so that a program can be assembled by the compiler.

/// A part of the text.
#[derive(Clone, Copy)]
pub(crate) struct Word {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

pub(crate) struct Source<'a> {
    pub(crate) text: &'a [u8],
    at: usize,
}

impl<'a> Source<'a> {
    pub(crate) const fn new(text: &'a [u8]) -> Self {
        Source { text, at: 0 }
    }

    const fn skip_blanks(&mut self) {
        while self.at < self.text.len() && matches!(self.text[self.at], b' ' | b'\t' | b'\r') {
            self.at += 1;
        }
    }

    /// The next word of the statement; `None` at its end. A label's colon belongs to its word and ends it.
    pub(crate) const fn word(&mut self) -> Option<Word> {
        self.skip_blanks();
        let start = self.at;
        while self.at < self.text.len() {
            match self.text[self.at] {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'#' => break,
                b':' => {
                    self.at += 1;
                    break;
                }
                _ => self.at += 1,
            }
        }
        if self.at == start { None } else { Some(Word { start, end: self.at }) }
    }

    /// Goes to the next statement; `false` at the end of the text.
    pub(crate) const fn next(&mut self) -> bool {
        let mut comment = false;
        while self.at < self.text.len() {
            let byte = self.text[self.at];
            self.at += 1;
            match byte {
                b'#' => comment = true,
                b'\n' => return true,
                b';' if !comment => return true,
                _ => {}
            }
        }
        false
    }

    /// Whether the statement has no more words.
    pub(crate) const fn is_at_end(&mut self) -> bool {
        self.skip_blanks();
        self.at >= self.text.len() || matches!(self.text[self.at], b'\n' | b';' | b'#')
    }

    pub(crate) const fn is_label(&self, word: Word) -> bool {
        word.end - word.start > 1 && self.text[word.end - 1] == b':'
    }

    pub(crate) const fn is(&self, word: Word, name: &str) -> bool {
        let name = name.as_bytes();
        if word.end - word.start != name.len() {
            return false;
        }
        let mut n = 0;
        while n < name.len() {
            if self.text[word.start + n] != name[n] {
                return false;
            }
            n += 1;
        }
        true
    }

    /// Whether two words are the same.
    pub(crate) const fn same(&self, a: Word, b: Word) -> bool {
        if a.end - a.start != b.end - b.start {
            return false;
        }
        let mut n = 0;
        while n < a.end - a.start {
            if self.text[a.start + n] != self.text[b.start + n] {
                return false;
            }
            n += 1;
        }
        true
    }

    /// The word as a decimal number.
    pub(crate) const fn number(&self, word: Word) -> Option<i64> {
        let negative = self.text[word.start] == b'-';
        let mut at = word.start + negative as usize;
        if at == word.end {
            return None;
        }
        let mut value = 0i64;
        while at < word.end {
            let digit = self.text[at];
            if !digit.is_ascii_digit() || value > u32::MAX as i64 {
                return None;
            }
            value = value * 10 + (digit - b'0') as i64;
            at += 1;
        }
        Some(if negative { -value } else { value })
    }
}
