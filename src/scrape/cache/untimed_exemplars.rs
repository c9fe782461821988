//! Exemplars without a timestamp, which a target repeats until another one replaces them.
//!
//! Such an exemplar gets the timestamp of its sample, so storage would take every repetition for a
//! new exemplar. As in Prometheus, it counts as stored if the previous exemplar of its series had
//! no timestamp either, and an equal value and equal labels.
//!
//! # Memory
//! 24 bytes per series with such an exemplar, for at most as many series as the target has.

use crate::model::exemplar::Exemplar;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

/// Last exemplar of each series of a target, if it has no timestamp.
#[derive(Debug, Default)]
pub struct UntimedExemplars {
    last: HashMap<u64, LastExemplar, foldhash::fast::RandomState>,
    hasher: foldhash::quality::RandomState,
    /// Number of the current scrape.
    scrape: u32,
}

#[derive(Clone, Copy, Debug)]
struct LastExemplar {
    /// Hash of value and labels.
    hash: u64,
    /// Last scrape that had the exemplar.
    scrape: u32,
}

impl UntimedExemplars {
    /// Returns `true` if the exemplar is the last one of the series, known by its identity.
    pub fn is_last(&mut self, series: u64, exemplar: &Exemplar) -> bool {
        let hash = self.hash(exemplar);
        let Some(last) = self.last.get_mut(&series).filter(|last| last.hash == hash) else {
            return false;
        };
        last.scrape = self.scrape;
        true
    }

    /// Sets the last exemplar of a series; `None` if it has a timestamp.
    pub fn set(&mut self, series: u64, exemplar: Option<&Exemplar>) {
        match exemplar {
            Some(exemplar) => {
                let last = LastExemplar { hash: self.hash(exemplar), scrape: self.scrape };
                self.last.insert(series, last);
            }
            None => _ = self.last.remove(&series),
        }
    }

    /// Ends a scrape of a target with that many series.
    pub fn end_scrape(&mut self, series: usize) {
        if self.last.len() > series {
            self.last.retain(|_, last| last.scrape == self.scrape);
            self.last.shrink_to(2 * self.last.len());
        }
        self.scrape = self.scrape.wrapping_add(1);
    }

    /// Returns the memory of the map, bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.last.capacity() * (size_of::<(u64, LastExemplar)>() + 1)
    }

    fn hash(&self, exemplar: &Exemplar) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u64(exemplar.v.to_bits());
        hasher.write(exemplar.labels.as_ref().map_or(&[], |labels| labels.as_bytes()));
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::UntimedExemplars;
    use crate::model::exemplar::Exemplar;
    use crate::model::labels::LabelsBuilder;

    fn exemplar(t: i64, v: f64, id: &str) -> Exemplar {
        let labels = [("id", id)].into_iter().collect::<LabelsBuilder<'_>>().build().ok();
        Exemplar { t, v, labels }
    }

    /// Stores an exemplar unless it is the last one. Returns `true` if it is.
    fn repeats(exemplars: &mut UntimedExemplars, series: u64, exemplar: &Exemplar) -> bool {
        let is_last = exemplars.is_last(series, exemplar);
        if !is_last {
            exemplars.set(series, Some(exemplar));
        }
        is_last
    }

    #[test]
    fn repetition_is_recognized_at_any_time() {
        let mut exemplars = UntimedExemplars::default();
        assert!(!repeats(&mut exemplars, 1, &exemplar(10, 0.5, "a")));
        assert!(!repeats(&mut exemplars, 2, &exemplar(10, 0.5, "a")));
        exemplars.end_scrape(2);
        assert!(repeats(&mut exemplars, 1, &exemplar(20, 0.5, "a")));
        assert!(!repeats(&mut exemplars, 1, &exemplar(20, 1.5, "a")));
        assert!(!repeats(&mut exemplars, 1, &exemplar(20, 1.5, "b")));
        assert!(!repeats(&mut exemplars, 1, &Exemplar { t: 20, v: 1.5, labels: None }));
        assert!(repeats(&mut exemplars, 2, &exemplar(20, 0.5, "a")));
        exemplars.set(2, None);
        assert!(!repeats(&mut exemplars, 2, &exemplar(30, 0.5, "a")));
    }

    #[test]
    fn vanished_series_are_forgotten_if_there_are_too_many() {
        let mut exemplars = UntimedExemplars::default();
        repeats(&mut exemplars, 1, &exemplar(10, 0.5, "a"));
        exemplars.end_scrape(1);
        exemplars.end_scrape(1);
        assert!(repeats(&mut exemplars, 1, &exemplar(30, 0.5, "a")), "kept without an exemplar");
        exemplars.end_scrape(1);
        repeats(&mut exemplars, 2, &exemplar(40, 0.5, "a"));
        exemplars.end_scrape(1);
        assert!(!repeats(&mut exemplars, 1, &exemplar(50, 0.5, "a")));
        assert!(repeats(&mut exemplars, 2, &exemplar(50, 0.5, "a")));
    }
}
