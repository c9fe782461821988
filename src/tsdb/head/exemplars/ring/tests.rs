//! Tests: the ring against a model that searches a plain list.

use crate::model::exemplar::Exemplar;
use crate::model::labels::{Labels, LabelsBuilder};
use crate::model::time::TimeRange;
use crate::tsdb::head::exemplars::ring::{ExemplarRing, RingAddOutcome};
use proptest::prelude::{Just, Strategy, prop_assert_eq, prop_oneof, proptest};

fn labels(name: &str, value: u8) -> Labels {
    LabelsBuilder::from_iter([(name, value.to_string().as_str())]).build().unwrap()
}

fn exemplar(t: i64, v: f64, trace: u8) -> Exemplar {
    Exemplar { t, v, labels: (trace > 0).then(|| labels("trace_id", trace)) }
}

/// Reference model: all exemplars in the order of arrival.
#[derive(Default)]
struct Model {
    capacity: usize,
    window: i64,
    all: Vec<(Labels, Exemplar)>,
}

impl Model {
    fn configure(&mut self, capacity: usize, window: i64) {
        (self.capacity, self.window) = (capacity, window);
        self.all.drain(..self.all.len().saturating_sub(capacity));
    }

    fn add(&mut self, series: &Labels, exemplar: &Exemplar) -> RingAddOutcome {
        if self.capacity == 0 {
            return RingAddOutcome::Disabled;
        }
        let own: Vec<&Exemplar> = self
            .all
            .iter()
            .filter(|(labels, _)| labels == series)
            .map(|(_, exemplar)| exemplar)
            .collect();
        if own.contains(&exemplar) {
            return RingAddOutcome::AlreadyStored;
        }
        let newest = own.iter().map(|exemplar| exemplar.t).max();
        if newest.is_some_and(|newest| exemplar.t < newest && newest - exemplar.t >= self.window) {
            return RingAddOutcome::OutOfOrder;
        }
        self.all.push((series.clone(), exemplar.clone()));
        self.configure(self.capacity, self.window);
        RingAddOutcome::Stored
    }

    fn select_series(&self, series: &Labels, range: TimeRange) -> Vec<Exemplar> {
        let is_wanted = |(labels, exemplar): &&(Labels, Exemplar)| {
            labels == series && range.contains(exemplar.t)
        };
        let mut own: Vec<Exemplar> =
            self.all.iter().filter(is_wanted).map(|(_, exemplar)| exemplar.clone()).collect();
        own.sort_by(|a, b| {
            a.t.cmp(&b.t).then(a.v.total_cmp(&b.v)).then_with(|| a.labels.cmp(&b.labels))
        });
        own
    }
}

#[derive(Debug, Clone)]
enum Step {
    Add(u8, Exemplar),
    Configure(usize, i64),
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![Just(1.0), Just(2.0), Just(-0.0), Just(0.0), Just(f64::NAN)];
    let added = (0u8..4, 0i64..40, value, 0u8..3);
    prop_oneof![
        30 => added.prop_map(|(series, t, v, trace)| Step::Add(series, exemplar(t, v, trace))),
        1 => (0usize..12, 0i64..30)
            .prop_map(|(capacity, window)| Step::Configure(capacity, window)),
    ]
}

proptest! {
    #[test]
    fn ring_matches_plain_list(
        first in (1usize..12, 0i64..30),
        steps in proptest::collection::vec(step(), 1..200),
        range in (0i64..40, 0i64..40),
    ) {
        let (mut ring, mut model) = (ExemplarRing::default(), Model::default());
        ring.configure(first.0, first.1);
        model.configure(first.0, first.1);
        let all: Vec<Labels> = (0..4).map(|series| labels("series", series)).collect();
        for step in steps {
            match step {
                Step::Configure(capacity, window) => {
                    ring.configure(capacity, window);
                    model.configure(capacity, window);
                }
                Step::Add(series, exemplar) => {
                    let series = &all[usize::from(series)];
                    prop_assert_eq!(ring.add(series, &exemplar), model.add(series, &exemplar));
                }
            }
            let arrivals = ring.arrivals().into_iter();
            let arrivals: Vec<_> = arrivals.map(|slot| (slot.series, slot.exemplar)).collect();
            prop_assert_eq!(&arrivals, &model.all);
            let has_exemplar =
                |series: &&Labels| model.all.iter().any(|(labels, _)| labels == *series);
            let with_some = all.iter().filter(has_exemplar).count();
            prop_assert_eq!((ring.len(), ring.series_count()), (model.all.len(), with_some));
            for range in [TimeRange::ALL, TimeRange::new(range.0, range.1)] {
                let reached = ring.series_in(range);
                for series in &all {
                    let own = model.select_series(series, range);
                    prop_assert_eq!(&ring.select_series(series, range), &own);
                    prop_assert_eq!(own.is_empty() || reached.contains(series), true);
                }
            }
        }
    }
}

#[test]
fn first_arrival_is_evicted_first() {
    let mut ring = ExemplarRing::default();
    ring.configure(3, 100);
    let (a, b) = (labels("series", 1), labels("series", 2));
    for (series, t) in [(&a, 50), (&b, 10), (&a, 20), (&a, 60)] {
        assert_eq!(ring.add(series, &exemplar(t, 1.0, 0)), RingAddOutcome::Stored);
    }
    let times = |series| {
        ring.select_series(series, TimeRange::ALL)
            .iter()
            .map(|exemplar| exemplar.t)
            .collect::<Vec<_>>()
    };
    assert_eq!((times(&a), times(&b)), (vec![20, 60], vec![10]));
    assert_eq!(ring.oldest().map(|slot| slot.exemplar.t), Some(10));
}

#[test]
fn window_is_exclusive_at_its_end() {
    let mut ring = ExemplarRing::default();
    let series = labels("series", 1);
    ring.configure(10, 0);
    assert_eq!(ring.add(&series, &exemplar(100, 1.0, 0)), RingAddOutcome::Stored);
    assert_eq!(ring.add(&series, &exemplar(99, 1.0, 0)), RingAddOutcome::OutOfOrder);
    ring.configure(10, 30);
    assert_eq!(ring.add(&series, &exemplar(70, 1.0, 0)), RingAddOutcome::OutOfOrder);
    assert_eq!(ring.add(&series, &exemplar(71, 1.0, 0)), RingAddOutcome::Stored);
    assert_eq!(ring.add(&series, &exemplar(71, 1.0, 0)), RingAddOutcome::AlreadyStored);
    assert_eq!(ring.add(&series, &exemplar(100, 0.5, 0)), RingAddOutcome::Stored);
    ring.configure(10, 0);
    assert_eq!(ring.add(&series, &exemplar(71, 1.0, 0)), RingAddOutcome::AlreadyStored);
    assert_eq!(ring.add(&series, &exemplar(i64::MIN, 1.0, 0)), RingAddOutcome::OutOfOrder);
}
