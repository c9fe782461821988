//! Tests of [`super::ExemplarStorage`]: label length, several selectors, counters.

use crate::model::exemplar::Exemplar;
use crate::model::labels::{Labels, LabelsBuilder};
use crate::model::matcher::{MatchType, Matcher};
use crate::model::time::TimeRange;
use crate::tsdb::head::exemplars::{
    AddOutcome, ExemplarCounts, ExemplarOptions, ExemplarRejection, ExemplarStorage,
};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect::<LabelsBuilder<'_>>().build().unwrap()
}

fn at(t: i64) -> Exemplar {
    Exemplar { t, v: t as f64, labels: Some(labels(&[("trace_id", "x")])) }
}

fn with_labels(pairs: &[(&str, &str)]) -> Exemplar {
    Exemplar { t: 1, v: 1.0, labels: Some(labels(pairs)) }
}

#[test]
fn labels_are_counted_in_characters_of_names_and_values() {
    let exemplars = ExemplarStorage::default();
    let series = labels(&[("__name__", "up")]);
    let long = |letter: &str, count| letter.repeat(count);
    assert_eq!(
        exemplars.add(&series, &with_labels(&[("é", &long("ü", 127))])),
        Ok(AddOutcome::Added)
    );
    let rejected = Err(ExemplarRejection::LabelsTooLong);
    assert_eq!(exemplars.add(&series, &with_labels(&[("é", &long("ü", 128))])), rejected);
    assert_eq!(
        exemplars.add(&series, &with_labels(&[("a", &long("x", 63)), ("b", &long("y", 64))])),
        rejected
    );
    assert_eq!(
        exemplars.add(&series, &with_labels(&[("a", &long("x", 63)), ("b", &long("y", 63))])),
        Ok(AddOutcome::Added)
    );
    assert_eq!((exemplars.appended(), exemplars.out_of_order()), (2, 0));
}

#[test]
fn select_unites_selectors_sorted_by_labels() {
    let exemplars = ExemplarStorage::default();
    for i in (0..600).rev() {
        let series =
            labels(&[("__name__", "up"), ("i", &format!("{i:03}")), ("even", ["yes", ""][i % 2])]);
        for t in [10, 20, 30] {
            exemplars.add(&series, &at(t)).unwrap();
        }
    }
    let matcher = |kind, name, value| Matcher::new(kind, name, value).unwrap();
    let selectors = [
        vec![matcher(MatchType::Equal, "even", "yes"), matcher(MatchType::Regex, "i", "0.*")],
        vec![matcher(MatchType::Equal, "even", ""), matcher(MatchType::Equal, "i", "599")],
    ];
    let found = exemplars.select(&selectors, TimeRange::new(20, 29));
    assert_eq!(found.len(), 51);
    assert!(found.is_sorted_by_key(|series| series.labels.clone()));
    assert_eq!(found[50].labels.get("i"), Some("599"));
    assert!(found.iter().all(|series| series.exemplars == [at(20)]));
    assert_eq!(exemplars.select(&selectors, TimeRange::new(31, 40)), []);
    assert_eq!(exemplars.select(&[], TimeRange::ALL), []);
}

#[test]
fn exemplars_and_rejections_are_counted() {
    let exemplars = ExemplarStorage::default();
    let options = |max| ExemplarOptions { max, out_of_order_window_ms: 0 };
    exemplars.configure(options(4));
    let (up, down) = (labels(&[("__name__", "up")]), labels(&[("__name__", "down")]));
    for (series, t) in [(&up, 10), (&down, 5), (&up, 20), (&up, 15), (&up, 20)] {
        let _ = exemplars.add(series, &at(t));
    }
    assert_eq!((exemplars.appended(), exemplars.out_of_order()), (3, 1));
    let counts = ExemplarCounts { exemplars: 3, series: 2, max: 4, oldest_time: Some(10) };
    assert_eq!(exemplars.counts(), counts);
    exemplars.configure(options(1));
    assert_eq!(
        exemplars.counts(),
        ExemplarCounts { exemplars: 1, series: 1, max: 1, oldest_time: Some(20) }
    );
    exemplars.configure(options(0));
    assert_eq!(exemplars.counts(), ExemplarCounts::default());
    assert_eq!(exemplars.add(&up, &at(90)), Err(ExemplarRejection::Disabled));
}
