//! Debian's Prometheus (2.42) and narthex scrape the same targets with the same configuration, and
//! store the same.
//!
//! Samples are compared by the number of the scrape, so it does not matter when either of them
//! scrapes. Stale markers are compared as raw samples, read by remote read.
//!
//! A busy machine can let a scrape time out that should succeed. Such a case is repeated.
//!
//! | module | contents |
//! |---|---|
//! | `cases` | scripted targets, scrape by scrape |
//! | `differences` | known differences, with their reasons |
//! | `programs` | targets that are real programs |

mod cases;
mod differences;
mod programs;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, OnceLock};

use cases::{At, BOMB, CASES, Case};
use differences::{DIFFERENCES, NOT_SHOWN, RELABEL};

use crate::support::clock::now_ms;
use crate::support::dir;
use crate::support::golden;
use crate::support::launch::{Launch, Server, free_port};
use crate::support::metrics::Metrics;
use crate::support::remote::{MAX_TIME, MIN_TIME};
use crate::support::samples::Samples;
use crate::support::scrapes::{JobScrapes, difference, get};
use crate::support::scripted::{Asked, Reply, Scripted};
use crate::support::wait::wait_until;
use crate::support::wire::Matcher;

/// Number of scrapes that are compared.
const SCRAPES: u64 = 20;

const TIMEOUT_SECONDS: f64 = 0.7;

/// Rounds in which a case may be disturbed by timeouts.
const ROUNDS: usize = 4;

/// Names of the scrapers, as in their User-Agent.
const PROMETHEUS: &str = "Prometheus";
const NARTHEX: &str = "narthex";

/// Job without a default port. Nothing listens there.
const NO_PORT: &str = "no-port";

/// Counters that both scrapers have, and that no case increases by a different number.
const COUNTERS: [&str; 5] = [
    "prometheus_target_scrapes_exceeded_body_size_limit_total",
    "prometheus_target_scrapes_exceeded_sample_limit_total",
    "prometheus_target_scrape_pool_exceeded_label_limits_total",
    "prometheus_target_scrapes_sample_out_of_order_total",
    "prometheus_target_scrapes_sample_out_of_bounds_total",
];

/// Counter that 2.42 increases for fewer samples.
const DUPLICATES: &str = "prometheus_target_scrapes_sample_duplicate_timestamp_total";

/// Both scrapers, in the order of [`PROMETHEUS`] and [`NARTHEX`].
struct Scrapers {
    prometheus: Server,
    narthex: Server,
}

impl Scrapers {
    /// Starts both with the same jobs, Prometheus on a port.
    fn start(dir: &Path, port: u16, global: &str, jobs: &str) -> Scrapers {
        let config = |extra: &str| {
            format!(
                "global: {{{global}{extra}}}\nscrape_configs:\n{jobs}\n\
                 storage: {{tsdb: {{out_of_order_time_window: 0s}}}}\n"
            )
        };
        let prometheus = Launch::prometheus(&dir.join("prometheus"), &config(""))
            .flag("--enable-feature=extra-scrape-metrics")
            .port(port);
        let data = dir.join("narthex");
        let narthex = Launch::narthex(&data)
            .config(&data, &config(", extra_scrape_metrics: true"))
            .flag("--scrape.discovery-reload-interval=100ms");
        Scrapers { prometheus: prometheus.start(), narthex: narthex.start() }
    }

    fn both(&self) -> [(&'static str, &Server); 2] {
        [(PROMETHEUS, &self.prometheus), (NARTHEX, &self.narthex)]
    }

    fn read(&self) -> [(&'static str, Samples); 2] {
        self.both().map(|(name, server)| (name, read_job(server, ".+")))
    }
}

/// Reads the raw samples of the jobs that match a pattern.
fn read_job(server: &Server, pattern: &str) -> Samples {
    server.remote().read(&[Matcher::regex("job", pattern)], MIN_TIME, MAX_TIME)
}

/// Answers a scraper. After the last scrape, responses do not change.
fn answer(cases: &BTreeMap<String, Case>, at: &At, asked: &Asked) -> Reply {
    match asked.path.as_str() {
        "/landing" => Reply::text(format!("landed {}\n", asked.query)),
        "/loop" => Reply::redirect("/loop".to_owned()),
        path => match cases.get(path) {
            Some(case) if asked.number <= SCRAPES => (case.step(asked.number).reply)(at),
            Some(_) => Reply::text("settled 1\n"),
            None => Reply::status("404 Not Found"),
        },
    }
}

/// Starts the target of these cases.
fn start_target(cases: &[Case]) -> Scripted {
    // Making it must not delay a scrape.
    LazyLock::force(&BOMB);
    let start = now_ms();
    let port = Arc::new(OnceLock::new());
    let own_port = Arc::clone(&port);
    let cases: BTreeMap<String, Case> =
        cases.iter().map(|case| (format!("/{}", case.name), *case)).collect();
    let target = Scripted::start(move |asked| {
        let at = At { n: asked.number, start, port: *port.wait() };
        answer(&cases, &at, asked)
    });
    own_port.set(target.port()).expect("it is set once");
    target
}

fn jobs(cases: &[Case], target: &Scripted) -> String {
    let job = |case: &Case| {
        format!(
            "- {{job_name: {0}, metrics_path: /{0}, {1} static_configs: [{{targets: ['{2}']}}]}}\n",
            case.name,
            case.job,
            target.address()
        )
    };
    cases.iter().map(job).collect()
}

/// What both scrapers stored of a case.
struct Stored {
    scrapes: [(&'static str, JobScrapes); 2],
}

impl Stored {
    /// Returns `true` if a scrape timed out, or almost did, without reason.
    fn is_disturbed(&self, case: &Case, at: &At) -> bool {
        self.scrapes.iter().any(|(_, scrapes)| {
            let durations = scrapes.values("scrape_duration_seconds");
            let is_late = |(duration, n): (f64, u64)| {
                let reply = (case.step(n).reply)(&At { n, ..*at });
                duration > TIMEOUT_SECONDS * 0.9 && !reply.takes_until_timeout()
            };
            durations.into_iter().zip(1..).any(is_late)
        })
    }

    /// Returns why the samples are not those that the script must yield, whatever the scrapers have
    /// in common. `markers` is whether each of them has stale markers.
    fn flaws(&self, up: [&str; 2], markers: Option<bool>) -> String {
        let mut flaws = String::new();
        for ((scraper, scrapes), up) in self.scrapes.iter().zip(up) {
            let has_markers = scrapes.markers() > 0;
            let is_filled = scrapes.times.len() as u64 == SCRAPES
                && (up.is_empty() || scrapes.up() == up)
                && scrapes.values_count() > 7 * SCRAPES as usize
                && markers.is_none_or(|markers| markers == has_markers);
            if !is_filled {
                let lines = scrapes.lines();
                flaws.push_str(&format!("  {scraper}: expected up {up}, found {lines:#?}\n"));
            }
        }
        flaws
    }

    fn difference(&self) -> String {
        let [(one, a), (other, b)] = &self.scrapes;
        difference((one, &a.lines()), (other, &b.lines()))
    }
}

/// Result of a round.
struct Round {
    stored: Vec<Stored>,
    /// Values of [`COUNTERS`] and of the counter of duplicates, by scraper.
    counters: [BTreeMap<&'static str, f64>; 2],
    /// Values of `instance` of the job without a port, by scraper.
    no_port: [Vec<String>; 2],
}

/// Lets both scrapers scrape the cases.
fn run(cases: &[Case]) -> Round {
    let temp_dir = dir::temp();
    let target = start_target(cases);
    let global = format!("scrape_interval: 800ms, scrape_timeout: {}ms", TIMEOUT_SECONDS * 1000.0);
    let no_port =
        format!("- {{job_name: {NO_PORT}, static_configs: [{{targets: ['127.0.0.3']}}]}}\n");
    let jobs = jobs(cases, &target) + &no_port;
    let scrapers = Scrapers::start(temp_dir.path(), free_port(), &global, &jobs);
    for case in cases {
        for scraper in [PROMETHEUS, NARTHEX] {
            // The request after the next one shows that the next scrape is stored.
            wait_until(&format!("scrapes of {} by {scraper}", case.name), || {
                target.count(scraper, &format!("/{}", case.name)) > SCRAPES + 1
            });
        }
    }
    let counters = scrapers.both().map(|(scraper, server)| {
        let metrics = Metrics::of(&server.http);
        let value = |name| metrics.sum(name).unwrap_or_else(|| panic!("no {name} of {scraper}"));
        COUNTERS.into_iter().chain([DUPLICATES]).map(|name| (name, value(name))).collect()
    });
    let samples = scrapers.read();
    let stored = |case: &Case| Stored {
        scrapes: samples.each_ref().map(|(scraper, samples)| {
            (*scraper, JobScrapes::of(samples, case.name).first(SCRAPES as usize))
        }),
    };
    let no_port = samples.each_ref().map(|(_, samples)| {
        let labels = samples.label_sets().filter(|labels| get(labels, "job") == Some(NO_PORT));
        let mut instances: Vec<String> =
            labels.map(|labels| get(labels, "instance").expect("a label").to_owned()).collect();
        instances.dedup();
        instances
    });
    Round { stored: cases.iter().map(stored).collect(), counters, no_port }
}

/// Repeats disturbed cases until `check` has seen each case. Returns the last round, which was not
/// disturbed, and whether it is the only one.
fn run_undisturbed(mut cases: Vec<Case>, mut check: impl FnMut(&Case, &Stored)) -> (Round, bool) {
    let at = At { n: 1, start: now_ms(), port: 1 };
    for round in 0..ROUNDS {
        let result = run(&cases);
        let mut disturbed = Vec::new();
        for (case, stored) in cases.iter().zip(&result.stored) {
            if stored.is_disturbed(case, &at) {
                disturbed.push(*case);
            } else {
                check(case, stored);
            }
        }
        if disturbed.is_empty() {
            return (result, round == 0);
        }
        println!("disturbed: {:?}", disturbed.iter().map(|case| case.name).collect::<Vec<_>>());
        cases = disturbed;
    }
    panic!("{} cases had timeouts in {ROUNDS} rounds", cases.len());
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn scripted_targets_are_stored_as_by_prometheus() {
    let mut differences = String::new();
    let mut markers = 0;
    let (round, is_complete) = run_undisturbed(CASES.to_vec(), |case, stored| {
        let up = case.up(SCRAPES);
        let found = stored.flaws([&up, &up], Some(case.has_markers)) + &stored.difference();
        markers += stored.scrapes[0].1.markers();
        if !found.is_empty() {
            differences.push_str(&format!("{}:\n{found}", case.name));
        }
    });
    assert!(differences.is_empty(), "\n{differences}");
    assert!(markers > 300, "{markers} markers");
    let [theirs, ours] = &round.counters;
    for name in COUNTERS {
        assert_eq!(ours[name], theirs[name], "{name}");
        assert!(!is_complete || theirs[name] > 0.0, "{name}");
    }
    assert!(ours[DUPLICATES] >= theirs[DUPLICATES]);
    assert!(!is_complete || ours[DUPLICATES] > theirs[DUPLICATES] && theirs[DUPLICATES] > 0.0);
    let [theirs, ours] = &round.no_port;
    assert_eq!((theirs, ours), (&vec!["127.0.0.3:80".to_owned()], &vec!["127.0.0.3".to_owned()]));
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn known_differences_to_prometheus_are_real() {
    let cases = DIFFERENCES.iter().map(|difference| difference.case).collect();
    let mut flaws = String::new();
    run_undisturbed(cases, |case, stored| {
        let known = DIFFERENCES.iter().find(|known| known.case.name == case.name);
        let known = known.expect("a case of the table");
        let up_before: String = known.up_before.chars().cycle().take(SCRAPES as usize).collect();
        let mut found = stored.flaws([&up_before, &case.up(SCRAPES)], None);
        if stored.difference().is_empty() {
            found.push_str(&format!("  no difference any more: {}\n", known.reason));
        }
        if !found.is_empty() {
            flaws.push_str(&format!("{}:\n{found}", case.name));
        }
    });
    assert!(flaws.is_empty(), "\n{flaws}");
}

#[test]
fn known_differences_have_reasons_and_golden_cases() {
    let cases = golden::text("scrape-behaviour", "cases.json");
    let cases: serde_json::Value = serde_json::from_str(&cases).expect("JSON");
    let cases = cases["cases"].as_array().expect("a list").iter();
    let mut names: Vec<String> =
        cases.map(|case| case["case"].as_str().expect("a name").to_owned()).collect();
    assert!(names.len() > 300);
    let tables = golden::text("relabel", "cases.json");
    let tables: serde_json::Value = serde_json::from_str(&tables).expect("JSON");
    let tables = tables["tables"].as_array().expect("a list").iter();
    let groups = tables.map(|table| table["group"].as_str().expect("a group"));
    names.extend(groups.map(|group| format!("{RELABEL}{group}")));
    let shown = DIFFERENCES.iter().map(|known| (known.case.name, known.reason, known.golden));
    for (name, reason, golden) in shown.chain(NOT_SHOWN.iter().copied()) {
        assert!(reason.len() > 20, "{name}");
        let is_missing = |case: &&&str| !names.iter().any(|name| name == **case);
        let missing: Vec<&&str> = golden.iter().filter(is_missing).collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
    }
}
