//! Text buffer of an editor and spans of it.
//!
//! Text is appended behind the labels, so a rule reads and writes one buffer without copies. A span
//! is valid until the buffer is cleared.

/// Maximum number of bytes of names and values, including replaced ones.
pub const MAX_TEXT: usize = 32 << 20;

/// Range of bytes in a [`TextBuffer`], at character boundaries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::model) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(in crate::model) fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Returns the part from `start` to `end`, bytes from the start of this span.
    pub(in crate::model) fn part(self, start: usize, end: usize) -> Self {
        // Text is shorter than 4 GiB.
        let part = Self { start: self.start + start as u32, end: self.start + end as u32 };
        debug_assert!(part.start <= part.end && part.end <= self.end);
        part
    }
}

/// Text of at most [`MAX_TEXT`] bytes.
#[derive(Debug, Default)]
pub(in crate::model) struct TextBuffer {
    text: String,
    is_too_large: bool,
}

impl TextBuffer {
    /// Returns the text of a span of this buffer.
    pub(in crate::model) fn get(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// Returns the current end of the text, from which [`Self::since`] makes a span.
    pub(in crate::model) fn mark(&self) -> usize {
        self.text.len()
    }

    /// Returns the text that was appended after `mark`.
    pub(in crate::model) fn since(&self, mark: usize) -> Span {
        Span { start: mark as u32, end: self.text.len() as u32 }
    }

    /// Appends text and returns its span. Appends nothing beyond [`MAX_TEXT`].
    pub(in crate::model) fn append(&mut self, text: &str) -> Span {
        let mark = self.mark();
        if self.has_room(text.len()) {
            self.text.push_str(text);
        }
        self.since(mark)
    }

    /// Like [`Self::append`] with the text of a span.
    pub(in crate::model) fn append_span(&mut self, span: Span) {
        if self.has_room((span.end - span.start) as usize) {
            self.text.extend_from_within(span.start as usize..span.end as usize);
        }
    }

    /// Discards the text after `mark`, which no label may use.
    pub(in crate::model) fn truncate(&mut self, mark: usize) {
        self.text.truncate(mark);
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.is_too_large = false;
    }

    /// Returns `true` if text was not appended since [`Self::clear`].
    pub(super) fn is_too_large(&self) -> bool {
        self.is_too_large
    }

    fn has_room(&mut self, len: usize) -> bool {
        let has_room = len <= MAX_TEXT - self.text.len().min(MAX_TEXT);
        self.is_too_large |= !has_room;
        has_room
    }
}
