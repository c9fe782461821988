//! The open chunk of late points of a series: sorted, each time once, as plain values.
//!
//! Not decided here: whether a point is to be taken, and when the chunk is written.

use crate::model::value::Point;

/// How many points an open chunk has when it is written (`DefaultOutOfOrderCapMax` of Prometheus).
pub const CHUNK_POINTS: usize = 32;

/// Late points, sorted by time.
#[derive(Clone, Debug, Default)]
pub struct OutOfOrderChunk {
    points: Vec<Point>,
}

impl OutOfOrderChunk {
    /// Puts a point where its time belongs; `false`, and nothing done, where one of that time is there.
    pub fn insert(&mut self, point: Point) -> bool {
        // Late points are in order among themselves, mostly.
        if self.points.last().is_none_or(|last| last.t < point.t) {
            self.points.push(point);
            return true;
        }
        match self.points.binary_search_by_key(&point.t, |point| point.t) {
            Ok(_) => false,
            Err(at) => {
                self.points.insert(at, point);
                true
            }
        }
    }

    /// The point at `t` ms.
    #[must_use]
    pub fn at(&self, t: i64) -> Option<&Point> {
        let at = self.points.binary_search_by_key(&t, |point| point.t).ok()?;
        self.points.get(at)
    }

    /// Its points, sorted by time.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Whether it is full. If it could not be written then, it is full again when it has grown as much once more.
    #[must_use]
    pub fn is_due(&self) -> bool {
        !self.points.is_empty() && self.points.len().is_multiple_of(CHUNK_POINTS)
    }

    /// Whether it has no point.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Time of its oldest point, ms.
    #[must_use]
    pub fn min_time(&self) -> Option<i64> {
        self.points.first().map(|point| point.t)
    }

    /// Time of its newest point, ms.
    #[must_use]
    pub fn max_time(&self) -> Option<i64> {
        self.points.last().map(|point| point.t)
    }

    /// Forgets the points for which `is_stored` says so.
    pub fn forget(&mut self, is_stored: impl Fn(&Point) -> bool) {
        self.points.retain(|point| !is_stored(point));
        if self.points.is_empty() {
            self.clear();
        }
    }

    /// Forgets all points, and their memory.
    pub fn clear(&mut self) {
        self.points = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK_POINTS, OutOfOrderChunk};
    use crate::model::sample::Sample;
    use crate::model::value::Point;
    use proptest::collection::vec;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
    use std::collections::BTreeMap;

    fn point(t: i64, v: i32) -> Point {
        Sample::new(t, f64::from(v)).into()
    }

    #[test]
    fn it_is_due_at_every_32_points() {
        let mut chunk = OutOfOrderChunk::default();
        let due: Vec<i64> = (1..=70).filter(|t| chunk.insert(point(*t, 0)) && chunk.is_due()).collect();
        assert_eq!(due, [CHUNK_POINTS as i64, 2 * CHUNK_POINTS as i64]);
        chunk.forget(|point| point.t > 3);
        assert_eq!((chunk.min_time(), chunk.max_time()), (Some(1), Some(3)));
        chunk.forget(|_| true);
        assert!(chunk.is_empty() && !chunk.is_due());
    }

    proptest! {
        #[test]
        fn points_are_sorted_and_the_first_of_a_time_stays(points in vec((0i64..50, 0i32..5), 0..100)) {
            let mut chunk = OutOfOrderChunk::default();
            let mut model: BTreeMap<i64, i32> = BTreeMap::new();
            for (t, v) in points {
                let is_new = !model.contains_key(&t);
                model.entry(t).or_insert(v);
                prop_assert_eq!(chunk.insert(point(t, v)), is_new);
                prop_assert!(chunk.at(t).is_some_and(|stored| stored.value.is_same(&point(t, model[&t]).value)));
            }
            let times: Vec<i64> = chunk.points().iter().map(|point| point.t).collect();
            prop_assert_eq!(times, model.into_keys().collect::<Vec<_>>());
        }
    }
}
