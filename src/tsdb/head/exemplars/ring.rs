//! A ring of exemplars in the order in which they came, with a sorted list of them for every series. Pure: no lock, no clock, no disk.
//!
//! ```text
//! slots     ┌─────────┬─────────┬─────────┬─────────┐   each has a number; the one that came first goes first
//!           │ a, t=10 │ b, t=12 │ a, t=20 │ a, t=15 │
//!           └─────────┴─────────┴─────────┴─────────┘
//! series    a: 0, 3, 2     b: 1                         numbers, by time, then value, then labels
//! ```
//!
//! Whether an exemplar is too late is Prometheus's rule (`tsdb/exemplar.go`): it counts how far it lies behind the newest one of its
//! series. Where Prometheus guesses whether one was sent again, here it is looked up: what is stored counts as stored however old it
//! is, and another one at the same time is kept beside it.
//!
//! Invariant: a list is strictly rising and not empty, its numbers are those of slots of its series, every slot is in one list.

use crate::model::exemplar::Exemplar;
use crate::model::labels::Labels;
use crate::model::time::TimeRange;
use foldhash::quality::RandomState;
use hashbrown::HashMap;
use std::cmp::Ordering;
use std::collections::VecDeque;

/// The exemplars of all series.
#[derive(Debug, Default)]
pub(super) struct ExemplarRing {
    capacity: usize,
    window_ms: i64,
    slots: SlotQueue,
    series: HashMap<Labels, VecDeque<u64>, RandomState>,
}

/// An exemplar and whose it is.
#[derive(Debug, Clone)]
pub(super) struct ExemplarSlot {
    pub(super) series: Labels,
    pub(super) exemplar: Exemplar,
}

/// What became of an exemplar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RingAddOutcome {
    Stored,
    AlreadyStored,
    OutOfOrder,
    /// The ring has no room at all.
    Disabled,
}

/// The slots; the first has the number `first`.
#[derive(Debug, Default)]
struct SlotQueue {
    queue: VecDeque<ExemplarSlot>,
    first: u64,
}

impl ExemplarRing {
    /// Holds so many exemplars from now on, of which the newest arrivals stay, and takes them so many milliseconds late.
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

    /// How many exemplars there are.
    pub(super) fn len(&self) -> usize {
        self.slots.queue.len()
    }

    /// How many series have some.
    pub(super) fn series_count(&self) -> usize {
        self.series.len()
    }

    /// What came first.
    pub(super) fn oldest(&self) -> Option<&ExemplarSlot> {
        self.slots.queue.front()
    }

    /// Adds an exemplar of a series; where the ring is full, the one that came first goes.
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
        let place = self.slots.position(list, exemplar).unwrap_or_else(|place| place);
        list.insert(place, number);
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

    /// The series whose exemplars begin and end where some may be in `range`, in no order.
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

    /// The exemplars of a series in `range`, by time.
    pub(super) fn select_series(&self, series: &Labels, range: TimeRange) -> Vec<Exemplar> {
        let Some(list) = self.series.get(series) else { return Vec::new() };
        let begin = list.partition_point(|number| {
            self.slots.get(*number).is_some_and(|slot| slot.exemplar.t < range.mint)
        });
        let found = list.range(begin..).filter_map(|number| self.slots.get(*number));
        found
            .map(|slot| &slot.exemplar)
            .take_while(|exemplar| exemplar.t <= range.maxt)
            .cloned()
            .collect()
    }

    /// Everything, in the order in which it came.
    pub(super) fn arrivals(&self) -> Vec<ExemplarSlot> {
        self.slots.queue.iter().cloned().collect()
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.slots.queue.front() else { return };
        if let Some(list) = self.series.get_mut(&oldest.series) {
            if let Ok(place) = self.slots.position(list, &oldest.exemplar) {
                list.remove(place);
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
    /// Adds a slot and gives its number.
    fn push(&mut self, slot: ExemplarSlot) -> u64 {
        self.queue.push_back(slot);
        self.first + self.queue.len() as u64 - 1
    }

    fn get(&self, number: u64) -> Option<&ExemplarSlot> {
        self.queue.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// The time of the last one of a list, ms.
    fn last_time(&self, list: &VecDeque<u64>) -> i64 {
        list.back().and_then(|number| self.get(*number)).map_or(i64::MIN, |slot| slot.exemplar.t)
    }

    /// Where in a list an exemplar is, or as an error where it would be.
    fn position(&self, list: &VecDeque<u64>, exemplar: &Exemplar) -> Result<usize, usize> {
        let compare = |number: &u64| {
            self.get(*number).map_or(Ordering::Less, |slot| order(&slot.exemplar, exemplar))
        };
        // Nearly always it is the newest.
        match list.back().map(compare) {
            None | Some(Ordering::Less) => Err(list.len()),
            Some(_) => list.binary_search_by(compare),
        }
    }
}

/// By time, value and labels; equal only where everything is, bit for bit.
fn order(a: &Exemplar, b: &Exemplar) -> Ordering {
    a.t.cmp(&b.t).then_with(|| a.v.total_cmp(&b.v)).then_with(|| a.labels.cmp(&b.labels))
}

#[cfg(test)]
mod tests;
