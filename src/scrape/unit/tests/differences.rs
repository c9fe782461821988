//! What narthex stores otherwise than the recordings of Prometheus have it, with the reasons.
//!
//! The edits of a case turn the recording into what narthex has, so the rest of the case and the
//! difference itself are compared exactly. An edit without effect is an error.

use crate::scrape::tests::stored::{StoredSeries, series_text};
use crate::scrape::unit::tests::fixture::scrape_ms;
use std::collections::BTreeMap;

/// Group of cases with type and unit in labels.
const TYPE_AND_UNIT_GROUP: &str = "type-unit";

/// Difference of a case.
pub(super) struct Difference {
    pub(super) case: &'static str,
    reason: Reason,
    /// `SERIES SCRAPE VALUE` sets a sample, with the value `-` there is none; `health SCRAPE STATE`
    /// sets the health of the target; `rename SERIES SERIES` changes labels. Labels of the target
    /// are left out.
    edits: &'static [&'static str],
}

/// Reason of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Prometheus writes no markers for series that the malformed or excessive body names before
    /// its error. They would look alive for five minutes. narthex ends every series of the last
    /// good scrape.
    FailureEndsEverySeries,
    /// Prometheus ends a series that only a failed scrape had, so that it has a marker and no
    /// sample. narthex writes nothing.
    NeverStored,
    /// In Prometheus, the target's own `up` and `scrape_*` replace those of the scraper. narthex
    /// keeps the scraper's.
    OwnSeriesOfScraper,
    /// With an out-of-order window, Prometheus rejects the whole scrape for one sample that is too
    /// old. narthex rejects that sample.
    TooOldSampleAlone,
    /// narthex has no `st-synthesis`: it stores counters as they are exposed.
    NoSynthesis,
    /// narthex has no `type-and-unit-labels`.
    NoTypeAndUnitLabels,
    /// The recording was read in a form that drops the sign of zero.
    RecordingWithoutSign,
}

const fn difference(
    case: &'static str,
    reason: Reason,
    edits: &'static [&'static str],
) -> Difference {
    Difference { case, reason, edits }
}

/// All differences, by case.
pub(super) const DIFFERENCES: &[Difference] = &[
    difference("values", Reason::RecordingWithoutSign, &[r#"v{i="nz"} 1 -0"#, r#"v{i="nz"} 2 -0"#]),
    difference("bad-value-hex", Reason::FailureEndsEverySeries, &["a 2 stale"]),
    difference("bad-value-hexfloat", Reason::FailureEndsEverySeries, &["a 2 stale"]),
    difference("bad-value-underscore", Reason::FailureEndsEverySeries, &["a 2 stale"]),
    difference("bad-value-overflow", Reason::FailureEndsEverySeries, &["a 2 stale"]),
    difference("bad-value-word", Reason::FailureEndsEverySeries, &["a 2 stale"]),
    difference("bad-value-missing", Reason::FailureEndsEverySeries, &["a 2 stale"]),
    difference("bad-value-two", Reason::FailureEndsEverySeries, &["a 2 stale"]),
    difference("bad-value-comma", Reason::FailureEndsEverySeries, &["a 2 stale"]),
    difference("bad-value-binary", Reason::FailureEndsEverySeries, &["a 2 stale"]),
    difference("bad-value-nan-payload", Reason::FailureEndsEverySeries, &["a 2 stale"]),
    difference("label-limit-over", Reason::FailureEndsEverySeries, &["a 2 stale"]),
    difference("mr-invalid-name", Reason::FailureEndsEverySeries, &["a 2 stale"]),
    difference("om-after-eof", Reason::FailureEndsEverySeries, &["a 2 stale"]),
    difference("om-empty-line", Reason::FailureEndsEverySeries, &["a 2 stale"]),
    difference("om-no-eof", Reason::FailureEndsEverySeries, &["a 2 stale"]),
    difference("sample-limit-and-parse-error", Reason::FailureEndsEverySeries, &["a 2 stale"]),
    difference("sample-limit-over", Reason::FailureEndsEverySeries, &["a 2 stale", "b 2 stale"]),
    difference(
        "sample-limit-duplicates",
        Reason::FailureEndsEverySeries,
        &["a 2 stale", "b 2 stale"],
    ),
    difference(
        "type-none-fallback-om",
        Reason::FailureEndsEverySeries,
        &["a 2 stale", "b 2 stale"],
    ),
    difference("extra-on", Reason::FailureEndsEverySeries, &["a 5 stale"]),
    difference("native-bad-count-too-small", Reason::FailureEndsEverySeries, &["n 2 stale"]),
    difference("native-bad-negative-bucket", Reason::FailureEndsEverySeries, &["n 2 stale"]),
    difference("native-bad-span-mismatch", Reason::FailureEndsEverySeries, &["n 2 stale"]),
    difference("native-bad-negative-offset", Reason::FailureEndsEverySeries, &["n 2 stale"]),
    difference("native-bad-schema-9", Reason::FailureEndsEverySeries, &["n 2 stale"]),
    difference("native-bad-schema-minus-5", Reason::FailureEndsEverySeries, &["n 2 stale"]),
    difference("native-bad-schema-53", Reason::FailureEndsEverySeries, &["n 2 stale"]),
    difference("pb-broken-second", Reason::FailureEndsEverySeries, &["n 2 stale"]),
    difference("om-no-eof", Reason::NeverStored, &["b 3 -"]),
    difference("trailing-comma", Reason::NeverStored, &[r#"a{x="1"} 2 -"#]),
    difference("sample-limit-over-first", Reason::NeverStored, &["b 2 -"]),
    difference("extra-sample-limit", Reason::NeverStored, &["b 2 -", "c 2 -", "d 2 -"]),
    difference("pb-bad-utf8", Reason::NeverStored, &["g 3 -"]),
    difference(
        "exposes-up",
        Reason::OwnSeriesOfScraper,
        &[
            "up 1 1",
            "up 2 1",
            "up 3 1",
            "scrape_duration_seconds 2 *",
            "scrape_duration_seconds 3 *",
            "scrape_samples_scraped 2 5",
            "scrape_samples_scraped 3 1",
            "scrape_series_added 1 1",
            "scrape_series_added 2 0",
            "scrape_series_added 3 0",
        ],
    ),
    difference(
        "ts-old-window",
        Reason::TooOldSampleAlone,
        &["health 1 up", "up 1 1", "a 1 1", "scrape_samples_post_metric_relabeling 1 2"],
    ),
    difference("st-synthesis-text", Reason::NoSynthesis, &["a_total 1 1", "a_total 2 2"]),
    difference(
        "st-synthesis-counters",
        Reason::NoSynthesis,
        &[
            "a_total 1 5",
            "a_total 2 6",
            "a_total 5 7",
            r#"h_bucket{le="+Inf"} 1 2"#,
            r#"h_bucket{le="+Inf"} 2 3"#,
            "h_sum 1 3",
            "h_sum 2 4",
            "h_count 1 2",
            "h_count 2 3",
        ],
    ),
    difference(
        "type-unit-text",
        Reason::NoTypeAndUnitLabels,
        &[r#"rename b b{__type__="x",__unit__="y"}"#, r#"rename c c{__type__="x"}"#],
    ),
];

/// Recorded health of a target by the number of the scrape.
pub(super) type Healths = BTreeMap<usize, String>;

/// Applies the differences of a case. Returns edits without effect.
pub(super) fn apply(
    case: &str,
    group: &str,
    series: &mut StoredSeries,
    healths: &mut Healths,
) -> Vec<String> {
    if group == TYPE_AND_UNIT_GROUP {
        *series = std::mem::take(series)
            .into_iter()
            .map(|(labels, samples)| (without_type_and_unit(&labels), samples))
            .collect();
    }
    let of_case = DIFFERENCES.iter().filter(|difference| difference.case == case);
    let edits = of_case.flat_map(|Difference { reason, edits, .. }| {
        edits.iter().map(move |edit| (*reason, *edit))
    });
    edits
        .filter(|(_, edit)| !apply_edit(edit, case, series, healths))
        .map(|(reason, edit)| format!("{edit:?} has no effect ({reason:?})"))
        .collect()
}

/// Applies an edit. Returns `false` if it changes nothing.
fn apply_edit(edit: &str, case: &str, series: &mut StoredSeries, healths: &mut Healths) -> bool {
    let mut words = edit.split(' ');
    let [subject, at, value] = [(); 3].map(|()| words.next().unwrap());
    match subject {
        "health" => {
            let old = healths.insert(at.parse().unwrap(), value.to_owned());
            old.is_some_and(|old| old != value)
        }
        "rename" => {
            let Some(samples) = series.remove(&label_text(at, case)) else { return false };
            series.insert(label_text(value, case), samples).is_none()
        }
        name => {
            let labels = label_text(name, case);
            let mut samples = series.remove(&labels).unwrap_or_default();
            let t = scrape_ms(at.parse().unwrap());
            let old = samples.iter().position(|(other, _)| *other == t);
            let old = old.map(|position| samples.remove(position).1);
            let new = sample_text(value);
            if let Some(new) = &new {
                samples.push((t, new.clone()));
                samples.sort_by_key(|(t, _)| *t);
            }
            if !samples.is_empty() {
                series.insert(labels, samples);
            }
            old != new
        }
    }
}

/// Returns a value in the notation of the recordings.
fn sample_text(value: &str) -> Option<String> {
    match value {
        "-" => None,
        "stale" | "*" => Some(value.to_owned()),
        number => Some(format!("{:016x}", number.parse::<f64>().unwrap().to_bits())),
    }
}

/// Returns all labels of a series of the target.
fn label_text(series: &str, case: &str) -> String {
    series_text(series, "127.0.0.1:18180", case)
}

/// Removes the labels `__type__` and `__unit__` from the text of labels.
fn without_type_and_unit(labels: &str) -> String {
    let pairs = labels.trim_start_matches('{').trim_end_matches('}').split(", ");
    let kept = pairs.filter(|pair| !pair.starts_with("__type__") && !pair.starts_with("__unit__"));
    format!("{{{}}}", kept.collect::<Vec<_>>().join(", "))
}
