//! A simulated month of all sample types, minute by minute: floats, native histograms with changing
//! buckets, schemas and types, series that start and end, a tenth of the samples out of order by up
//! to two hours, deletions, cleaning of tombstones, snapshots, exemplars and metadata. The process
//! ends at random times, cleanly or not. The contents always equal the model.
//!
//! The model has timestamps only, because the value of a series at a timestamp is a function
//! ([`value`]).

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use narthex::model::exemplar::Exemplar;
use narthex::model::float_sample::STALE_NAN_BITS;
use narthex::model::histogram::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, Histogram, Span,
};
use narthex::model::labels::{Labels, LabelsBuilder};
use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::metadata::{Metadata, MetricType};
use narthex::model::sample::{Sample, SampleValue};
use narthex::model::time::TimeRange;
use narthex::tsdb::db::Db;
use narthex::tsdb::db::admin::snapshot::SnapshotContents;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::{DbOptions, ShutdownMode};
use narthex::tsdb::db::settings::{RetentionOrigin, RetentionSettings};
use rand::RngExt;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::path::Path;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 2025-11-05, 00:00 UTC.
const BEGIN: i64 = 1_762_300_800_000;
const SERIES: usize = 200;
/// Maximum delay of an out-of-order sample, minutes.
const MAX_OOO_MINUTES: i64 = 110;
const WINDOW: i64 = 2 * HOUR;
/// Number of series that send an exemplar with every sample.
const EXEMPLAR_SERIES: usize = 8;
/// Maximum number of stored exemplars.
const MAX_EXEMPLARS: usize = 1000;

fn open(dir: &Path, shutdown_mode: ShutdownMode) -> Db {
    let mut options = DbOptions::new(dir.to_owned());
    options.wal_segment_size = 16 * 32 * 1024;
    options.shutdown_mode = shutdown_mode;
    options.settings.retention = RetentionSettings {
        time_ms: 0,
        bytes: 0,
        percentage: 0.0,
        origin: RetentionOrigin::Configured,
    };
    options.settings.out_of_order_window_ms = WINDOW;
    options.settings.max_exemplars = MAX_EXEMPLARS;
    LockedDir::open(options).unwrap().into_recovery().run().unwrap().db
}

/// Sample type of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Float,
    Counter,
    FloatCounter,
    Gauge,
    Custom,
    CustomFloat,
    /// Changes every few hours.
    Changing,
}

fn kind(number: usize) -> Kind {
    match number {
        0..120 => Kind::Float,
        120..145 => Kind::Counter,
        145..155 => Kind::FloatCounter,
        155..165 => Kind::Gauge,
        165..177 => Kind::Custom,
        177..185 => Kind::CustomFloat,
        _ => Kind::Changing,
    }
}

/// Returns the value of the series with this number and generation at `t`.
fn value(number: usize, generation: usize, t: i64) -> SampleValue {
    let minutes = ((t - BEGIN) / MINUTE) as u64;
    let seed = (number as u64 * 7919 + generation as u64 * 104_729)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        >> 40;
    let kind = match kind(number) {
        Kind::Changing => {
            let kinds = [
                Kind::Float,
                Kind::Counter,
                Kind::Custom,
                Kind::FloatCounter,
                Kind::Gauge,
                Kind::CustomFloat,
            ];
            kinds[((minutes / 90 + seed) % kinds.len() as u64) as usize]
        }
        kind => kind,
    };
    if kind == Kind::Float {
        return SampleValue::Float(float(seed, minutes));
    }
    let histogram = histogram(kind, seed, minutes);
    match kind {
        Kind::FloatCounter | Kind::CustomFloat => {
            SampleValue::FloatHistogram(Box::new(floats(&histogram)))
        }
        _ => SampleValue::Histogram(Box::new(histogram)),
    }
}

fn float(seed: u64, minutes: u64) -> f64 {
    let mixed = (minutes ^ seed).wrapping_mul(0x2545_f491_4f6c_dd1d);
    match mixed >> 57 {
        0 => f64::from_bits(0x7ff8_0000_0000_0123),
        1 => -0.0,
        2 => f64::INFINITY,
        3..60 => (minutes + seed) as f64,
        _ => (mixed >> 40) as f64 * 0.001,
    }
}

/// Returns a histogram whose counts and buckets grow with time. It resets every 500 minutes, and
/// its schema changes every 1100 minutes.
fn histogram(kind: Kind, seed: u64, minutes: u64) -> Histogram {
    let since_reset = (minutes + seed) % 500 + 1;
    let is_custom = matches!(kind, Kind::Custom | Kind::CustomFloat);
    let schema =
        if is_custom { CUSTOM_BUCKETS_SCHEMA } else { ((minutes + seed) / 1100 % 4) as i32 };
    let buckets = 3 + (since_reset / 40) as i64;
    let gap = if is_custom { 0 } else { 2 + (seed % 3) as i32 };
    let count = |bucket: i64| {
        let grown = since_reset * (bucket as u64 + 1 + seed % 5) / 3;
        // A gauge decreases, too.
        if kind == Kind::Gauge { grown.wrapping_mul(0x9e37_79b9) % 97 } else { grown }
    };
    let counts: Vec<u64> = (0..buckets).map(count).collect();
    let positive_spans = if is_custom {
        vec![Span { offset: 0, length: buckets as u32 }]
    } else {
        vec![Span { offset: -2, length: 2 }, Span { offset: gap, length: buckets as u32 - 2 }]
    };
    let (negative_spans, negative_buckets) = if is_custom || seed.is_multiple_of(2) {
        (Vec::new(), Vec::new())
    } else {
        (vec![Span { offset: 1, length: 1 }], vec![since_reset as i64])
    };
    let zero_count = if is_custom { 0 } else { since_reset / 7 };
    let negative: i64 = negative_buckets.iter().sum();
    Histogram {
        reset_hint: if kind == Kind::Gauge {
            CounterResetHint::Gauge
        } else {
            CounterResetHint::Unknown
        },
        schema,
        zero_threshold: if is_custom { 0.0 } else { 0.001 },
        zero_count,
        count: counts.iter().sum::<u64>() + zero_count + negative as u64,
        sum: since_reset as f64 * 1.25 - (seed % 9) as f64,
        positive_spans,
        negative_spans,
        positive_buckets: differences(&counts),
        negative_buckets,
        custom_values: if is_custom {
            (0..20 + seed % 3).map(|bound| bound as f64 * 0.5).collect()
        } else {
            Vec::new()
        },
    }
}

fn differences(counts: &[u64]) -> Vec<i64> {
    let before = std::iter::once(&0).chain(counts);
    counts.iter().zip(before).map(|(count, before)| *count as i64 - *before as i64).collect()
}

fn floats(histogram: &Histogram) -> FloatHistogram {
    let sums = |deltas: &[i64]| {
        let sums = deltas.iter().scan(0, |sum, delta| {
            *sum += delta;
            Some(*sum as f64 + 0.5)
        });
        sums.collect::<Vec<f64>>()
    };
    let (positive_buckets, negative_buckets) =
        (sums(&histogram.positive_buckets), sums(&histogram.negative_buckets));
    let zero_count = histogram.zero_count as f64;
    FloatHistogram {
        reset_hint: histogram.reset_hint,
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        zero_count,
        count: positive_buckets.iter().chain(&negative_buckets).sum::<f64>() + zero_count,
        sum: histogram.sum,
        positive_spans: histogram.positive_spans.clone(),
        negative_spans: histogram.negative_spans.clone(),
        positive_buckets,
        negative_buckets,
        custom_values: histogram.custom_values.clone(),
    }
}

fn exemplar(t: i64) -> Exemplar {
    let labels = LabelsBuilder::from_iter([("trace_id", format!("{:x}", t * 31).as_str())]).build();
    Exemplar { t, v: (t % 1009) as f64, labels: labels.ok() }
}

fn metadata(number: usize, now: i64) -> Metadata {
    let metric_type = [MetricType::Counter, MetricType::Gauge, MetricType::Unknown][number % 3];
    Metadata { metric_type, unit: "seconds".into(), help: format!("metric {number} as of {now}") }
}

/// Series of the model.
struct ModelSeries {
    number: usize,
    generation: usize,
    labels: Labels,
    /// Whether it is sent, until `changes_at`.
    is_sent: bool,
    changes_at: i64,
    /// Timestamps of all samples; `true` for stale markers.
    times: BTreeMap<i64, bool>,
}

impl ModelSeries {
    fn new(number: usize, generation: usize, now: i64, random: &mut StdRng) -> Self {
        let (name, instance) =
            (format!("metric_{}", number % 7), format!("host-{number}-{generation}"));
        let labels = [
            ("__name__", name.as_str()),
            ("instance", &instance),
            ("job", "month"),
            ("shard", ["a", "b"][number % 2]),
        ];
        let labels = LabelsBuilder::from_iter(labels).build().unwrap();
        // Lifetimes are between minutes and weeks.
        let max_minutes = 4 * 10i64.pow(random.random_range(2..5));
        let lifetime = random.random_range(10..=max_minutes) * MINUTE;
        Self {
            number,
            generation,
            labels,
            is_sent: true,
            changes_at: now + lifetime,
            times: BTreeMap::new(),
        }
    }

    fn value(&self, t: i64) -> SampleValue {
        value(self.number, self.generation, t)
    }
}

/// Out-of-order sample that is not sent yet.
struct DelayedSample {
    at: i64,
    number: usize,
    generation: usize,
    labels: Labels,
}

struct Month {
    random: StdRng,
    now: i64,
    live: Vec<ModelSeries>,
    /// Series that ended.
    ended: Vec<ModelSeries>,
    /// Delayed samples by the minute in which they are sent.
    delayed: BTreeMap<i64, Vec<DelayedSample>>,
    appended: u64,
    appended_ooo: u64,
    histograms: u64,
    /// All sent exemplars.
    exemplars: Vec<(Labels, Exemplar)>,
    /// Time of the last metadata.
    metadata_at: i64,
}

impl Month {
    fn new(random: StdRng) -> Self {
        let (live, ended, delayed) = (Vec::new(), Vec::new(), BTreeMap::new());
        let (appended, appended_ooo, histograms, exemplars) = (0, 0, 0, Vec::new());
        let mut own = Self {
            random,
            now: BEGIN,
            live,
            ended,
            delayed,
            appended,
            appended_ooo,
            histograms,
            exemplars,
            metadata_at: BEGIN,
        };
        own.live =
            (0..SERIES).map(|number| ModelSeries::new(number, 0, BEGIN, &mut own.random)).collect();
        own
    }

    /// Appends all samples of one minute as one request.
    fn minute(&mut self, db: &Db) {
        let mut appender = db.appender().unwrap();
        let mut exemplars = Vec::new();
        let mut append = |labels: &Labels, sample: Sample| {
            appender
                .append_or_create(labels, std::iter::once(sample), |sample, why| {
                    panic!("{labels}: {sample:?} {why:?}")
                })
                .unwrap();
        };
        for number in 0..SERIES {
            let at = self.now + (number as i64 * 251) % MINUTE;
            let series = &mut self.live[number];
            if at >= series.changes_at {
                if series.is_sent {
                    series.is_sent = false;
                    series.changes_at = at + self.random.random_range(1..300) * MINUTE;
                    append(
                        &series.labels,
                        Sample::new(at, SampleValue::Float(f64::from_bits(STALE_NAN_BITS))),
                    );
                    series.times.insert(at, true);
                    self.appended += 1;
                } else if self.random.random_ratio(1, 2) {
                    // The series returns.
                    series.is_sent = true;
                    series.changes_at = at + self.random.random_range(10..4000) * MINUTE;
                } else {
                    let next = ModelSeries::new(number, self.ended.len() + 1, at, &mut self.random);
                    self.ended.push(std::mem::replace(series, next));
                }
            } else if series.is_sent && self.random.random_ratio(1, 10) {
                let minute = self.now + self.random.random_range(1..=MAX_OOO_MINUTES) * MINUTE;
                let sample = DelayedSample {
                    at,
                    number,
                    generation: series.generation,
                    labels: series.labels.clone(),
                };
                self.delayed.entry(minute).or_default().push(sample);
            } else if series.is_sent {
                let value = series.value(at);
                self.histograms += u64::from(!matches!(value, SampleValue::Float(_)));
                append(&series.labels, Sample::new(at, value));
                series.times.insert(at, false);
                self.appended += 1;
                if number < EXEMPLAR_SERIES {
                    exemplars.push((series.labels.clone(), exemplar(at)));
                }
            }
        }
        for delayed in self.delayed.remove(&self.now).unwrap_or_default() {
            append(
                &delayed.labels,
                Sample::new(delayed.at, value(delayed.number, delayed.generation, delayed.at)),
            );
            let has_labels = |series: &&mut ModelSeries| series.labels == delayed.labels;
            let series =
                self.live.get_mut(delayed.number).filter(|series| series.labels == delayed.labels);
            let series = series.or_else(|| self.ended.iter_mut().find(has_labels)).unwrap();
            series.times.insert(delayed.at, false);
            self.appended_ooo += 1;
        }
        for (labels, exemplar) in exemplars {
            let series = appender.find_series(labels.as_bytes()).expect("a known series");
            let reject = |exemplar, why| panic!("{labels}: {exemplar:?} {why:?}");
            appender.append_exemplars(&series, std::iter::once(exemplar.clone()), reject);
            self.exemplars.push((labels, exemplar));
        }
        if self.now % (6 * HOUR) == 0 {
            for number in 0..7 {
                let (name, metadata) = (format!("metric_{number}"), metadata(number, self.now));
                // After many changes a value takes effect only when it arrives again. Senders
                // repeat it every minute.
                for _ in 0..2 {
                    appender.set_family_metadata(&name, &metadata).unwrap();
                }
            }
            self.metadata_at = self.now;
        }
        appender.commit().unwrap();
        self.now += MINUTE;
    }

    fn all(&self) -> impl Iterator<Item = &ModelSeries> {
        self.live.iter().chain(&self.ended)
    }

    /// Deletes a random range of randomly selected series. Delayed samples in it are never sent.
    fn delete(&mut self, db: &Db) {
        let (name, value) = match self.random.random_range(0..3u32) {
            0 => ("__name__", format!("metric_{}", self.random.random_range(0..7u32))),
            1 => ("instance", format!("host-{}-.*", self.random.random_range(0..SERIES))),
            _ => ("instance", format!("host-[0-9]*{}-0", self.random.random_range(0..10u32))),
        };
        let matcher = Matcher::new(MatchType::Regex, name, &value).unwrap();
        let mint = self.random.random_range(BEGIN - HOUR..self.now + HOUR);
        let max_span = 10i64.pow(self.random.random_range(0..10));
        let range =
            TimeRange::new(mint, (mint + self.random.random_range(0..=max_span)).min(self.now));
        if range.mint > range.maxt {
            return;
        }
        db.admin().delete(&[vec![matcher.clone()]], range).unwrap();
        let is_selected = |labels: &Labels| matcher.matches(labels.get(name).unwrap_or_default());
        for series in
            self.live.iter_mut().chain(&mut self.ended).filter(|series| is_selected(&series.labels))
        {
            series.times.retain(|t, _| !range.contains(*t));
        }
        for delayed in self.delayed.values_mut() {
            delayed.retain(|sample| !(range.contains(sample.at) && is_selected(&sample.labels)));
        }
    }

    /// Asserts that database and model are equal in `range`.
    fn check(&self, db: &Db, matcher: &Matcher, range: TimeRange, when: &str) {
        let name = matcher.name();
        let is_expected = |series: &&ModelSeries| {
            matcher.matches(series.labels.get(name).unwrap_or_default())
                && series.times.range(range.mint..=range.maxt).next().is_some()
        };
        let mut remaining: BTreeMap<String, &ModelSeries> = self
            .all()
            .filter(is_expected)
            .map(|series| (series.labels.to_string(), series))
            .collect();
        let querier = db.querier();
        for series in querier.select(std::slice::from_ref(matcher), range).unwrap() {
            let series = series.unwrap();
            let mut samples = series.samples(range).peekable();
            if samples.peek().is_none() {
                continue;
            }
            let text = series.labels().to_string();
            let model =
                remaining.remove(&text).unwrap_or_else(|| panic!("{text} has samples, {when}"));
            let mut expected = model.times.range(range.mint..=range.maxt);
            for sample in samples {
                let sample = sample.unwrap();
                let (&t, &is_stale) = expected
                    .next()
                    .unwrap_or_else(|| panic!("{text} has the unknown {sample:?}, {when}"));
                assert_eq!(sample.t, t, "{text}, {when}");
                if is_stale {
                    assert!(sample.value.is_stale(), "{text} at {t}: {:?}, {when}", sample.value);
                } else {
                    let value = model.value(t);
                    assert!(
                        sample.value.is_equivalent(&value),
                        "{text} at {t}: {:?} instead of {value:?}, {when}",
                        sample.value
                    );
                }
            }
            assert_eq!(expected.next(), None, "{text} ends early, {when}");
        }
        assert!(
            remaining.is_empty(),
            "{} series are missing: {:?}, {when}",
            remaining.len(),
            remaining.keys().next()
        );
    }

    fn check_all(&self, db: &Db, when: &str) {
        self.check(
            db,
            &Matcher::new(MatchType::NotEqual, "__name__", "").unwrap(),
            TimeRange::ALL,
            when,
        );
    }

    /// Asserts that the exemplars of the last half hour are stored, only sent ones, and that
    /// families have their last metadata.
    fn check_exemplars_and_metadata(&self, db: &Db, when: &str) {
        let head = db.head();
        let all = Matcher::new(MatchType::NotEqual, "__name__", "").unwrap();
        let found = head.exemplars().select(&[vec![all]], TimeRange::ALL);
        let mut stored = 0;
        for series in &found {
            for found in &series.exemplars {
                let sent = self.exemplars.iter().rev().take(MAX_EXEMPLARS + EXEMPLAR_SERIES);
                let is_equal =
                    |(labels, sent): &(Labels, Exemplar)| *labels == series.labels && sent == found;
                assert!(
                    sent.into_iter().any(is_equal),
                    "{}: {found:?} was never sent, {when}",
                    series.labels
                );
                stored += 1;
            }
        }
        let is_recent = |(_, sent): &&(Labels, Exemplar)| sent.t >= self.now - HOUR / 2;
        for (labels, sent) in self.exemplars.iter().rev().take_while(is_recent) {
            let series = found.iter().find(|series| series.labels == *labels);
            assert!(
                series.is_some_and(|series| series.exemplars.contains(sent)),
                "{labels}: {sent:?} is lost, {when}"
            );
        }
        assert!(stored <= MAX_EXEMPLARS);
        for number in 0..7 {
            let family = format!("metric_{number}");
            let found = db.metadata(Some(&family)).into_values().flatten().collect::<Vec<_>>();
            let expected = metadata(number, self.metadata_at);
            assert!(found.iter().any(|entry| **entry == expected), "{family}: {found:?}, {when}");
        }
    }

    /// Compares one metric in a random time range.
    fn check_part(&mut self, db: &Db, when: &str) {
        let mint = self.random.random_range(BEGIN - HOUR..self.now);
        let range = TimeRange::new(mint, mint + self.random.random_range(0..2 * DAY));
        let name = format!("metric_{}", self.random.random_range(0..7u32));
        let matcher = Matcher::new(MatchType::Equal, "__name__", &name).unwrap();
        self.check(db, &matcher, range, &format!("{name} in {range:?}, {when}"));
    }
}

/// Asserts that a snapshot equals the database.
fn check_snapshot(month: &Month, db: &Db, dir: &Path, when: &str) {
    let name = db.admin().snapshot(SnapshotContents::BlocksAndHead, month.now).unwrap();
    let snapshot_dir = dir.join("snapshots").join(name);
    let copy = open(&snapshot_dir, ShutdownMode::KeepInWal);
    month.check_all(&copy, &format!("snapshot, {when}"));
    drop(copy);
    std::fs::remove_dir_all(snapshot_dir).unwrap();
}

#[test]
fn month_of_all_sample_types_matches_model() {
    let dir = tempfile::tempdir().unwrap();
    let mut db = open(dir.path(), ShutdownMode::KeepInWal);
    let mut month = Month::new(crate::support::seed::seeded("engine_month_kinds"));
    let (mut restarts, mut snapshots, mut maintenance_in) = (0, 0, 30);
    for minute in 0..30 * 24 * 60 {
        month.minute(&db);
        let when = format!("minute {minute}, {restarts} restarts");
        maintenance_in -= 1;
        if maintenance_in == 0 {
            db.maintenance().run_once(month.now).unwrap();
            maintenance_in = month.random.random_range(1..240);
        }
        if month.random.random_ratio(1, 400) {
            month.delete(&db);
        }
        if month.random.random_ratio(1, 4000) {
            db.admin().clean_tombstones().unwrap();
        }
        if month.random.random_ratio(1, 9000) {
            check_snapshot(&month, &db, dir.path(), &when);
            snapshots += 1;
        }
        if month.random.random_ratio(1, 500)
            || (restarts < 50 && minute > 42_500 && minute % 10 == 0)
        {
            if month.random.random_ratio(1, 2) {
                db.close().unwrap();
            }
            drop(db);
            let shutdown_mode = if month.random.random_ratio(1, 3) {
                ShutdownMode::ChunkSnapshot
            } else {
                ShutdownMode::KeepInWal
            };
            db = open(dir.path(), shutdown_mode);
            restarts += 1;
            month.check_part(&db, &when);
            month.check_exemplars_and_metadata(&db, &when);
            if restarts % 16 == 0 {
                month.check_all(&db, &when);
            }
        }
    }
    db.maintenance().run_once(month.now).unwrap();
    month.check_all(&db, "at the end");
    assert!(restarts >= 50, "{restarts} restarts");
    let blocks = db.blocks().len();
    println!(
        "{} samples of {} series, {} of them out of order, {} histograms, {restarts} restarts, {snapshots} snapshots, {blocks} blocks",
        month.appended + month.appended_ooo,
        month.all().count(),
        month.appended_ooo,
        month.histograms,
    );
    assert!(
        month.appended > 3_500_000 && month.appended_ooo > 300_000 && month.histograms > 1_000_000
    );
}
