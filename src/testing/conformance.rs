//! Checks that every [`BlockSource`] must pass: all kinds of matchers and ranges, against the
//! expected samples.

use crate::model::float_sample::FloatSample;
use crate::model::labels::Labels;
use crate::model::matcher::{MatchType, Matcher};
use crate::model::sample::{Sample, SampleValue};
use crate::model::time::TimeRange;
use crate::testing::samples::assert_same;
use crate::tsdb::query::select::select;
use crate::tsdb::query::source::{BlockSource, ChunkSeries};
use std::collections::{BTreeMap, BTreeSet};

/// Asserts that `source` has exactly these series and samples and satisfies the contract of
/// [`BlockSource`].
///
/// Use a few series, some of whose labels are not in all of them: the cost is series × labels.
pub(crate) fn check(source: &dyn BlockSource, expected: &BTreeMap<Labels, Vec<FloatSample>>) {
    check_overlapping(source, expected);
    for series in source.select(&[all()], TimeRange::ALL).unwrap() {
        let series = series.unwrap();
        let apart = series.chunks.is_sorted_by(|a, b| a.mint <= a.maxt && a.maxt < b.mint);
        assert!(apart, "chunks of {} overlap", series.labels);
    }
}

/// Same as [`check`], for a source whose chunks may overlap.
pub(crate) fn check_overlapping(
    source: &dyn BlockSource,
    expected: &BTreeMap<Labels, Vec<FloatSample>>,
) {
    let points = |samples: &Vec<FloatSample>| samples.iter().copied().map(Sample::from).collect();
    check_points(
        source,
        &expected.iter().map(|(labels, samples)| (labels.clone(), points(samples))).collect(),
    );
}

/// Same as [`check`], for samples of all types.
pub(crate) fn check_points(source: &dyn BlockSource, expected: &BTreeMap<Labels, Vec<Sample>>) {
    let selectors = selectors(expected);
    for range in ranges(expected) {
        for matchers in &selectors {
            check_source(source, matchers, range);
            check_answer(source, expected, matchers, range);
        }
    }
}

/// Checks the contract for series and chunks, independent of their content.
fn check_source(source: &dyn BlockSource, matchers: &[Matcher], range: TimeRange) {
    let context = || format!("{matchers:?} in {range:?}");
    let response: Vec<ChunkSeries> =
        source.select(matchers, range).unwrap().map(|series| series.unwrap()).collect();
    assert!(
        response.is_sorted_by(|a, b| a.labels < b.labels),
        "labels are not ascending: {}",
        context()
    );
    for series in &response {
        assert!(
            satisfies(&series.labels, matchers),
            "{} does not match: {}",
            series.labels,
            context()
        );
        assert!(!series.chunks.is_empty(), "{} has no chunk: {}", series.labels, context());
        assert!(
            series.chunks.iter().all(|chunk| chunk.overlaps(range)),
            "{}: {}",
            series.labels,
            context()
        );
    }
}

/// Returns a matcher that selects every series.
fn all() -> Matcher {
    Matcher::new(MatchType::Equal, "no_such_label", "").unwrap()
}

fn check_answer(
    source: &dyn BlockSource,
    expected: &BTreeMap<Labels, Vec<Sample>>,
    matchers: &[Matcher],
    range: TimeRange,
) {
    let mut found: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
    for series in select(&[source], matchers, range).unwrap() {
        let series = series.unwrap();
        let points: Vec<Sample> = series.samples(range).map(|point| point.unwrap()).collect();
        for chunk in series.chunks() {
            let all = series.samples(TimeRange::new(chunk.mint, chunk.maxt)).count();
            assert!(all > 0, "chunk of {} has no samples in its time range", series.labels());
        }
        let floats = points.iter().filter_map(|point| match point.value {
            SampleValue::Float(v) => Some(FloatSample::new(point.t, v)),
            _ => None,
        });
        let samples: Vec<FloatSample> =
            series.float_samples(range).map(|sample| sample.unwrap()).collect();
        assert_eq!(samples, floats.collect::<Vec<_>>(), "floats of {}", series.labels());
        if !points.is_empty() {
            found.insert(series.labels().clone(), points);
        }
    }
    let wanted = expected.iter().filter(|(labels, _)| satisfies(labels, matchers)).filter_map(
        |(labels, points)| {
            let points: Vec<Sample> =
                points.iter().filter(|point| range.contains(point.t)).cloned().collect();
            (!points.is_empty()).then(|| (labels.clone(), points))
        },
    );
    let wanted: BTreeMap<Labels, Vec<Sample>> = wanted.collect();
    let names = |all: &BTreeMap<Labels, Vec<Sample>>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&wanted), "{matchers:?} in {range:?}");
    found.values().zip(wanted.values()).for_each(|(found, wanted)| assert_same(found, wanted));
}

fn satisfies(labels: &Labels, matchers: &[Matcher]) -> bool {
    !matchers.is_empty()
        && matchers
            .iter()
            .all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default()))
}

/// Returns unlimited, empty, and partial ranges that begin or end at, before and after samples.
fn ranges(expected: &BTreeMap<Labels, Vec<Sample>>) -> Vec<TimeRange> {
    let times: BTreeSet<i64> = expected.values().flatten().map(|point| point.t).collect();
    let mut ranges = vec![TimeRange::ALL, TimeRange::new(1, 0), TimeRange::new(i64::MAX, i64::MIN)];
    let times: Vec<i64> = times.into_iter().collect();
    if let (Some(&first), Some(&last)) = (times.first(), times.last()) {
        let middle = times[times.len() / 2];
        ranges.extend([
            TimeRange::new(first, last),
            TimeRange::new(first + 1, last - 1),
            TimeRange::new(first, first),
            TimeRange::new(last, last),
            TimeRange::new(i64::MIN, first - 1),
            TimeRange::new(last + 1, i64::MAX),
            TimeRange::new(first, middle),
            TimeRange::new(middle + 1, last),
            TimeRange::new(middle, middle),
            TimeRange::new(middle, middle - 1),
        ]);
    }
    ranges
}

/// Returns matchers of all kinds on every label and on a missing one, alone and combined.
fn selectors(expected: &BTreeMap<Labels, Vec<Sample>>) -> Vec<Vec<Matcher>> {
    let mut values: BTreeMap<&str, BTreeSet<&str>> =
        BTreeMap::from([("no_such_label", BTreeSet::from(["x"]))]);
    for (name, value) in expected.keys().flat_map(Labels::iter) {
        values.entry(name).or_default().insert(value);
    }
    let mut selectors = vec![Vec::new()];
    for (name, values) in &values {
        let mut patterns: BTreeSet<String> =
            ["", ".*", ".+", "|x.*", "[^a]*", "(?i)A.*"].map(str::to_owned).into();
        for value in values {
            let start: String = value.chars().take(2).collect();
            patterns.extend([regex::escape(value), format!("{}.*", regex::escape(&start))]);
            patterns.insert(format!("{}|nothing", regex::escape(value)));
            for kind in [MatchType::Equal, MatchType::NotEqual] {
                selectors.push(vec![Matcher::new(kind, *name, *value).unwrap()]);
            }
        }
        for kind in [MatchType::Equal, MatchType::NotEqual] {
            selectors.push(vec![Matcher::new(kind, *name, "").unwrap()]);
        }
        for pattern in patterns {
            for kind in [MatchType::Regex, MatchType::NotRegex] {
                selectors.push(vec![Matcher::new(kind, *name, pattern.as_str()).unwrap()]);
            }
        }
    }
    let single: Vec<Matcher> = selectors.iter().flatten().cloned().collect();
    // Pair each matcher with neighbors at growing distances, so that all kinds and labels are
    // combined.
    for distance in [1, 7, single.len() / 2] {
        let pairs = single.iter().zip(single.iter().cycle().skip(distance));
        selectors.extend(pairs.map(|(a, b)| vec![a.clone(), b.clone()]));
    }
    selectors
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::model::float_sample::FloatSample;
    use crate::model::labels::{Labels, LabelsBuilder};
    use crate::testing::fixed_source::{FixedSource, chunk};
    use std::collections::BTreeMap;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().copied().collect::<LabelsBuilder<'_>>().build().unwrap()
    }

    fn example() -> (FixedSource, BTreeMap<Labels, Vec<FloatSample>>) {
        let (mut source, mut model) = (FixedSource::default(), BTreeMap::new());
        let sets = [
            labels(&[("__name__", "up"), ("job", "node")]),
            labels(&[("__name__", "up"), ("job", "a.b"), ("zone", "é")]),
            labels(&[("__name__", "down"), ("zone", "Ax")]),
        ];
        for (nth, set) in (0i64..).zip(sets) {
            let samples: Vec<FloatSample> =
                (0..10).map(|i| FloatSample::new(100 * i + nth, i as f64)).collect();
            source.0.insert(set.clone(), samples.chunks(4).map(chunk).collect());
            model.insert(set, samples);
        }
        (source, model)
    }

    #[test]
    fn correct_source_passes() {
        let (source, model) = example();
        check(&source, &model);
        check(&FixedSource::default(), &BTreeMap::new());
    }

    #[test]
    #[should_panic(expected = "expected Some")]
    fn missing_chunk_is_detected() {
        let (mut source, model) = example();
        source.0.values_mut().for_each(|chunks| drop(chunks.remove(1)));
        check(&source, &model);
    }

    #[test]
    #[should_panic(expected = "overlap")]
    fn overlapping_chunks_are_detected() {
        let (mut source, model) = example();
        source.0.values_mut().for_each(|chunks| chunks.insert(0, chunks[0].clone()));
        check(&source, &model);
    }
}
