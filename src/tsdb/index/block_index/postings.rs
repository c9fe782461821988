//! Decoding of a posting list in an index file.

use super::error::{FormatErrorAt, IndexFormatError};
use super::format::Section;
use crate::model::refs::BlockSeriesRef;

/// Returns the number of references that the list at `offset` declares, unverified; 0 if its
/// section is malformed.
pub(super) fn declared_len(file: &[u8], offset: u64) -> usize {
    Section::unchecked(file, offset).map_or(0, |section| section.bytes.len() / 4)
}

/// Appends the references of the list at `offset`, which ascend. Returns the end of the list.
pub(super) fn read(
    file: &[u8],
    offset: u64,
    list: &mut Vec<BlockSeriesRef>,
) -> Result<usize, FormatErrorAt> {
    let section = Section::checked(file, offset)?;
    let (numbers, odd) = section.bytes.as_chunks::<4>();
    let Some((count, refs)) = numbers.split_first().filter(|_| odd.is_empty()) else {
        let found = section.bytes.len() as u64;
        return Err(FormatErrorAt {
            offset,
            fault: IndexFormatError::Unexpected { what: "length of a posting list", found },
        });
    };
    let count = u32::from_be_bytes(*count);
    if count as usize != refs.len() {
        return Err(FormatErrorAt {
            offset,
            fault: IndexFormatError::Unexpected {
                what: "count of a posting list",
                found: count.into(),
            },
        });
    }
    let first = list.len();
    list.extend(refs.iter().map(|reference| BlockSeriesRef(u32::from_be_bytes(*reference))));
    if !list[first..].is_sorted_by(|a, b| a < b) {
        return Err(FormatErrorAt {
            offset,
            fault: IndexFormatError::Order("references of a posting list"),
        });
    }
    Ok(section.end())
}
