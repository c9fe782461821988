//! Position in the text of an expression.

/// Position in a text that need not be UTF-8.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, offset: 0 }
    }

    pub(super) fn text(&self) -> &'a [u8] {
        self.text
    }

    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// Goes back to an offset.
    pub(super) fn back_to(&mut self, offset: usize) {
        self.offset = offset;
    }

    /// Returns the next character; U+FFFD for a byte that is not UTF-8, `None` at the end.
    pub(super) fn peek(&self) -> Option<char> {
        self.decode().map(|(c, _)| c)
    }

    /// Reads a character, like [`Self::peek`].
    pub(super) fn bump(&mut self) -> Option<char> {
        let (c, len) = self.decode()?;
        self.offset += len;
        Some(c)
    }

    fn decode(&self) -> Option<(char, usize)> {
        let rest = self.text.get(self.offset..)?;
        let first = *rest.first()?;
        if first.is_ascii() {
            return Some((char::from(first), 1));
        }
        let window = &rest[..rest.len().min(4)];
        let chunk = window.utf8_chunks().next()?;
        let c = chunk.valid().chars().next();
        Some(c.map_or((char::REPLACEMENT_CHARACTER, 1), |c| (c, c.len_utf8())))
    }

    /// Returns the next byte; `None` at the end.
    pub(super) fn peek_byte(&self) -> Option<u8> {
        self.text.get(self.offset).copied()
    }

    /// Skips the byte if it is next. Returns `true` if it was.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        self.eat_if(|next| next == byte)
    }

    /// Skips an ASCII byte if it is next and accepted. Returns `true` if it was.
    pub(super) fn eat_if(&mut self, accept: impl Fn(u8) -> bool) -> bool {
        let is_next = self.peek_byte().is_some_and(accept);
        self.offset += usize::from(is_next);
        is_next
    }

    /// Skips ASCII bytes while they are accepted. Returns `true` if there was one.
    pub(super) fn eat_while(&mut self, accept: impl Fn(u8) -> bool) -> bool {
        let start = self.offset;
        while self.eat_if(&accept) {}
        self.offset > start
    }

    /// Skips blanks and, if `comments`, text from `#` to the end of the line.
    pub(super) fn skip_blanks(&mut self, comments: bool) {
        loop {
            self.eat_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
            if !comments || self.peek_byte() != Some(b'#') {
                return;
            }
            self.eat_while(|byte| !matches!(byte, b'\n' | b'\r'));
        }
    }
}
