//! Compressed list of the series references that a read selected.
//!
//! A read over many blocks holds one such list per block. References ascend, so each one is stored
//! as the difference from the previous one: 7 bits per byte, lowest first, the top bit set if more
//! bytes follow. Entries of common length take one byte.

use crate::model::refs::BlockSeriesRef;

/// Iterator over ascending series references.
#[derive(Debug)]
pub(super) struct SeriesRefList {
    deltas: Box<[u8]>,
    at: usize,
    last: u32,
}

impl SeriesRefList {
    /// Creates a list of ascending references.
    pub(super) fn new(refs: &[BlockSeriesRef]) -> Self {
        let mut deltas = Vec::with_capacity(refs.len());
        let mut last = 0;
        for series_ref in refs {
            let mut delta = series_ref.0.wrapping_sub(last);
            last = series_ref.0;
            while delta > 0x7f {
                deltas.push(delta as u8 | 0x80);
                delta >>= 7;
            }
            deltas.push(delta as u8);
        }
        Self { deltas: deltas.into(), at: 0, last: 0 }
    }
}

impl Iterator for SeriesRefList {
    type Item = BlockSeriesRef;

    fn next(&mut self) -> Option<BlockSeriesRef> {
        let (mut delta, mut shift) = (0u32, 0);
        loop {
            let byte = *self.deltas.get(self.at)?;
            self.at += 1;
            delta |= u32::from(byte & 0x7f) << shift;
            if byte <= 0x7f {
                break;
            }
            shift += 7;
        }
        self.last = self.last.wrapping_add(delta);
        Some(BlockSeriesRef(self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::SeriesRefList;
    use crate::model::refs::BlockSeriesRef;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn series_refs_round_trip(mut refs in proptest::collection::vec(any::<u32>(), 0..200)) {
            refs.sort_unstable();
            let refs: Vec<_> = refs.into_iter().map(BlockSeriesRef).collect();
            prop_assert_eq!(SeriesRefList::new(&refs).collect::<Vec<_>>(), refs);
        }
    }

    #[test]
    fn million_series_refs_take_one_megabyte() {
        let refs: Vec<_> = (0..1_000_000).map(|i| BlockSeriesRef(5 + i * 12 + i % 7)).collect();
        let list = SeriesRefList::new(&refs);
        assert_eq!(list.deltas.len(), refs.len());
        assert!(list.eq(refs));
    }
}
