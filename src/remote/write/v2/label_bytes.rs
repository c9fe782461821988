//! Labels encoded from symbols in the format of [`crate::model::labels::Labels`], so that a known
//! series is found by its bytes.
//!
//! The buffer is reused. Nothing is sorted or checked: bytes that are not canonical match no
//! series.
//!
//! Invariant: at most [`MAX_BYTES`], however long symbols are and however often they are
//! referenced.

use crate::remote::write::v2::refs::SymbolRefs;
use crate::remote::write::v2::symbols::SymbolIndex;

/// Maximum encoded size, bytes. Larger label sets are read label by label.
const MAX_BYTES: usize = 1 << 20;

const LABEL: u8 = 0x0a;
const NAME: u8 = 0x0a;
const VALUE: u8 = 0x12;

/// Encodes labels into `buffer`. Returns `false` if references are unpaired or invalid, or if a
/// name or value is empty, or if the labels are too large.
pub(crate) fn encode_labels(
    buffer: &mut Vec<u8>,
    body: &[u8],
    symbols: &SymbolIndex,
    mut refs: SymbolRefs<'_>,
) -> bool {
    buffer.clear();
    while let Some(name) = refs.next() {
        let Some(value) = refs.next() else { return false };
        let (Some(name), Some(value)) = (symbols.bytes(body, name), symbols.bytes(body, value))
        else {
            return false;
        };
        if name.is_empty()
            || value.is_empty()
            || name.len() + value.len() > MAX_BYTES - buffer.len().min(MAX_BYTES)
        {
            return false;
        }
        put_label(buffer, name, value);
    }
    true
}

#[inline]
fn put_label(buffer: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let inner = 4 + name.len() + value.len();
    if inner < 0x80 {
        // Name and value are shorter too, and each length is one byte.
        buffer.reserve(2 + inner);
        buffer.extend_from_slice(&[LABEL, inner as u8, NAME, name.len() as u8]);
        buffer.extend_from_slice(name);
        buffer.extend_from_slice(&[VALUE, value.len() as u8]);
        buffer.extend_from_slice(value);
    } else {
        put_long_label(buffer, name, value);
    }
}

fn put_long_label(buffer: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    buffer.push(LABEL);
    put_varint(
        buffer,
        2 + varint_len(name.len()) + name.len() + varint_len(value.len()) + value.len(),
    );
    for (key, string) in [(NAME, name), (VALUE, value)] {
        buffer.push(key);
        put_varint(buffer, string.len());
        buffer.extend_from_slice(string);
    }
}

fn varint_len(n: usize) -> usize {
    (usize::BITS - (n | 1).leading_zeros()).div_ceil(7) as usize
}

fn put_varint(buffer: &mut Vec<u8>, mut n: usize) {
    while n >= 0x80 {
        buffer.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    buffer.push(n as u8);
}
