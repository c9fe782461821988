//! Exemplars of the database across crashes, clean shutdowns with and without chunk snapshot,
//! compaction, and changes of the ring size.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use crate::support::life::{BEGIN, HOUR, Life, MINUTE, labels, minutes};
use narthex::model::exemplar::Exemplar;
use narthex::model::labels::LabelsBuilder;
use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::time::TimeRange;
use narthex::tsdb::db::options::ShutdownMode;
use narthex::tsdb::db::settings::Settings;
use narthex::tsdb::head::exemplars::{ExemplarRejection, SeriesExemplars};

const NAMES: [&str; 3] = ["a", "b", "c"];

fn exemplar(t: i64) -> Exemplar {
    let trace = format!("{t:x}");
    Exemplar {
        t,
        v: t as f64 / 7.0,
        labels: LabelsBuilder::from_iter([("trace_id", trace.as_str())]).build().ok(),
    }
}

/// Appends an exemplar of each series per timestamp, one request each. Returns the rejections.
fn put(life: &Life, times: impl IntoIterator<Item = i64>) -> Vec<ExemplarRejection> {
    let mut rejections = Vec::new();
    for t in times {
        let mut appender = life.db().appender().unwrap();
        for name in NAMES {
            let exemplars = std::iter::once(exemplar(t));
            // As ingest does: exemplars need a series in the head.
            let Some(series) = appender.find_series(labels(name).as_bytes()) else {
                rejections.push(ExemplarRejection::UnknownSeries);
                continue;
            };
            appender.append_exemplars(&series, exemplars, |_, why| rejections.push(why));
        }
        appender.commit().unwrap();
    }
    rejections
}

fn all(life: &Life) -> Vec<SeriesExemplars> {
    let any = [vec![Matcher::new(MatchType::NotEqual, "__name__", "").unwrap()]];
    life.db().querier().exemplars(&any, TimeRange::ALL)
}

fn expected(times: impl IntoIterator<Item = i64>) -> Vec<SeriesExemplars> {
    let exemplars: Vec<Exemplar> = times.into_iter().map(exemplar).collect();
    NAMES
        .map(|name| SeriesExemplars { labels: labels(name), exemplars: exemplars.clone() })
        .to_vec()
}

fn resize(life: &Life, max_exemplars: usize) {
    life.db().apply_settings(Settings { max_exemplars, ..life.db().settings() }).unwrap();
}

#[test]
fn exemplars_survive_crash_and_stop_with_and_without_snapshot() {
    for shutdown_mode in [ShutdownMode::KeepInWal, ShutdownMode::ChunkSnapshot] {
        let mut life = Life::new(|options| options.shutdown_mode = shutdown_mode);
        life.put(&NAMES, minutes(BEGIN, BEGIN + HOUR));
        assert_eq!(put(&life, minutes(BEGIN, BEGIN + HOUR)), []);
        for round in 0..3 {
            life.restart();
            let next = BEGIN + HOUR + round * MINUTE;
            assert_eq!(
                all(&life),
                expected(minutes(BEGIN, next)),
                "{shutdown_mode:?}, round {round}"
            );
            // A retry is not rejected and stores nothing twice.
            assert_eq!(put(&life, [next - MINUTE, next]), []);
            assert_eq!(all(&life), expected(minutes(BEGIN, next + MINUTE)));
        }
    }
}

#[test]
fn exemplars_outlive_head_compaction_until_restart() {
    let mut life = Life::new(|_| ());
    let times = || minutes(BEGIN, BEGIN + 5 * HOUR);
    for t in times() {
        life.put(&NAMES, [t]);
        assert_eq!(put(&life, [t]), []);
    }
    life.maintain();
    assert_eq!(life.blocks().len(), 1);
    assert_eq!(all(&life), expected(times()));
    life.restart();
    // As in Prometheus, exemplars older than the head are not replayed.
    assert_eq!(all(&life), expected(times().filter(|t| *t >= BEGIN + 2 * HOUR)));
    life.maintain();
    life.restart();
    assert_eq!(all(&life), expected(times().filter(|t| *t >= BEGIN + 2 * HOUR)));
}

#[test]
fn resized_exemplar_ring_keeps_newest_and_size_zero_none() {
    let mut life = Life::new(|options| options.settings.max_exemplars = 12);
    life.put(&NAMES, [BEGIN]);
    put(&life, (0..10).map(|i| BEGIN + i));
    let newest = |from: i64| expected((from..10).map(|i| BEGIN + i));
    assert_eq!(all(&life), newest(6));
    resize(&life, 6);
    assert_eq!(all(&life), newest(8));
    resize(&life, 100);
    assert_eq!(all(&life), newest(8));
    // The WAL has the others; they return with a larger ring.
    life.restart_with(|options| options.settings.max_exemplars = 100);
    assert_eq!(all(&life), newest(0));
    resize(&life, 0);
    assert_eq!(all(&life), []);
    assert_eq!(put(&life, [BEGIN + 20]), [ExemplarRejection::Disabled; 3]);
    resize(&life, 100);
    assert_eq!((put(&life, [BEGIN + 20]), all(&life)), (vec![], expected([BEGIN + 20])));
}

#[test]
fn collected_series_keeps_exemplars_and_rejects_new_ones() {
    let mut life = Life::new(|_| ());
    life.put(&NAMES, minutes(BEGIN, BEGIN + 10 * MINUTE));
    assert_eq!(put(&life, [BEGIN]), []);
    life.put(&["other"], minutes(BEGIN, BEGIN + 6 * HOUR));
    life.maintain();
    assert_eq!(life.db().head().series_count(), 1);
    assert_eq!(all(&life), expected([BEGIN]));
    assert_eq!(put(&life, [BEGIN + MINUTE]), [ExemplarRejection::UnknownSeries; 3]);
    life.restart();
    assert_eq!(all(&life), []);
}
