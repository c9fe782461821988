//! All samples of a request or of a scrape become visible together: a reader polls a histogram of
//! 200 buckets while it is pushed and scraped as fast as possible.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::atomic::{
    JOB, body, request, request_at, requests_in, scrapes_in, timestamps_in,
};
use crate::support::clock::now_ms;
use crate::support::data::BEGIN;
use crate::support::export::export_points;
use crate::support::launch::{Launch, Server};
use crate::support::points::Points;
use crate::support::remote::{MAX_TIME, MIN_TIME};
use crate::support::scrapes::get;
use crate::support::scripted::{Reply, Scripted};
use crate::support::streamed::{ask, contents, everything, messages};
use crate::support::wire::WriteRequest;
use crate::support::{dir, wire};

/// Reads by every protocol of the HTTP port, in the order of the result.
fn reads(server: &Server) -> [(&'static str, Points); 3] {
    let sampled = server.remote().read_all_points();
    let streamed = ask(&server.http, &everything(MIN_TIME, MAX_TIME, 1));
    assert_eq!(streamed.status, 200, "{}", streamed.text());
    [
        ("remote read", sampled),
        ("streamed read", contents(&messages(&streamed.body)).0),
        ("export", export_points(&server.http)),
    ]
}

/// Number of buckets of the scraped histogram, and its count.
const SCRAPED: usize = 201;

/// Number of polls during which pushes are sent, so that the data to read stays small.
const POLLS: i64 = 20;

/// Number of pushes until a poll ends.
const PUSHES_PER_POLL: i64 = 20;

#[test]
fn reads_of_pushes_and_scrapes_have_equal_bucket_counts() {
    let dir = dir::temp();
    let data = dir.path().join("data");
    let target = Scripted::start(|asked| Reply::text(body(SCRAPED, asked.number)));
    let config = format!(
        "scrape_configs:\n- {{job_name: {JOB}, scrape_interval: 100ms, scrape_timeout: 100ms, \
         static_configs: [{{targets: ['{}']}}]}}\n",
        target.address()
    );
    let server = Launch::narthex(&data)
        .config(&data, &config)
        .flag("--scrape.discovery-reload-interval=10ms")
        .start();
    // Scrapes have the time of the clock, so pushes must, too: they begin ten minutes ago.
    let begin = now_ms() - 600_000;
    let (is_done, acknowledged) = (AtomicBool::new(false), AtomicI64::new(0));
    let polls = AtomicI64::new(0);
    let mut scrapes = 0;
    let deadline = Instant::now() + Duration::from_secs(120);
    let remote = server.remote();
    thread::scope(|scope| {
        let (is_done, acknowledged, polls) = (&is_done, &acknowledged, &polls);
        scope.spawn(move || {
            for n in 1..=POLLS * PUSHES_PER_POLL {
                while n > (polls.load(Ordering::SeqCst) + 1) * PUSHES_PER_POLL {
                    if is_done.load(Ordering::SeqCst) {
                        return;
                    }
                    thread::sleep(Duration::from_millis(1));
                }
                remote.write_ok(&request_at(n, begin + n * 10));
                acknowledged.store(n, Ordering::SeqCst);
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            while polls.load(Ordering::SeqCst) < POLLS || scrapes < 30 {
                let before = acknowledged.load(Ordering::SeqCst);
                for (kind, points) in reads(&server) {
                    let pushed = points.filter(|labels, _| get(labels, "job") != Some(JOB));
                    let found = timestamps_in(&pushed, kind);
                    let expected = (1..=found.len() as i64).map(|n| begin + n * 10);
                    assert!(found.iter().copied().eq(expected), "{kind}: a gap");
                    assert!(found.len() as i64 >= before, "{kind}: acknowledged samples missing");
                    let found = scrapes_in(&points, SCRAPED, kind).len();
                    assert!(found >= scrapes, "{kind}: {found} scrapes after {scrapes}");
                    scrapes = found;
                }
                polls.fetch_add(1, Ordering::SeqCst);
                assert!(Instant::now() < deadline, "{scrapes} scrapes");
            }
        }));
        is_done.store(true, Ordering::SeqCst);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    let pushes = acknowledged.load(Ordering::SeqCst);
    let polls = polls.into_inner();
    println!("{polls} polls during {pushes} requests and {scrapes} scrapes");
    server.stop();
}

/// A request that is rejected in part is visible as a whole, too: what is stored of it.
#[test]
fn rejected_samples_do_not_delay_the_others() {
    let data = dir::temp();
    let server = Launch::narthex(&data.path().join("data")).start();
    let remote = server.remote();
    remote.write_ok(&request(1));
    let mut partly: WriteRequest = request(2);
    let first = &mut partly.timeseries[0].samples;
    first.insert(0, wire::Sample { bits: Some(7), timestamp: BEGIN + 1_000 });
    assert_eq!(remote.write(&partly).status, 400);
    for (kind, points) in reads(&server) {
        assert_eq!(requests_in(&points, kind).len(), 2, "{kind}");
    }
    server.stop();
}
