//! Metric families: mapping between families and the names of their series.
//!
//! A family has one type, unit and help text. Its series have the name of the family, or, depending
//! on the type, that name with a suffix. Prometheus uses the same suffixes to assign scraped series
//! to families:
//!
//! | type | suffixes |
//! |---|---|
//! | counter | `_total`, unless the name has it |
//! | histogram | `_bucket`, `_sum`, `_count` |
//! | gauge histogram | `_bucket`, `_gsum`, `_gcount` |
//! | summary | `_sum`, `_count` |
//! | info | `_info`, unless the name has it |
//! | others | none |
//!
//! A suffix has no second underscore. So a name has at most one suffix and can belong to at most
//! one other family.

use crate::model::metadata::MetricType;

/// Returns the suffixes of a type without their underscore.
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

/// Returns the possible names of a family's series, the family name first.
pub fn series_names(family: &str, metric_type: MetricType) -> impl Iterator<Item = String> {
    let members = suffixes(metric_type).iter().map(move |suffix| format!("{family}_{suffix}"));
    let members = members.filter(move |member| is_member(member, family, metric_type));
    std::iter::once(family.to_owned()).chain(members)
}

/// Returns the only family, other than the one of the same name, to which a series can belong.
#[must_use]
pub fn suffix_family(series: &str) -> Option<&str> {
    series.rsplit_once('_').map(|(parent, _)| parent)
}

/// Returns `true` if the series name is the family name with a suffix of this type.
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

/// Returns the most likely family of a series if only its type is known.
///
/// Counters and info metrics are their own family, because families of the text format include
/// these suffixes in their names.
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
    fn family_has_the_series_names_of_its_type() {
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
    fn guessed_family_has_no_suffix_except_counters() {
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
        fn series_names_with_suffix_are_members(
            family in "([a-c_]{0,3}|x_(total|sum|count|bucket|info))",
            metric_type in prop_oneof![
                Just(MetricType::Unknown),
                Just(MetricType::Counter),
                Just(MetricType::Gauge),
                Just(MetricType::Histogram),
                Just(MetricType::GaugeHistogram),
                Just(MetricType::Summary),
                Just(MetricType::Info),
                Just(MetricType::Stateset),
            ],
        ) {
            let names = names(&family, metric_type);
            prop_assert_eq!(&names[0], &family);
            for member in &names[1..] {
                prop_assert_eq!(suffix_family(member), Some(family.as_str()));
                prop_assert!(is_member(member, &family, metric_type));
            }
            prop_assert!(!is_member(&family, &family, metric_type));
        }
    }
}
