//! Metric families: which series belong to one, by their names.
//!
//! A family has one type, unit and help text, and series of one or several names: its own, and by its type its own with a suffix
//! behind it. The suffixes are those by which Prometheus tells whether a scraped series is of the family at hand:
//!
//! | type            | suffixes                          |
//! |-----------------|-----------------------------------|
//! | counter         | `_total`, unless the name has it  |
//! | histogram       | `_bucket`, `_sum`, `_count`       |
//! | gauge histogram | `_bucket`, `_gsum`, `_gcount`     |
//! | summary         | `_sum`, `_count`                  |
//! | info            | `_info`, unless the name has it   |
//! | others          | none                              |
//!
//! No suffix has a second underscore, so a name has at most one and could be a part of one other family at most.

use crate::model::metadata::MetricType;

/// The suffixes of a type, without their underscore.
fn suffixes(metric_type: MetricType) -> &'static [&'static str] {
    match metric_type {
        MetricType::Counter => &["total"],
        MetricType::Histogram => &["bucket", "sum", "count"],
        MetricType::GaugeHistogram => &["bucket", "gsum", "gcount"],
        MetricType::Summary => &["sum", "count"],
        MetricType::Info => &["info"],
        MetricType::Unknown | MetricType::Gauge | MetricType::Stateset => &[],
    }
}

/// The names that series of a family may have, its own first.
pub fn series_names(family: &str, metric_type: MetricType) -> impl Iterator<Item = String> {
    let parts = suffixes(metric_type).iter().map(move |suffix| format!("{family}_{suffix}"));
    let parts = parts.filter(move |part| is_member(part, family, metric_type));
    std::iter::once(family.to_owned()).chain(parts)
}

/// The one family, besides that of its own name, that a series could be of.
#[must_use]
pub fn suffix_family(series: &str) -> Option<&str> {
    series.rsplit_once('_').map(|(parent, _)| parent)
}

/// Whether a series' name is that of a family of this type with a suffix.
#[must_use]
pub fn is_member(series: &str, family: &str, metric_type: MetricType) -> bool {
    let Some(suffix) = series.strip_prefix(family).and_then(|rest| rest.strip_prefix('_')) else {
        return false;
    };
    let is_doubled = || family.rsplit_once('_').is_some_and(|(_, last)| last == suffix);
    match metric_type {
        MetricType::Counter | MetricType::Info if is_doubled() => false,
        _ => suffixes(metric_type).contains(&suffix),
    }
}

/// The family that a series is most likely of where nothing is known of it but the type.
///
/// Counters and info metrics stand for themselves: the text format's families have the suffix in their own name.
#[must_use]
pub fn guess_family(series: &str, metric_type: MetricType) -> &str {
    match (metric_type, suffix_family(series)) {
        (MetricType::Counter | MetricType::Info, _) | (_, None) => series,
        (_, Some(parent)) if is_member(series, parent, metric_type) => parent,
        _ => series,
    }
}

#[cfg(test)]
mod tests {
    use super::{guess_family, is_member, series_names, suffix_family};
    use crate::model::metadata::MetricType;
    use proptest::prelude::{Just, prop_assert, prop_assert_eq, prop_oneof, proptest};

    fn names(family: &str, metric_type: MetricType) -> Vec<String> {
        series_names(family, metric_type).collect()
    }

    #[test]
    fn a_family_has_the_names_of_its_type() {
        assert_eq!(names("a", MetricType::Gauge), ["a"]);
        assert_eq!(names("a", MetricType::Counter), ["a", "a_total"]);
        assert_eq!(names("a_total", MetricType::Counter), ["a_total"]);
        assert_eq!(names("a_info", MetricType::Info), ["a_info"]);
        assert_eq!(names("a", MetricType::Summary), ["a", "a_sum", "a_count"]);
        assert_eq!(names("a", MetricType::Histogram), ["a", "a_bucket", "a_sum", "a_count"]);
        assert_eq!(
            names("a_sum", MetricType::Histogram),
            ["a_sum", "a_sum_bucket", "a_sum_sum", "a_sum_count"]
        );
        assert_eq!(names("a", MetricType::GaugeHistogram), ["a", "a_bucket", "a_gsum", "a_gcount"]);
    }

    #[test]
    fn the_likely_family_of_a_part_is_without_the_suffix_but_for_counters() {
        for (series, metric_type, family) in [
            ("a_bucket", MetricType::Histogram, "a"),
            ("a_bucket", MetricType::Summary, "a_bucket"),
            ("a_count", MetricType::Summary, "a"),
            ("a_gcount", MetricType::GaugeHistogram, "a"),
            ("a_count", MetricType::Gauge, "a_count"),
            ("a_total", MetricType::Counter, "a_total"),
            ("a_info", MetricType::Info, "a_info"),
            ("a", MetricType::Histogram, "a"),
            ("", MetricType::Histogram, ""),
        ] {
            assert_eq!(guess_family(series, metric_type), family);
        }
    }

    proptest! {
        #[test]
        fn every_name_but_the_first_is_a_part_and_its_parent_is_the_family(
            family in "([a-c_]{0,3}|x_(total|sum|count|bucket|info))",
            metric_type in prop_oneof![
                Just(MetricType::Unknown), Just(MetricType::Counter), Just(MetricType::Gauge), Just(MetricType::Histogram),
                Just(MetricType::GaugeHistogram), Just(MetricType::Summary), Just(MetricType::Info), Just(MetricType::Stateset),
            ],
        ) {
            let names = names(&family, metric_type);
            prop_assert_eq!(&names[0], &family);
            for part in &names[1..] {
                prop_assert_eq!(suffix_family(part), Some(family.as_str()));
                prop_assert!(is_member(part, &family, metric_type));
            }
            prop_assert!(!is_member(&family, &family, metric_type));
        }
    }
}
