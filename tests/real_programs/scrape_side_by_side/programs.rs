//! Targets that are real programs: node exporter, Pushgateway, Prometheus itself, and an
//! application with Python's `prometheus_client`.
//!
//! Their series change from scrape to scrape, so the label sets are compared, the values of those
//! that are constant, and the order of values and stale markers of series that come and go.

use std::collections::{BTreeMap, BTreeSet};

use super::{ROUNDS, Scrapers, TIMEOUT_SECONDS, read_job};
use crate::support::dir;
use crate::support::foreign::Foreign;
use crate::support::http::Http;
use crate::support::launch::{Launch, free_port};
use crate::support::samples::{LabelSet, Samples};
use crate::support::scrapes::{JobScrapes, STALE, When, get, value_text};
use crate::support::wait::wait_until;

/// Jobs with the minimum number of their label sets.
const JOBS: [(&str, usize); 5] =
    [("node", 300), ("pushed", 60), ("honored", 60), ("prometheus", 400), ("app", 40)];

/// Number of scrapes of every target.
const SCRAPES: usize = 20;

/// Series of Prometheus that are not compared: its queries for this test, and its own state, which
/// is not the same at each scrape.
fn is_comparable(labels: &LabelSet) -> bool {
    !get(labels, "handler").is_some_and(|handler| handler.starts_with("/api/"))
}

/// Returns a value of `le` or `quantile` in the form of 3.14, which 2.42 does not make.
fn canonical(value: &str) -> String {
    let is_whole = value.len() <= 6 && value.bytes().all(|byte| byte.is_ascii_digit());
    if is_whole { format!("{value}.0") } else { value.to_owned() }
}

/// Applies the known differences to the labels of 2.42.
fn as_of_today(samples: &Samples) -> Samples {
    let mut changed = Samples::new();
    for (labels, t, bits) in samples.iter() {
        let mut labels = labels.clone();
        for (name, value) in &mut labels {
            if name == "le" || name == "quantile" {
                *value = canonical(value);
            }
        }
        changed.add(&labels, t, bits);
    }
    changed
}

/// Returns the label sets of a job, and those that at least half of the scrapes have.
fn label_sets(scrapes: &JobScrapes) -> (BTreeSet<&LabelSet>, BTreeSet<&LabelSet>) {
    let comparable = scrapes.series.iter().filter(|(labels, _)| is_comparable(labels));
    let all = comparable.clone().map(|(labels, _)| labels).collect();
    let frequent = comparable.filter(|(_, samples)| samples.len() * 2 >= scrapes.times.len());
    (all, frequent.map(|(labels, _)| labels).collect())
}

fn assert_equal_label_sets(job: &str, min: usize, theirs: &JobScrapes, ours: &JobScrapes) {
    let ((their_all, their_frequent), (our_all, our_frequent)) =
        (label_sets(theirs), label_sets(ours));
    assert!(their_frequent.len() >= min, "{job}: {} label sets", their_frequent.len());
    let missing: Vec<_> = their_frequent.difference(&our_all).take(5).collect();
    let more: Vec<_> = our_frequent.difference(&their_all).take(5).collect();
    assert!(missing.is_empty() && more.is_empty(), "{job}: missing {missing:?}, more {more:?}");
}

/// Returns the states of a series over the scrapes, each repeated state once: its value, a stale
/// marker, or nothing.
fn story(scrapes: &JobScrapes, labels: &LabelSet) -> Vec<String> {
    let samples: BTreeMap<_, u64> = scrapes.series[labels].iter().copied().collect();
    let state = |number: usize| {
        let bits = samples.get(&When::Scrape(number));
        bits.map_or("nothing".to_owned(), |bits| value_text(*bits))
    };
    let mut states: Vec<String> = (1..=scrapes.times.len()).map(state).collect();
    states.dedup();
    states
}

/// Compares the stories of series whose values change only by events of the test.
fn assert_equal_stories(
    job: &str,
    theirs: &JobScrapes,
    ours: &JobScrapes,
    min_markers: usize,
    is_compared: impl Fn(&LabelSet) -> bool,
) {
    let mut markers = 0;
    let mut count = 0;
    for labels in theirs.series.keys().filter(|labels| is_compared(labels)) {
        assert!(ours.series.contains_key(labels), "{job}: {labels:?}");
        let expected = story(theirs, labels);
        assert_eq!(story(ours, labels), expected, "{job}: {labels:?}");
        markers += theirs.series[labels].iter().filter(|(_, bits)| *bits == STALE).count();
        count += 1;
    }
    assert!(count >= 5 && markers >= min_markers, "{job}: {count} series, {markers} markers");
}

fn start_app(port: u16, generation: &str) -> Foreign {
    let mut app = Foreign::start("app_target.py", &[&port.to_string(), generation]);
    app.step("listening");
    app
}

/// Waits until both scrapers have `more` further scrapes of a job, of which the last ones have this
/// value of `up`.
fn wait_scrapes(scrapers: &Scrapers, job: &str, up: char, more: usize) {
    let ups = |server| JobScrapes::of(&read_job(server, job), job).up();
    let before = scrapers.both().map(|(_, server)| ups(server).len());
    for ((name, server), before) in scrapers.both().into_iter().zip(before) {
        wait_until(&format!("scrapes of {job} by {name}"), || {
            let found = ups(server);
            let last = found.len().saturating_sub(more);
            found.len() >= before + more && found[last..].chars().all(|found| found == up)
        });
    }
}

fn push(gateway: &Http, group: &str, body: &str) {
    let path = format!("/metrics/job/batch/instance/{group}");
    let answer = gateway.send("PUT", &path, &[], Some(body.as_bytes()));
    assert_eq!(answer.expect("a response").status, 200);
}

/// Returns `true` if a scrape failed because it took too long.
fn is_disturbed(scrapers: &Scrapers) -> bool {
    scrapers.both().into_iter().any(|(_, server)| {
        JOBS.iter().any(|(name, _)| {
            let scrapes = JobScrapes::of(&read_job(server, name), name);
            let durations = scrapes.values("scrape_duration_seconds");
            let mut both = scrapes.up().chars().zip(durations).collect::<Vec<_>>().into_iter();
            both.any(|(up, duration)| up == '0' && duration > TIMEOUT_SECONDS * 0.9)
        })
    })
}

/// Scrapes all programs, and compares the samples. Returns `false` if a scrape took too long.
fn scrape_and_compare() -> bool {
    let temp_dir = dir::temp();
    let node = Launch::node_exporter().start();
    let gateway = Launch::pushgateway().start();
    push(&gateway.http, "a", "# TYPE done_total counter\ndone_total 5\nlast{x=\"1\"} 1\n");
    push(&gateway.http, "b", "# TYPE done_total counter\ndone_total 7\n");
    let (app_port, own_port) = (free_port(), free_port());
    let app = start_app(app_port, "1");
    let job = |name: &str, keys: &str, port: u16| {
        format!(
            "- {{job_name: {name}, {keys} static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}\n"
        )
    };
    let jobs = [
        job("node", "", node.port),
        job("pushed", "", gateway.port),
        job("honored", "honor_labels: true,", gateway.port),
        job("prometheus", "", own_port),
        job("app", "", app_port),
    ];
    let timeout = TIMEOUT_SECONDS * 1000.0;
    let global = format!("scrape_interval: 700ms, scrape_timeout: {timeout}ms");
    let scrapers = Scrapers::start(temp_dir.path(), own_port, &global, &jobs.concat());

    wait_scrapes(&scrapers, "app", '1', 3);
    drop(app);
    wait_scrapes(&scrapers, "app", '0', 2);
    let _app = start_app(app_port, "2");
    wait_scrapes(&scrapers, "app", '1', 2);
    wait_scrapes(&scrapers, "pushed", '1', 2);
    let deleted = gateway.http.send("DELETE", "/metrics/job/batch/instance/b", &[], None);
    assert_eq!(deleted.expect("a response").status, 202);
    wait_scrapes(&scrapers, "pushed", '1', 2);
    wait_scrapes(&scrapers, "honored", '1', 2);
    for (name, _) in JOBS {
        for (scraper, server) in scrapers.both() {
            wait_until(&format!("scrapes of {name} by {scraper}"), || {
                JobScrapes::of(&read_job(server, name), name).times.len() >= SCRAPES
            });
        }
    }
    if is_disturbed(&scrapers) {
        return false;
    }
    for (name, min) in JOBS {
        let [theirs, ours] = scrapers.both().map(|(_, server)| read_job(server, name));
        let theirs = JobScrapes::of(&as_of_today(&theirs), name);
        let ours = JobScrapes::of(&ours, name);
        assert_equal_label_sets(name, min, &theirs, &ours);
        match name {
            "app" => assert_equal_stories(name, &theirs, &ours, 20, |labels| {
                let name = get(labels, "__name__").unwrap_or("");
                name.starts_with("app_") || ["up", "scrape_samples_scraped"].contains(&name)
            }),
            "pushed" => assert_equal_stories(name, &theirs, &ours, 2, |labels| {
                get(labels, "exported_job") == Some("batch")
            }),
            _ => {}
        }
    }
    let [theirs, ours] = scrapers.both().map(|(_, server)| {
        let samples = read_job(server, "honored|batch");
        JobScrapes::honored(&samples, "honored", "batch")
    });
    assert_equal_stories("honored", &theirs, &ours, 2, |_| true);
    true
}

#[test]
#[ignore = "needs Debian's prometheus, node exporter and Pushgateway, and Python: run tests/run"]
fn real_targets_are_stored_as_by_prometheus() {
    for _ in 0..ROUNDS {
        if scrape_and_compare() {
            return;
        }
        println!("disturbed by a timeout");
    }
    panic!("timeouts in {ROUNDS} rounds");
}
