//! Ring of exemplars in the order of arrival, with a sorted list per series. Pure: no lock, clock
//! or disk.
//!
//! ```text
//! slots     ┌─────────┬─────────┬─────────┬─────────┐   numbered; the first one is evicted first
//!           │ a, t=10 │ b, t=12 │ a, t=20 │ a, t=15 │
//!           └─────────┴─────────┴─────────┴─────────┘
//! series    a: 0, 3, 2     b: 1                        slot numbers, sorted by time, value, labels
//! ```
//!
//! The rule for late exemplars is Prometheus's (`tsdb/exemplar.go`): the distance to the newest one
//! of the series. Duplicates, which Prometheus guesses, are looked up here. A stored exemplar
//! counts as stored at any age, and a different one at the same timestamp is stored too.
//!
//! # Invariant
//! A list is not empty and ascends strictly. Its numbers are those of slots of its series, and
//! every slot is in one list.

use crate::model::exemplar::Exemplar;
use crate::model::labels::Labels;
use crate::model::time::TimeRange;
use foldhash::quality::RandomState;
use hashbrown::HashMap;
use std::cmp::Ordering;
use std::collections::VecDeque;

/// Ring of the exemplars of all series.
#[derive(Debug, Default)]
pub(super) struct ExemplarRing {
    capacity: usize,
    window_ms: i64,
    slots: SlotQueue,
    series: HashMap<Labels, VecDeque<u64>, RandomState>,
}

/// Exemplar and the labels of its series.
#[derive(Debug, Clone)]
pub(super) struct ExemplarSlot {
    pub(super) series: Labels,
    pub(super) exemplar: Exemplar,
}

/// Result of adding an exemplar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RingAddOutcome {
    Stored,
    AlreadyStored,
    OutOfOrder,
    /// The capacity is 0.
    Disabled,
}

/// Queue of slots; the front slot has the number `first`.
#[derive(Debug, Default)]
struct SlotQueue {
    queue: VecDeque<ExemplarSlot>,
    first: u64,
}

impl ExemplarRing {
    /// Sets capacity and window. If there are too many exemplars, the newest arrivals stay.
    pub(super) fn configure(&mut self, capacity: usize, window_ms: i64) {
        self.window_ms = window_ms.max(0);
        if capacity != self.capacity {
            self.capacity = capacity;
            while self.len() > capacity {
                self.drop_oldest();
            }
            self.slots.queue.shrink_to(capacity);
            self.series.shrink_to_fit();
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Number of stored exemplars.
    pub(super) fn len(&self) -> usize {
        self.slots.queue.len()
    }

    /// Number of series with exemplars.
    pub(super) fn series_count(&self) -> usize {
        self.series.len()
    }

    /// Returns the exemplar that arrived first.
    pub(super) fn oldest(&self) -> Option<&ExemplarSlot> {
        self.slots.queue.front()
    }

    /// Adds an exemplar. If the ring is full, the exemplar that arrived first is evicted.
    pub(super) fn add(&mut self, series: &Labels, exemplar: &Exemplar) -> RingAddOutcome {
        match self.check(series, exemplar) {
            RingAddOutcome::Stored => {}
            other => return other,
        }
        if self.len() >= self.capacity {
            self.drop_oldest();
        }
        let number =
            self.slots.push(ExemplarSlot { series: series.clone(), exemplar: exemplar.clone() });
        let list = self.series.entry(series.clone()).or_default();
        let position = self.slots.position(list, exemplar).unwrap_or_else(|position| position);
        list.insert(position, number);
        RingAddOutcome::Stored
    }

    fn check(&self, series: &Labels, exemplar: &Exemplar) -> RingAddOutcome {
        if self.capacity == 0 {
            return RingAddOutcome::Disabled;
        }
        let Some(list) = self.series.get(series) else { return RingAddOutcome::Stored };
        let newest = self.slots.last_time(list);
        if self.slots.position(list, exemplar).is_ok() {
            RingAddOutcome::AlreadyStored
        } else if exemplar.t < newest && exemplar.t <= newest.saturating_sub(self.window_ms) {
            RingAddOutcome::OutOfOrder
        } else {
            RingAddOutcome::Stored
        }
    }

    /// Returns the series whose exemplars span a time that overlaps `range`, in no order.
    pub(super) fn series_in(&self, range: TimeRange) -> Vec<Labels> {
        let reaches = |list: &VecDeque<u64>| {
            let begin =
                list.front().and_then(|number| self.slots.get(*number)).map(|slot| slot.exemplar.t);
            begin.is_some_and(|begin| begin <= range.maxt)
                && self.slots.last_time(list) >= range.mint
        };
        self.series
            .iter()
            .filter(|(_, list)| reaches(list))
            .map(|(series, _)| series.clone())
            .collect()
    }

    /// Returns the exemplars of a series in `range`, ascending by timestamp.
    pub(super) fn select_series(&self, series: &Labels, range: TimeRange) -> Vec<Exemplar> {
        let Some(list) = self.series.get(series) else { return Vec::new() };
        let begin = list.partition_point(|number| {
            self.slots.get(*number).is_some_and(|slot| slot.exemplar.t < range.mint)
        });
        let slots = list.range(begin..).filter_map(|number| self.slots.get(*number));
        slots
            .map(|slot| &slot.exemplar)
            .take_while(|exemplar| exemplar.t <= range.maxt)
            .cloned()
            .collect()
    }

    /// Returns all exemplars, in the order of arrival.
    pub(super) fn arrivals(&self) -> Vec<ExemplarSlot> {
        self.slots.queue.iter().cloned().collect()
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.slots.queue.front() else { return };
        if let Some(list) = self.series.get_mut(&oldest.series) {
            if let Ok(position) = self.slots.position(list, &oldest.exemplar) {
                list.remove(position);
            }
            if list.is_empty() {
                self.series.remove(&oldest.series);
            }
        }
        self.slots.queue.pop_front();
        self.slots.first += 1;
    }
}

impl SlotQueue {
    /// Adds a slot and returns its number.
    fn push(&mut self, slot: ExemplarSlot) -> u64 {
        self.queue.push_back(slot);
        self.first + self.queue.len() as u64 - 1
    }

    fn get(&self, number: u64) -> Option<&ExemplarSlot> {
        self.queue.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// Returns the timestamp of the last exemplar of a list, ms.
    fn last_time(&self, list: &VecDeque<u64>) -> i64 {
        list.back().and_then(|number| self.get(*number)).map_or(i64::MIN, |slot| slot.exemplar.t)
    }

    /// Returns the position of an exemplar in a list, or as an error the position to insert it.
    fn position(&self, list: &VecDeque<u64>, exemplar: &Exemplar) -> Result<usize, usize> {
        let compare = |number: &u64| {
            self.get(*number).map_or(Ordering::Less, |slot| order(&slot.exemplar, exemplar))
        };
        // Almost always newer than all others.
        match list.back().map(compare) {
            None | Some(Ordering::Less) => Err(list.len()),
            Some(_) => list.binary_search_by(compare),
        }
    }
}

/// Orders by timestamp, value and labels; equal only if all are, bit for bit.
fn order(a: &Exemplar, b: &Exemplar) -> Ordering {
    a.t.cmp(&b.t).then_with(|| a.v.total_cmp(&b.v)).then_with(|| a.labels.cmp(&b.labels))
}

#[cfg(test)]
mod tests;
