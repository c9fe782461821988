//! The texts of a remote write 2.0 request: a table of where each stands in the body, reused from request to request.
//!
//! Invariant: every entry lies in the body that was read last, is UTF-8, and there are no more than the limit.

use crate::remote::protobuf::{DecodeMessageError, MessageCursor};
use crate::remote::symbol_ref_error::SymbolRefError;

/// The key of `symbols`, as a byte.
pub(crate) const SYMBOLS_KEY: u8 = 0x22;

/// Where a text lies.
#[derive(Debug, Clone, Copy)]
struct SymbolSpan {
    start: u32,
    len: u32,
}

/// The texts of a request.
#[derive(Debug, Default)]
pub struct SymbolIndex {
    spans: Vec<SymbolSpan>,
    longest: u32,
}

/// Why the texts are not taken in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReadSymbolsError {
    /// There are too many.
    TooMany,
    /// They are none.
    Malformed(DecodeMessageError),
}

impl From<DecodeMessageError> for ReadSymbolsError {
    fn from(error: DecodeMessageError) -> Self {
        Self::Malformed(error)
    }
}

impl SymbolIndex {
    pub(crate) fn clear(&mut self) {
        self.spans.clear();
        self.longest = 0;
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Bytes of the longest.
    pub(crate) fn longest(&self) -> usize {
        self.longest as usize
    }

    pub(crate) fn retained_bytes(&self) -> usize {
        self.spans.capacity() * size_of::<SymbolSpan>()
    }

    /// Takes in fields of texts (written with the usual key) as long as they follow each other. The body is shorter than 2^32 bytes.
    pub(crate) fn read_run(
        &mut self,
        body: &[u8],
        request: &mut MessageCursor<'_>,
        limit: u64,
    ) -> Result<(), ReadSymbolsError> {
        let (start, first) = (request.offset(), self.spans.len());
        while let [SYMBOLS_KEY, ..] = request.rest() {
            request.skip(1);
            let len = request.bytes()?.len();
            if self.spans.len() as u64 >= limit {
                return Err(ReadSymbolsError::TooMany);
            }
            self.push(request.offset() - len, len);
        }
        // Usual lengths and keys are ASCII, so if all of it is, the texts are, and ASCII is UTF-8.
        if !body[start..request.offset()].is_ascii() {
            for span in &self.spans[first..] {
                check(body, *span)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, start: usize, len: usize) {
        self.longest = self.longest.max(len as u32);
        self.spans.push(SymbolSpan { start: start as u32, len: len as u32 });
    }

    /// Takes in a text whose field was written in another way.
    pub(crate) fn read_uncommon(
        &mut self,
        body: &[u8],
        request: &mut MessageCursor<'_>,
        limit: u64,
    ) -> Result<(), ReadSymbolsError> {
        let len = request.bytes()?.len();
        if self.spans.len() as u64 >= limit {
            return Err(ReadSymbolsError::TooMany);
        }
        let start = request.offset() - len;
        self.push(start, len);
        Ok(check(body, SymbolSpan { start: start as u32, len: len as u32 })?)
    }

    /// The bytes of a text; `body` must be the bytes that were read.
    #[inline]
    pub(crate) fn bytes<'a>(&self, body: &'a [u8], reference: u32) -> Option<&'a [u8]> {
        let span = self.spans.get(reference as usize)?;
        let start = span.start as usize;
        body.get(start..start + span.len as usize)
    }

    /// A text; `body` must be the bytes that were read.
    ///
    /// # Errors
    /// [`SymbolRefError::Outside`] where there is no such text.
    pub(crate) fn get<'a>(
        &self,
        body: &'a [u8],
        reference: u32,
    ) -> Result<&'a str, SymbolRefError> {
        match self.bytes(body, reference) {
            Some(bytes) => Ok(std::str::from_utf8(bytes).unwrap_or_default()),
            None => Err(SymbolRefError::Outside { reference, symbols: self.len() }),
        }
    }

    /// The length of a text, 0 where there is none.
    pub(crate) fn len_of(&self, reference: u32) -> usize {
        self.spans.get(reference as usize).map_or(0, |span| span.len as usize)
    }
}

fn check(body: &[u8], span: SymbolSpan) -> Result<(), DecodeMessageError> {
    let start = span.start as usize;
    let bytes = &body[start..start + span.len as usize];
    let what = "text that is not valid UTF-8";
    std::str::from_utf8(bytes).map(drop).map_err(|_| DecodeMessageError { what, offset: start })
}
