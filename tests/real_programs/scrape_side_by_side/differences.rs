//! Known differences between Prometheus 2.42 and narthex, as data.
//!
//! Two tables: what Prometheus itself changed until 3.14, and what narthex does on purpose. Golden
//! data of 3.14 show the first kind; other tests compare narthex with it. A case that does not
//! differ any more fails, so that the tables stay true.

use super::cases::{At, Case, Step, good};
use crate::support::scripted::{Reply, TEXT};

/// Prefix of groups of golden/relabel.
pub(super) const RELABEL: &str = "relabel/";

/// Difference that a scripted target shows.
pub(super) struct Difference {
    /// Target, of which the scrapers store different samples.
    pub(super) case: Case,
    /// Values of `up` in Prometheus 2.42, repeated like the steps; those of `case` are narthex's.
    pub(super) up_before: &'static str,
    pub(super) reason: &'static str,
    /// Golden data with the behavior of 3.14: cases of golden/scrape-behaviour, and groups of
    /// golden/relabel with the prefix [`RELABEL`]. Empty if narthex differs from 3.14, too.
    pub(super) golden: &'static [&'static str],
}

const fn up(reply: fn(&At) -> Reply) -> Step {
    Step { is_up: true, reply }
}

const fn down(reply: fn(&At) -> Reply) -> Step {
    Step { is_up: false, reply }
}

const fn case(name: &'static str, job: &'static str, steps: &'static [Step]) -> Case {
    Case { name, job, steps, has_markers: true }
}

const GOOD: Step = up(|at| Reply::text(good(at)));

/// Differences of which both scrapers accept the configuration.
pub(super) const DIFFERENCES: &[Difference] = &[
    Difference {
        case: case(
            "type-absent",
            "",
            &[
                GOOD,
                down(|at| Reply::Whole {
                    status: "200 OK",
                    headers: Vec::new(),
                    body: good(at).into_bytes(),
                }),
            ],
        ),
        up_before: "11",
        reason: "2.42 parses a body without Content-Type as text",
        golden: &["type-none", "type-blank"],
    },
    Difference {
        case: case("type-unknown", "", &[GOOD, down(|at| Reply::typed("text/html", good(at)))]),
        up_before: "11",
        reason: "2.42 parses a body of an unknown Content-Type as text",
        golden: &["type-html", "type-octets", "type-json"],
    },
    Difference {
        case: case(
            "utf8-names",
            "",
            &[
                GOOD,
                up(|at| {
                    Reply::text(format!(
                        "{{\"a.b\",\"c d\"=\"e\"}} {0}\na{{\"é\"=\"1\"}} 2\n",
                        at.n
                    ))
                }),
            ],
        ),
        up_before: "10",
        reason: "2.42 has no quoted names",
        golden: &["utf8-text", "utf8-text-1.0.0"],
    },
    Difference {
        case: case(
            "canonical-le",
            "",
            &[
                up(|at| {
                    Reply::text(format!(
                        "# TYPE h histogram\nh_bucket{{le=\"1\"}} 1\nh_bucket{{le=\"+Inf\"}} {0}\n\
                         h_sum 1\nh_count {0}\n# TYPE s summary\ns{{quantile=\"1\"}} 1\n\
                         s_sum 1\ns_count {0}\n",
                        at.n
                    ))
                }),
                down(|_| Reply::none()),
            ],
        ),
        up_before: "10",
        reason: "2.42 stores le and quantile of the text format as they are sent",
        golden: &["le-made-canonical"],
    },
    Difference {
        case: case(
            "dot-and-newline",
            "metric_relabel_configs: [{source_labels: [x], regex: 'a.b', target_label: joined, \
             replacement: 'yes'}],",
            &[
                up(|at| Reply::text(format!("a{{x=\"a\\nb\"}} {0}\nb{{x=\"a-b\"}} {0}\n", at.n))),
                down(|_| Reply::none()),
            ],
        ),
        up_before: "10",
        reason: "in 2.42, the dot of a regular expression does not match a newline",
        golden: &["relabel/replace-dot"],
    },
    Difference {
        case: case(
            "failure-after-known-series",
            "",
            &[GOOD, down(|_| Reply::text("a 1\nb one\n"))],
        ),
        up_before: "10",
        reason: "narthex ends every series of the last good scrape; Prometheus leaves out those \
                 that the failed body named before its error",
        golden: &[],
    },
    Difference {
        case: case(
            "known-series-within-sample-limit",
            "sample_limit: 2,",
            &[GOOD, down(|at| Reply::text(format!("{}c 1\n", good(at))))],
        ),
        up_before: "10",
        reason: "narthex ends every series of the last good scrape; Prometheus leaves out those \
                 below the limit",
        golden: &[],
    },
    Difference {
        case: case(
            "new-series-in-failed-scrape",
            "",
            &[
                GOOD,
                down(|_| Reply::text("new 1\nb one\n")),
                up(|at| Reply::text(format!("b{{x=\"y\"}} {0}\na {0}\nc {0}\n", at.n))),
            ],
        ),
        up_before: "101",
        reason: "narthex writes no marker for a series that never had a sample",
        golden: &[],
    },
    Difference {
        case: case(
            "named-by-failed-scrape-only",
            "label_limit: 4,",
            &[
                GOOD,
                down(|_| Reply::text("b{x=\"y\"} 1\na{x=\"y\",z=\"w\"} 1\n")),
                up(|at| Reply::text(format!("a {}\n", at.n))),
            ],
        ),
        up_before: "101",
        reason: "scrape_series_added of narthex counts a series that the last good scrape lacks, also \
                 if a failed one named it",
        golden: &[],
    },
    Difference {
        case: case(
            "exposes-up",
            "",
            &[
                up(|_| Reply::typed(TEXT, "up 5\nscrape_samples_scraped 7\na 1\n")),
                down(|_| Reply::none()),
            ],
        ),
        up_before: "",
        reason: "narthex keeps the series of the scraper if a target exposes them",
        golden: &[],
    },
];

/// Differences that a scripted target cannot show, because 2.42 rejects the key or stores the same.
pub(super) const NOT_SHOWN: &[(&str, &str, &[&str])] = &[
    (
        "fallback_scrape_protocol",
        "2.42 does not know the key",
        &["type-none-fallback", "type-html-fallback", "type-none-fallback-om"],
    ),
    (
        "scrape_protocols",
        "2.42 does not know the key, and sends another Accept",
        &["headers-default", "headers-only-PrometheusText0.0.4", "headers-reverse"],
    ),
    ("track_timestamps_staleness", "2.42 does not know the key", &["ts-tracked"]),
    (
        "silent duplicates",
        "2.42 stores the first sample, too, but counts no duplicate within a scrape",
        &["duplicate-other-value", "duplicate-spelled-otherwise"],
    ),
    ("default ports", "2.42 adds :80 and :443; a test of its own", &["label-no-port"]),
];
