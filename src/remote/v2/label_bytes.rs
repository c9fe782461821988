//! Labels put together from the texts of a request, in the form in which [`crate::model::labels::Labels`] keeps them: so that a series that
//! is known is found by its bytes, as one of a 1.0 request is.
//!
//! The buffer is reused. Nothing is sorted or checked: bytes that are not canonical belong to no series.
//!
//! Invariant: never more than [`MAX_BYTES`], however long the texts are and however often they are referred to.

use crate::remote::v2::refs::SymbolRefs;
use crate::remote::v2::symbols::SymbolIndex;

/// Longer labels are looked at one by one.
const MAX_BYTES: usize = 1 << 20;

const LABEL: u8 = 0x0a;
const NAME: u8 = 0x0a;
const VALUE: u8 = 0x12;

/// Puts labels together in the buffer. `false` where they are not in pairs, refer to nothing, are empty or too long.
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
        // So both are shorter, and each length is one byte.
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
    for (key, text) in [(NAME, name), (VALUE, value)] {
        buffer.push(key);
        put_varint(buffer, text.len());
        buffer.extend_from_slice(text);
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
