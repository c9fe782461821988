//! The series of a block that a read has picked, in little memory: a read over many blocks holds such a list of each while it goes from
//! series to series.
//!
//! References rise, so each is kept as what it is above the one before, 7 bits a byte, the lowest first, the top bit set where more follow: for
//! entries of common length one byte.

use crate::model::refs::BlockSeriesRef;

/// The references, to be taken one after the other.
#[derive(Debug)]
pub(super) struct SeriesRefList {
    deltas: Box<[u8]>,
    at: usize,
    last: u32,
}

impl SeriesRefList {
    /// Keeps references that rise.
    pub(super) fn new(refs: &[BlockSeriesRef]) -> Self {
        let mut steps = Vec::with_capacity(refs.len());
        let mut last = 0;
        for one in refs {
            let mut step = one.0.wrapping_sub(last);
            last = one.0;
            while step > 0x7f {
                steps.push(step as u8 | 0x80);
                step >>= 7;
            }
            steps.push(step as u8);
        }
        Self { deltas: steps.into(), at: 0, last: 0 }
    }
}

impl Iterator for SeriesRefList {
    type Item = BlockSeriesRef;

    fn next(&mut self) -> Option<BlockSeriesRef> {
        let (mut step, mut shift) = (0u32, 0);
        loop {
            let byte = *self.deltas.get(self.at)?;
            self.at += 1;
            step |= u32::from(byte & 0x7f) << shift;
            if byte <= 0x7f {
                break;
            }
            shift += 7;
        }
        self.last = self.last.wrapping_add(step);
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
        fn references_come_back_as_they_were(mut refs in proptest::collection::vec(any::<u32>(), 0..200)) {
            refs.sort_unstable();
            let refs: Vec<_> = refs.into_iter().map(BlockSeriesRef).collect();
            prop_assert_eq!(SeriesRefList::new(&refs).collect::<Vec<_>>(), refs);
        }
    }

    #[test]
    fn a_million_series_take_a_megabyte() {
        let refs: Vec<_> = (0..1_000_000).map(|i| BlockSeriesRef(5 + i * 12 + i % 7)).collect();
        let picked = SeriesRefList::new(&refs);
        assert_eq!(picked.deltas.len(), refs.len());
        assert!(picked.eq(refs));
    }
}
