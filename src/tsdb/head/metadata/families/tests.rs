//! Tests: values, conflicts and limits of metric families.

use super::{
    FamilyLimitReached, FamilyUpdate, MAX_FAMILIES, MAX_FAMILY_BYTES, MAX_PREVIOUS, MetricFamilies,
};
use crate::model::metadata::{Metadata, MetricType};
use crate::tsdb::head::metadata::pool::MetadataPool;

#[derive(Default)]
struct Fixture {
    pool: MetadataPool,
    families: MetricFamilies,
}

impl Fixture {
    fn update(
        &self,
        name: &str,
        metric_type: MetricType,
        help: &str,
    ) -> Result<FamilyUpdate, FamilyLimitReached> {
        let metadata = Metadata { metric_type, unit: String::new(), help: help.to_owned() };
        self.families.update(&self.pool, name, &metadata)
    }

    fn help(&self, series: &str) -> Option<String> {
        self.families.for_series(series).map(|metadata| metadata.help.clone())
    }
}

#[test]
fn family_with_exact_name_takes_precedence() {
    let fixture = Fixture::default();
    fixture.update("a", MetricType::Summary, "summary").unwrap();
    assert_eq!(fixture.help("a_count").as_deref(), Some("summary"));
    fixture.update("a_count", MetricType::Gauge, "own").unwrap();
    assert_eq!(fixture.help("a_count").as_deref(), Some("own"));
    assert_eq!(fixture.help("a_sum").as_deref(), Some("summary"));
    assert_eq!(fixture.help("a_bucket"), None);
    assert_eq!(fixture.help("a_count_total"), None);
    fixture.families.remove("a_count");
    assert_eq!(fixture.help("a_count").as_deref(), Some("summary"));
}

#[test]
fn new_value_takes_effect_at_once() {
    let fixture = Fixture::default();
    for help in ["1", "2", "3"] {
        assert_eq!(fixture.update("a", MetricType::Gauge, help), Ok(FamilyUpdate::Changed));
        assert_eq!(fixture.update("a", MetricType::Gauge, help), Ok(FamilyUpdate::Unchanged));
    }
}

#[test]
fn conflicting_senders_do_not_alternate_forever() {
    let fixture = Fixture::default();
    for senders in [2, 3, MAX_PREVIOUS - 1, MAX_PREVIOUS, 3 * MAX_PREVIOUS] {
        let name = format!("of_{senders}");
        let mut changes = 0;
        for round in 0..50 {
            for sender in 0..senders {
                let outcome =
                    fixture.update(&name, MetricType::Gauge, &sender.to_string()).unwrap();
                changes += usize::from(outcome == FamilyUpdate::Changed);
                assert!(
                    round < 3 || outcome == FamilyUpdate::Unchanged,
                    "{senders} senders, round {round}"
                );
            }
        }
        assert!(changes <= MAX_PREVIOUS + 2, "{senders} senders: {changes} changes");
    }
}

#[test]
fn previous_value_returns_when_current_is_gone() {
    let fixture = Fixture::default();
    let update = |help| fixture.update("a", MetricType::Gauge, help).unwrap();
    assert_eq!([update("old"), update("new")], [FamilyUpdate::Changed; 2]);
    assert_eq!(
        [update("old"), update("new"), update("old"), update("new")],
        [FamilyUpdate::Unchanged; 4]
    );
    assert_eq!([update("old"), update("old")], [FamilyUpdate::Unchanged, FamilyUpdate::Changed]);
    assert_eq!(fixture.help("a").as_deref(), Some("old"));
    // The current value is no longer sent, and two others alternate.
    assert_eq!(update("third"), FamilyUpdate::Changed);
    assert_eq!(
        [update("old"), update("new"), update("old")],
        [FamilyUpdate::Unchanged, FamilyUpdate::Unchanged, FamilyUpdate::Changed]
    );
}

#[test]
fn families_are_limited_by_number_and_bytes() {
    let fixture = Fixture::default();
    let long = "h".repeat(MAX_FAMILY_BYTES / 4);
    for name in ["a", "b", "c"] {
        fixture.update(name, MetricType::Gauge, &long).unwrap();
    }
    assert_eq!(fixture.update("d", MetricType::Gauge, &long), Err(FamilyLimitReached));
    fixture.families.remove("b");
    fixture.update("d", MetricType::Gauge, &long).unwrap();
    fixture.families.retain(|_, _| false);
    assert_eq!(fixture.families.table.read().bytes, 0);
    for i in 0..MAX_FAMILIES {
        fixture.update(&i.to_string(), MetricType::Gauge, "").unwrap();
    }
    assert_eq!(fixture.update("one more", MetricType::Gauge, ""), Err(FamilyLimitReached));
    assert_eq!(fixture.update("1", MetricType::Gauge, ""), Ok(FamilyUpdate::Unchanged));
    assert!(fixture.families.is_sweep_due() && !fixture.families.is_sweep_due());
    fixture.families.retain(|name, _| name != "5");
    assert_eq!(fixture.update("one more", MetricType::Gauge, ""), Ok(FamilyUpdate::Changed));
}
