//! Symbol table of a remote write 2.0 request: positions of its strings in the body.
//!
//! Invariant: every entry is valid UTF-8 inside the body that was read last, and there are at most
//! as many as the limit.

use crate::remote::wire::protobuf::{DecodeMessageError, MessageCursor};
use crate::remote::wire::symbol_ref_error::SymbolRefError;

/// Key of `symbols`, as a byte.
pub(crate) const SYMBOLS_KEY: u8 = 0x22;

/// Position of a symbol in the body.
#[derive(Debug, Clone, Copy)]
struct SymbolSpan {
    start: u32,
    len: u32,
}

/// Memory of the index for a symbol, bytes.
pub(crate) const SYMBOL_BYTES: usize = size_of::<SymbolSpan>();

/// Index of the symbols of a request; reused for later requests.
#[derive(Debug, Default)]
pub struct SymbolIndex {
    spans: Vec<SymbolSpan>,
    longest: u32,
}

/// Error of reading symbols.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReadSymbolsError {
    /// There are more symbols than the limit.
    TooMany,
    /// They are malformed or truncated.
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

    /// Returns the number of symbols.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Returns `true` if there are no symbols.
    #[must_use]
    #[cfg(any(test, feature = "testing"))]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Returns the length of the longest symbol, bytes.
    pub(crate) fn longest(&self) -> usize {
        self.longest as usize
    }

    pub(crate) fn retained_bytes(&self) -> usize {
        self.spans.capacity() * size_of::<SymbolSpan>()
    }

    /// Reads consecutive symbol fields with the common key. The body is shorter than 2^32 bytes.
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
        // Short lengths and keys are ASCII bytes. If the whole run is ASCII, so are the symbols,
        // and ASCII is valid UTF-8.
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

    /// Reads a symbol whose key has an uncommon encoding.
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

    /// Returns the bytes of a symbol. `body` must be the bytes that were read.
    #[inline]
    pub(crate) fn bytes<'a>(&self, body: &'a [u8], reference: u32) -> Option<&'a [u8]> {
        let span = self.spans.get(reference as usize)?;
        let start = span.start as usize;
        body.get(start..start + span.len as usize)
    }

    /// Returns a symbol. `body` must be the bytes that were read.
    ///
    /// # Errors
    /// [`SymbolRefError::Outside`] if there is no such symbol.
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

    /// Returns the length of a symbol, bytes; 0 if there is no such symbol.
    pub(crate) fn len_of(&self, reference: u32) -> usize {
        self.spans.get(reference as usize).map_or(0, |span| span.len as usize)
    }
}

fn check(body: &[u8], span: SymbolSpan) -> Result<(), DecodeMessageError> {
    let start = span.start as usize;
    let bytes = &body[start..start + span.len as usize];
    let what = "string that is not valid UTF-8";
    std::str::from_utf8(bytes).map(drop).map_err(|_| DecodeMessageError { what, offset: start })
}
