//! Cases of narthex's own: what a scrape stores, counts and names.

use crate::ingest::reject_reason::RejectReason;
use crate::model::matcher::{MatchType, Matcher};
use crate::model::time::TimeRange;
use crate::scrape::tests::stored::{exemplars, stored};
use crate::scrape::unit::error::ScrapeError;
use crate::scrape::unit::settings::StartTimestamps;
use crate::scrape::unit::staging::ScrapeCounts;
use crate::scrape::unit::store::{ScrapeStorageError, ScrapedBody, Storage};
use crate::scrape::unit::tests::fixture::{
    INTERVAL_MS, LIMITS, START_MS, TestDb, TestTarget, labels, scrape_ms, settings,
};

fn target() -> TestTarget {
    TestTarget::new(settings(labels(&[("instance", "i"), ("job", "j")])))
}

/// Returns the samples of a series of the target: number of the scrape, value.
fn samples(db: &TestDb, name: &str) -> Vec<(i64, String)> {
    let series = format!("{{__name__=\"{name}\", instance=\"i\", job=\"j\"}}");
    let samples = stored(&db.handle).remove(&series).unwrap_or_default();
    samples
        .into_iter()
        .map(|(t, value)| {
            let value = match u64::from_str_radix(&value, 16) {
                Ok(bits) => f64::from_bits(bits).to_string(),
                Err(_) => value,
            };
            (1 + (t - START_MS) / INTERVAL_MS, value)
        })
        .collect()
}

fn pairs(list: &[(i64, &str)]) -> Vec<(i64, String)> {
    list.iter().map(|(number, value)| (*number, (*value).to_owned())).collect()
}

#[test]
fn failed_scrape_stores_nothing_and_ends_every_series() {
    let db = TestDb::open(0);
    let mut target = target();
    target.store_text(&db, "a 1\nb 2\n", 1);
    let report = target.store_text(&db, "a 3\nc 4\nd x\n", 2);
    assert!(matches!(report.error, Some(ScrapeError::Parse(_))), "{:?}", report.error);
    // Prometheus leaves out `a`, which the body named before the error.
    assert_eq!(samples(&db, "a"), pairs(&[(1, "1"), (2, "stale")]));
    assert_eq!(samples(&db, "b"), pairs(&[(1, "2"), (2, "stale")]));
    assert_eq!(samples(&db, "c"), pairs(&[]));
    assert_eq!(samples(&db, "up"), pairs(&[(1, "1"), (2, "0")]));
    target.store_text(&db, "still bad\n", 3);
    assert_eq!(samples(&db, "a"), pairs(&[(1, "1"), (2, "stale")]), "one marker only");
    target.store_text(&db, "a 5\n", 4);
    assert_eq!(samples(&db, "a"), pairs(&[(1, "1"), (2, "stale"), (4, "5")]));
}

#[test]
fn sample_limit_rejects_the_whole_scrape() {
    let db = TestDb::open(0);
    let mut target = target();
    target.settings.sample_limit = 2;
    assert!(target.store_text(&db, "a 1\nb 2\n", 1).error.is_none());
    let report = target.store_text(&db, "a 1\nb 2\nc 3\nd 4\n", 2);
    let error = report.error.unwrap().to_string();
    assert_eq!(error, "sample limit exceeded (4 samples after relabeling, sample_limit: 2)");
    assert_eq!(report.counts, ScrapeCounts { scraped: 4, post_relabeling: 4, added: 0 });
    assert_eq!(samples(&db, "a"), pairs(&[(1, "1"), (2, "stale")]));
    assert_eq!(samples(&db, "c"), pairs(&[]));
}

#[test]
fn repeated_series_keeps_its_first_sample_and_is_named() {
    let db = TestDb::open(0);
    let mut target = target();
    for number in 1..=2 {
        let report = target.store_text(&db, "a 1\nb 2\na 3\n", number);
        assert!(report.error.is_none());
        let rejections = report.outcome.rejections;
        assert_eq!(rejections.count(RejectReason::DuplicateTimestamp), 1);
        let text = rejections.to_string();
        assert!(text.contains("{__name__=\"a\", instance=\"i\", job=\"j\"}"), "{text}");
        assert_eq!(report.counts.post_relabeling, 3);
    }
    assert_eq!(samples(&db, "a"), pairs(&[(1, "1"), (2, "1")]));
}

#[test]
fn series_of_the_scraper_are_not_replaced() {
    let db = TestDb::open(0);
    let mut target = target();
    for number in 1..=2 {
        let report = target.store_text(&db, "up 7\nscrape_duration_seconds 9\na 1\n", number);
        assert_eq!(report.outcome.rejections.count(RejectReason::DuplicateTimestamp), 2);
    }
    target.store_text(&db, "a 1\n", 3);
    assert_eq!(samples(&db, "up"), pairs(&[(1, "1"), (2, "1"), (3, "1")]));
    let durations = samples(&db, "scrape_duration_seconds");
    assert_eq!(durations, pairs(&[(1, "0.003"), (2, "0.003"), (3, "0.003")]));
}

#[test]
fn rejected_samples_are_counted_and_do_not_fail_the_scrape() {
    let db = TestDb::open(0);
    let mut target = target();
    let far = scrape_ms(1) + 700_000;
    let report = target.store_text(&db, &format!("a 1 {far}\nb 2\n"), 1);
    assert!(report.error.is_none());
    assert_eq!(report.outcome.rejections.count(RejectReason::TooFarAhead), 1);
    assert_eq!(report.counts, ScrapeCounts { scraped: 2, post_relabeling: 2, added: 1 });
    let late = scrape_ms(2) - 1500;
    let report = target.store_text(&db, &format!("c 1 {}\nb 2\n", scrape_ms(2)), 2);
    assert!(report.outcome.rejections.is_empty());
    let report = target.store_text(&db, &format!("c 1 {late}\nb 2\n"), 3);
    assert_eq!(report.outcome.rejections.count(RejectReason::OutOfOrder), 1);
    assert_eq!(samples(&db, "up"), pairs(&[(1, "1"), (2, "1"), (3, "1")]));
}

#[test]
fn end_markers_are_refused_behind_newer_samples() {
    // With a window, an ordinary append behind the newest sample would be accepted.
    let db = TestDb::open(7_200_000);
    let (mut old, mut new) = (target(), target());
    old.store_text(&db, "a 1\nb 2\n", 1);
    new.store_text(&db, "a 5\n", 3);
    let storage = Storage { db: &db.handle, limits: &LIMITS, now_ms: scrape_ms(4) };
    old.store.store_end_markers(scrape_ms(2), storage).unwrap();
    assert_eq!(samples(&db, "a"), pairs(&[(1, "1"), (3, "5")]));
    assert_eq!(samples(&db, "b"), pairs(&[(1, "2"), (2, "stale")]));
    assert_eq!(samples(&db, "up"), pairs(&[(1, "1"), (3, "1")]));
}

#[test]
fn target_that_was_never_scraped_gets_no_end_markers() {
    let db = TestDb::open(0);
    let storage = Storage { db: &db.handle, limits: &LIMITS, now_ms: scrape_ms(4) };
    target().store.store_end_markers(scrape_ms(2), storage).unwrap();
    assert!(stored(&db.handle).is_empty());
}

#[test]
fn storage_that_rejects_keeps_the_last_stored_scrape() {
    let db = TestDb::open(0);
    let mut target = target();
    target.store_text(&db, "a 1\nb 2\n", 1);
    db.handle.close().unwrap();
    let report = target.store_text(&db, "a 1\n", 2);
    assert!(report.error.is_none());
    let error = report.storage_error;
    assert!(matches!(error, Some(ScrapeStorageError::Unavailable(_))), "{error:?}");
    assert_eq!(samples(&db, "b"), pairs(&[(1, "2")]));
}

#[test]
fn labels_of_the_target_win_and_exposed_ones_are_renamed() {
    let db = TestDb::open(0);
    let mut target = target();
    target.store_text(&db, "a{job=\"own\",exported_job=\"x\"} 1\n", 1);
    let series = stored(&db.handle).into_keys().find(|series| series.contains("\"a\"")).unwrap();
    assert_eq!(
        series,
        "{__name__=\"a\", exported_exported_job=\"own\", exported_job=\"x\", instance=\"i\", \
         job=\"j\"}"
    );
}

#[test]
fn report_series_have_metadata() {
    let db = TestDb::open(0);
    target().store_text(&db, "# HELP a Help of a.\n# TYPE a gauge\na 1\n", 1);
    let found = crate::tsdb::db::list_all(db.handle.ready().unwrap().head());
    let names: Vec<_> = found.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "a",
            "scrape_duration_seconds",
            "scrape_samples_post_metric_relabeling",
            "scrape_samples_scraped",
            "scrape_series_added",
            "up"
        ]
    );
}

#[test]
fn failing_series_are_counted_as_new_once() {
    let db = TestDb::open(0);
    let mut target = target();
    target.settings.sample_limit = 2;
    let mut added = |text, number| target.store_text(&db, text, number).counts.added;
    assert_eq!(added("a 1\nb 2\nc 3\n", 1), 2, "as in Prometheus: those within the limit");
    assert_eq!(added("a 1\nb 2\nc 3\n", 2), 0);
    assert_eq!(added("a 1\nd 2\ne 3\n", 3), 1);
    assert_eq!(added("a 1\nc 3\n", 4), 1, "c is new");
    assert_eq!(added("b 2\nd 4\n", 5), 2, "the failures are forgotten");
}

#[test]
fn start_timestamps_are_stored_with_their_samples() {
    let db = TestDb::open(0);
    let mut target = target();
    target.settings.start_timestamps = StartTimestamps::Store;
    target.settings.parser.start_timestamps = true;
    let created = START_MS / 1000 - 60;
    for number in 1..=2 {
        let text = format!(
            "# TYPE a counter\na_total 5\na_created {created}\n# TYPE h histogram\n\
             h_bucket{{le=\"+Inf\"}} 2\nh_count 2\nh_sum 3\nh_created {created}\n\
             # TYPE g gauge\ng 1\n# EOF\n"
        );
        let content_type = "application/openmetrics-text; version=1.0.0";
        let body = ScrapedBody { bytes: text.as_bytes(), content_type };
        let report = target.store_body(&db, Ok(body), scrape_ms(number));
        assert!(report.error.is_none(), "{:?}", report.error);
    }
    let starts = |name: &str| -> Vec<i64> {
        let matchers = [Matcher::new(MatchType::Equal, "__name__", name).unwrap()];
        let querier = db.handle.ready().unwrap().querier();
        let series = querier.select(&matchers, TimeRange::ALL).unwrap();
        let samples = series.flat_map(|series| {
            let series = series.unwrap();
            let samples = series.samples(TimeRange::ALL);
            samples.map(|sample| sample.unwrap().start_timestamp).collect::<Vec<_>>()
        });
        samples.collect()
    };
    for name in ["a_total", "h_bucket", "h_count", "h_sum"] {
        assert_eq!(starts(name), [created * 1000; 2], "{name}");
    }
    assert_eq!(starts("g"), [0; 2]);
    assert_eq!(starts("a_created"), [0; 0], "it is no sample");
}

#[test]
fn repeated_exemplar_without_timestamp_is_stored_once() {
    let db = TestDb::open(0);
    let mut target = target();
    let mut store = |exemplars: [&str; 2], number| {
        let [a, b] = exemplars;
        let text = format!("# TYPE c counter\nc_total{{x=\"a\"}} 1{a}\nc_total 1{b}\n# EOF\n");
        let content_type = "application/openmetrics-text; version=1.0.0";
        let body = ScrapedBody { bytes: text.as_bytes(), content_type };
        let report = target.store_body(&db, Ok(body), scrape_ms(number));
        assert!(report.outcome.rejections.is_empty(), "{:?}", report.outcome.rejections);
        report.outcome.exemplars
    };
    let one = " # {id=\"one\"} 0.5";
    assert_eq!(store([one, one], 1), 2);
    assert_eq!(store([one, ""], 2), 1, "counted as stored");
    assert_eq!(store([" # {id=\"two\"} 0.5", one], 3), 2);
    assert_eq!(store([one, one], 4), 2);
    let found: Vec<Vec<i64>> = exemplars(&db.handle)
        .into_values()
        .map(|list| list.into_iter().map(|(t, ..)| 1 + (t - START_MS) / INTERVAL_MS).collect())
        .collect();
    assert_eq!(found, [vec![1, 3, 4], vec![1]]);
}
