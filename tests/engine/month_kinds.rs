//! A month of every kind of data, in minutes of simulated time: floats, native histograms of all
//! kinds whose buckets, resolution and type change, series that come and go, a tenth of the samples
//! late by up to two hours, deletes, clean-ups, snapshots, exemplars and metadata; the process ends
//! at random points, in order and not. Whatever was appended and not deleted is there to the last
//! bit, and nothing else, all along.
//!
//! The model keeps times only: what a series says at a time is a function of both ([`sample`]).

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
use narthex::tsdb::db::admin::SnapshotContents;
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
/// How late a sample may come.
const LATEST: i64 = 110;
const WINDOW: i64 = 2 * HOUR;
/// Series that send an exemplar with every sample, and how many exemplars are kept.
const EXEMPLAR_SERIES: usize = 8;
const EXEMPLARS: usize = 1000;

fn open(dir: &Path, at_stop: ShutdownMode) -> Db {
    let mut options = DbOptions::new(dir.to_owned());
    options.wal_segment_size = 16 * 32 * 1024;
    options.shutdown_mode = at_stop;
    options.settings.retention = RetentionSettings {
        time_ms: 0,
        bytes: 0,
        percentage: 0.0,
        origin: RetentionOrigin::Configured,
    };
    options.settings.out_of_order_window_ms = WINDOW;
    options.settings.max_exemplars = EXEMPLARS;
    let db = Db::open(options).unwrap();
    db.replay().unwrap();
    db
}

/// What a series is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Float,
    Counter,
    FloatCounter,
    Gauge,
    Custom,
    CustomFloat,
    /// Another one of these every few hours.
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

/// What the series with this number and generation says at `t`.
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

/// Counts that grow with time, begin anew every 500 minutes, and have more buckets as time goes on;
/// the resolution changes every 1100 minutes.
fn histogram(kind: Kind, seed: u64, minutes: u64) -> Histogram {
    let since_reset = (minutes + seed) % 500 + 1;
    let is_custom = matches!(kind, Kind::Custom | Kind::CustomFloat);
    let schema =
        if is_custom { CUSTOM_BUCKETS_SCHEMA } else { ((minutes + seed) / 1100 % 4) as i32 };
    let buckets = 3 + (since_reset / 40) as i64;
    let gap = if is_custom { 0 } else { 2 + (seed % 3) as i32 };
    let count = |bucket: i64| {
        let grown = since_reset * (bucket as u64 + 1 + seed % 5) / 3;
        // A gauge falls, too.
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

/// One series of the model.
struct Modelled {
    number: usize,
    generation: usize,
    labels: Labels,
    /// While it is sent, and when that changes next.
    is_sent: bool,
    changes_at: i64,
    /// The times that it has, and which of them are stale markers.
    times: BTreeMap<i64, bool>,
}

impl Modelled {
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
        // Some live for minutes, some for weeks.
        let longest = 4 * 10i64.pow(random.random_range(2..5));
        let life = random.random_range(10..=longest) * MINUTE;
        Self {
            number,
            generation,
            labels,
            is_sent: true,
            changes_at: now + life,
            times: BTreeMap::new(),
        }
    }

    fn value(&self, t: i64) -> SampleValue {
        value(self.number, self.generation, t)
    }
}

/// A sample that is on its way.
struct Late {
    at: i64,
    number: usize,
    generation: usize,
    labels: Labels,
}

struct Month {
    random: StdRng,
    now: i64,
    live: Vec<Modelled>,
    /// Series that were replaced by others; they never come back.
    gone: Vec<Modelled>,
    /// By the minute in which they are sent.
    late: BTreeMap<i64, Vec<Late>>,
    appended: u64,
    appended_late: u64,
    histograms: u64,
    /// All that were sent.
    exemplars: Vec<(Labels, Exemplar)>,
    /// When metadata was sent last.
    described_at: i64,
}

impl Month {
    fn new(random: StdRng) -> Self {
        let (live, gone, late) = (Vec::new(), Vec::new(), BTreeMap::new());
        let (appended, appended_late, histograms, exemplars) = (0, 0, 0, Vec::new());
        let mut own = Self {
            random,
            now: BEGIN,
            live,
            gone,
            late,
            appended,
            appended_late,
            histograms,
            exemplars,
            described_at: BEGIN,
        };
        own.live =
            (0..SERIES).map(|number| Modelled::new(number, 0, BEGIN, &mut own.random)).collect();
        own
    }

    /// All samples of one minute, as one request.
    fn minute(&mut self, db: &Db) {
        let mut appender = db.appender().unwrap();
        let mut exemplars = Vec::new();
        let mut append = |labels: &Labels, point: Sample| {
            appender
                .append_or_create(labels, std::iter::once(point), |point, why| {
                    panic!("{labels}: {point:?} {why:?}")
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
                    // It comes back.
                    series.is_sent = true;
                    series.changes_at = at + self.random.random_range(10..4000) * MINUTE;
                } else {
                    let next = Modelled::new(number, self.gone.len() + 1, at, &mut self.random);
                    self.gone.push(std::mem::replace(series, next));
                }
            } else if series.is_sent && self.random.random_ratio(1, 10) {
                let minute = self.now + self.random.random_range(1..=LATEST) * MINUTE;
                let late = Late {
                    at,
                    number,
                    generation: series.generation,
                    labels: series.labels.clone(),
                };
                self.late.entry(minute).or_default().push(late);
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
        for late in self.late.remove(&self.now).unwrap_or_default() {
            append(
                &late.labels,
                Sample::new(late.at, value(late.number, late.generation, late.at)),
            );
            let is_it = |series: &&mut Modelled| series.labels == late.labels;
            let series =
                self.live.get_mut(late.number).filter(|series| series.labels == late.labels);
            let series = series.or_else(|| self.gone.iter_mut().find(is_it)).unwrap();
            series.times.insert(late.at, false);
            self.appended_late += 1;
        }
        for (labels, exemplar) in exemplars {
            let one = std::iter::once(exemplar.clone());
            let series = appender.find_series(labels.as_bytes()).expect("a known series");
            appender.append_exemplars(&series, one, |one, why| panic!("{labels}: {one:?} {why:?}"));
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
            self.described_at = self.now;
        }
        appender.commit().unwrap();
        self.now += MINUTE;
    }

    fn all(&self) -> impl Iterator<Item = &Modelled> {
        self.live.iter().chain(&self.gone)
    }

    /// Deletes of a random choice of series a random range; what of it is still on its way is never
    /// sent.
    fn delete(&mut self, db: &Db) {
        let (name, value) = match self.random.random_range(0..3u32) {
            0 => ("__name__", format!("metric_{}", self.random.random_range(0..7u32))),
            1 => ("instance", format!("host-{}-.*", self.random.random_range(0..SERIES))),
            _ => ("instance", format!("host-[0-9]*{}-0", self.random.random_range(0..10u32))),
        };
        let matcher = Matcher::new(MatchType::Regex, name, &value).unwrap();
        let mint = self.random.random_range(BEGIN - HOUR..self.now + HOUR);
        let longest = 10i64.pow(self.random.random_range(0..10));
        let range =
            TimeRange::new(mint, (mint + self.random.random_range(0..=longest)).min(self.now));
        if range.mint > range.maxt {
            return;
        }
        db.delete(&[vec![matcher.clone()]], range).unwrap();
        let is_hit = |labels: &Labels| matcher.matches(labels.get(name).unwrap_or_default());
        for series in
            self.live.iter_mut().chain(&mut self.gone).filter(|series| is_hit(&series.labels))
        {
            series.times.retain(|t, _| !range.contains(*t));
        }
        for late in self.late.values_mut() {
            late.retain(|late| !(range.contains(late.at) && is_hit(&late.labels)));
        }
    }

    /// What the database answers is what the model has in `range`.
    fn check(&self, db: &Db, matcher: &Matcher, range: TimeRange, when: &str) {
        let name = matcher.name();
        let is_wanted = |series: &&Modelled| {
            matcher.matches(series.labels.get(name).unwrap_or_default())
                && series.times.range(range.mint..=range.maxt).next().is_some()
        };
        let mut wanted: BTreeMap<String, &Modelled> = self
            .all()
            .filter(is_wanted)
            .map(|series| (series.labels.to_string(), series))
            .collect();
        let querier = db.querier();
        for series in querier.select(std::slice::from_ref(matcher), range).unwrap() {
            let series = series.unwrap();
            let mut points = series.samples(range).peekable();
            if points.peek().is_none() {
                continue;
            }
            let text = series.labels().to_string();
            let modelled =
                wanted.remove(&text).unwrap_or_else(|| panic!("{text} has samples, {when}"));
            let mut expected = modelled.times.range(range.mint..=range.maxt);
            for point in points {
                let point = point.unwrap();
                let (&t, &is_stale) =
                    expected.next().unwrap_or_else(|| panic!("{text} has {point:?} too, {when}"));
                assert_eq!(point.t, t, "{text}, {when}");
                if is_stale {
                    assert!(point.value.is_stale(), "{text} at {t}: {:?}, {when}", point.value);
                } else {
                    let value = modelled.value(t);
                    assert!(
                        point.value.is_equivalent(&value),
                        "{text} at {t}: {:?} and not {value:?}, {when}",
                        point.value
                    );
                }
            }
            assert_eq!(expected.next(), None, "{text} ends early, {when}");
        }
        assert!(
            wanted.is_empty(),
            "{} series are missing: {:?}, {when}",
            wanted.len(),
            wanted.keys().next()
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

    /// The exemplars of the last hour are there and none that was not sent; families are described
    /// as they were last.
    fn check_beside(&self, db: &Db, when: &str) {
        let head = db.head().unwrap();
        let all = Matcher::new(MatchType::NotEqual, "__name__", "").unwrap();
        let found = head.exemplars().select(&[vec![all]], TimeRange::ALL);
        let mut kept = 0;
        for series in &found {
            for one in &series.exemplars {
                let sent = self.exemplars.iter().rev().take(EXEMPLARS + EXEMPLAR_SERIES);
                let is_it =
                    |(labels, sent): &(Labels, Exemplar)| *labels == series.labels && sent == one;
                assert!(
                    sent.into_iter().any(is_it),
                    "{}: {one:?} was never sent, {when}",
                    series.labels
                );
                kept += 1;
            }
        }
        let young = self.exemplars.iter().rev().take_while(|(_, one)| one.t >= self.now - HOUR / 2);
        for (labels, one) in young {
            let series = found.iter().find(|series| series.labels == *labels);
            assert!(
                series.is_some_and(|series| series.exemplars.contains(one)),
                "{labels}: {one:?} is lost, {when}"
            );
        }
        assert!(kept <= EXEMPLARS);
        for number in 0..7 {
            let family = format!("metric_{number}");
            let said = db.metadata(Some(&family)).into_values().flatten().collect::<Vec<_>>();
            let expected = metadata(number, self.described_at);
            assert!(said.iter().any(|one| **one == expected), "{family}: {said:?}, {when}");
        }
    }

    /// A part of it: one metric over a random time.
    fn check_part(&mut self, db: &Db, when: &str) {
        let mint = self.random.random_range(BEGIN - HOUR..self.now);
        let range = TimeRange::new(mint, mint + self.random.random_range(0..2 * DAY));
        let name = format!("metric_{}", self.random.random_range(0..7u32));
        let matcher = Matcher::new(MatchType::Equal, "__name__", &name).unwrap();
        self.check(db, &matcher, range, &format!("{name} in {range:?}, {when}"));
    }
}

/// A snapshot holds what the database held.
fn check_snapshot(month: &Month, db: &Db, dir: &Path, when: &str) {
    let name = db.snapshot(SnapshotContents::BlocksAndHead, month.now).unwrap();
    let taken = dir.join("snapshots").join(name);
    let copy = open(&taken, ShutdownMode::KeepInWal);
    month.check_all(&copy, &format!("snapshot, {when}"));
    drop(copy);
    std::fs::remove_dir_all(taken).unwrap();
}

#[test]
fn a_month_of_every_kind_of_data_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut db = open(dir.path(), ShutdownMode::KeepInWal);
    let mut month = Month::new(crate::support::seed::seeded("engine_month_kinds"));
    let (mut restarts, mut snapshots, mut maintenance_in) = (0, 0, 30);
    for minute in 0..30 * 24 * 60 {
        month.minute(&db);
        let when = format!("minute {minute}, {restarts} restarts");
        maintenance_in -= 1;
        if maintenance_in == 0 {
            db.run_maintenance_once(month.now).unwrap();
            maintenance_in = month.random.random_range(1..240);
        }
        if month.random.random_ratio(1, 400) {
            month.delete(&db);
        }
        if month.random.random_ratio(1, 4000) {
            db.clean_tombstones().unwrap();
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
            let at_stop = if month.random.random_ratio(1, 3) {
                ShutdownMode::ChunkSnapshot
            } else {
                ShutdownMode::KeepInWal
            };
            db = open(dir.path(), at_stop);
            restarts += 1;
            month.check_part(&db, &when);
            month.check_beside(&db, &when);
            if restarts % 16 == 0 {
                month.check_all(&db, &when);
            }
        }
    }
    db.run_maintenance_once(month.now).unwrap();
    month.check_all(&db, "the end");
    assert!(restarts >= 50, "{restarts} restarts");
    let blocks = db.blocks().len();
    println!(
        "{} samples of {} series, {} of them late, {} histograms, {restarts} restarts, {snapshots} snapshots, {blocks} blocks",
        month.appended + month.appended_late,
        month.all().count(),
        month.appended_late,
        month.histograms,
    );
    assert!(
        month.appended > 3_500_000 && month.appended_late > 300_000 && month.histograms > 1_000_000
    );
}
