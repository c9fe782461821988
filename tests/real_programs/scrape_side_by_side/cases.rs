//! Scripted targets: what each one responds, scrape by scrape, and its job.

use std::io::Write;
use std::sync::LazyLock;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::scripted::{Reply, TEXT};

/// Instant of a script.
pub(super) struct At {
    /// Number of the scrape, from 1.
    pub(super) n: u64,
    /// Time at which the script begins, ms since the Unix epoch. The same for all scrapers, so that
    /// timestamps of targets are.
    pub(super) start: i64,
    /// Port of the target.
    pub(super) port: u16,
}

/// Response to a scrape, and whether the target is up then.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) is_up: bool,
    pub(super) reply: fn(&At) -> Reply,
}

/// Scripted target.
#[derive(Clone, Copy)]
pub(super) struct Case {
    /// Name of the job and path of the target.
    pub(super) name: &'static str,
    /// Keys of the job in YAML's flow style, with a comma at the end.
    pub(super) job: &'static str,
    /// Steps, which are repeated until the last scrape.
    pub(super) steps: &'static [Step],
    /// Whether stale markers are expected.
    pub(super) has_markers: bool,
}

impl Case {
    /// Returns the step of a scrape, counted from 1.
    pub(super) fn step(&self, n: u64) -> Step {
        self.steps[(n as usize - 1) % self.steps.len()]
    }

    /// Returns the expected values of `up`.
    pub(super) fn up(&self, scrapes: u64) -> String {
        (1..=scrapes).map(|n| if self.step(n).is_up { '1' } else { '0' }).collect()
    }
}

const fn up(reply: fn(&At) -> Reply) -> Step {
    Step { is_up: true, reply }
}

const fn down(reply: fn(&At) -> Reply) -> Step {
    Step { is_up: false, reply }
}

/// A valid body with two series and the number of the scrape.
const GOOD: Step = up(|at| Reply::text(good(at)));

pub(super) fn good(at: &At) -> String {
    format!("# TYPE a counter\na {}\nb{{x=\"y\"}} {}\n", at.n, at.n * 2)
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n";

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

fn gzip_reply(body: Vec<u8>) -> Reply {
    let headers = vec![("Content-Type", TEXT.to_owned()), ("Content-Encoding", "gzip".to_owned())];
    Reply::Whole { status: "200 OK", headers, body }
}

/// 20 MB of empty lines, compressed.
pub(super) static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| gzip(&vec![b'\n'; 20_000_000]));

/// Body of a size, with a series of which the value is the number of the scrape.
fn sized(at: &At, size: usize) -> Reply {
    let mut body = format!("sized {}\n#", at.n);
    let fill = size - body.len() - 1;
    body.push_str(&"x".repeat(fill));
    body.push('\n');
    Reply::text(body)
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Cases of which both scrapers store the same.
pub(super) const CASES: &[Case] = &[
    Case {
        name: "steady",
        job: "",
        steps: &[up(|at| {
            Reply::text(format!(
                "# HELP a A counter.\n# TYPE a counter\na {0}\n\n# comment\n\
                 b{{x=\"y\",}} {0}.5e-3\nc{{ z = \"1\" , y=\"\\\\ \\\" \\n\" }}\t-{0}\n\
                 d NaN\ne +Inf\nf -Inf\ng 1e-320\n# TYPE h histogram\n\
                 h_bucket{{le=\"0.5\"}} 1\nh_bucket{{le=\"+Inf\"}} {0}\nh_sum 7.25\nh_count {0}\n\
                 # TYPE s summary\ns{{quantile=\"0.99\"}} 0.125\ns_sum 1\ns_count {0}\n\
                 # TYPE u untyped\nu{{empty=\"\"}} 179769313486231570000{0}\nlast {0}",
                at.n
            ))
        })],
        has_markers: false,
    },
    Case {
        name: "dies",
        job: "",
        steps: &[GOOD, GOOD, down(|_| Reply::none()), down(|_| Reply::none()), GOOD],
        has_markers: true,
    },
    Case {
        name: "dies-at-first",
        job: "",
        steps: &[down(|_| Reply::none()), GOOD, down(|_| Reply::none())],
        has_markers: true,
    },
    Case {
        name: "hangs-in-head",
        job: "",
        steps: &[
            GOOD,
            GOOD,
            down(|_| Reply::Hang(Vec::new())),
            GOOD,
            GOOD,
            down(|_| Reply::Hang(b"HTTP/1.1 200 OK\r\nContent-Ty".to_vec())),
            GOOD,
        ],
        has_markers: true,
    },
    Case {
        name: "hangs-in-body",
        job: "",
        steps: &[
            GOOD,
            GOOD,
            // Valid series, of which nothing must be stored.
            down(|at| {
                let body = good(at);
                let length = body.len() + 1;
                Reply::Hang(format!("{HEAD}Content-Length: {length}\r\n\r\n{body}").into_bytes())
            }),
            GOOD,
            down(|_| Reply::Endless {
                head: format!("{HEAD}\r\n").into_bytes(),
                piece: b"slow 1\n".to_vec(),
                pause: Duration::from_millis(20),
            }),
        ],
        has_markers: true,
    },
    Case {
        name: "endless-body",
        job: "body_size_limit: 100KB,",
        steps: &[
            GOOD,
            down(|_| Reply::Endless {
                head: format!("{HEAD}\r\n").into_bytes(),
                piece: b"endless 1\n".repeat(1000),
                pause: Duration::from_millis(1),
            }),
            GOOD,
        ],
        has_markers: true,
    },
    Case {
        name: "cut-body",
        job: "",
        steps: &[
            GOOD,
            down(|at| {
                let body = good(at);
                let length = body.len() + 1;
                Reply::Raw(format!("{HEAD}Content-Length: {length}\r\n\r\n{body}").into_bytes())
            }),
            GOOD,
            down(|at| {
                let chunk = good(at);
                let length = chunk.len();
                Reply::Raw(
                    format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{chunk}\r\n")
                        .into_bytes(),
                )
            }),
            GOOD,
        ],
        has_markers: true,
    },
    Case {
        name: "forms-of-http",
        job: "",
        steps: &[
            up(|at| Reply::Raw(format!("{HEAD}\r\n{}", good(at)).into_bytes())),
            up(|at| {
                Reply::Raw(
                    format!("HTTP/1.0 200 Fine\r\nContent-Type: text/plain\r\n\r\n{}", good(at))
                        .into_bytes(),
                )
            }),
            up(|at| {
                let chunk = good(at);
                let (first, second) = chunk.split_at(9);
                Reply::Raw(
                    format!(
                        "{HEAD}Transfer-Encoding: chunked\r\n\r\n9\r\n{first}\r\n\
                         {:X};x=y\r\n{second}\r\n0\r\n\r\n",
                        second.len()
                    )
                    .into_bytes(),
                )
            }),
            up(|at| {
                let headers = vec![
                    ("Content-Type", "TEXT/Plain;VERSION=0.0.4".to_owned()),
                    ("Content-Encoding", "identity".to_owned()),
                ];
                Reply::Whole { status: "200 OK", headers, body: good(at).into_bytes() }
            }),
        ],
        has_markers: false,
    },
    Case {
        name: "garbage",
        job: "",
        steps: &[
            GOOD,
            down(|_| Reply::text("<html><body>It works</body></html>\n")),
            GOOD,
            down(|_| Reply::typed(TEXT, vec![1, 159, 146, 150, 10, 255])),
            GOOD,
            down(|_| Reply::Raw(b"garbage\r\n\r\n".to_vec())),
            down(|_| Reply::text("{\"status\": \"ok\"}")),
        ],
        has_markers: true,
    },
    Case {
        name: "broken-lines",
        job: "",
        steps: &[
            down(|_| Reply::text("a one\n")),
            GOOD,
            down(|_| Reply::text("a{x=\"y 1\n")),
            down(|_| Reply::text("a 1 2 3\n")),
            down(|_| Reply::text("a{x=y} 1\n")),
            down(|_| Reply::text("9a 1\n")),
            GOOD,
            down(|_| Reply::text("a\n")),
            down(|_| Reply::text("a 0x1p-2\n")),
            down(|_| Reply::text("a 1_0\n")),
            GOOD,
            down(|_| Reply::text("# TYPE a nothing\na 1\n")),
            down(|_| Reply::text("a 1,5\n")),
            down(|_| Reply::typed(TEXT, b"a{x=\"\xff\"} 1\n".to_vec())),
            GOOD,
        ],
        has_markers: true,
    },
    Case {
        name: "status",
        job: "",
        steps: &[
            GOOD,
            down(|_| Reply::status("500 Internal Server Error")),
            GOOD,
            down(|_| Reply::status("204 No Content")),
            GOOD,
            down(|_| Reply::status("404 Not Found")),
            down(|_| Reply::status("206 Partial Content")),
            down(|_| Reply::status("201 Created")),
            GOOD,
            down(|_| Reply::status("503 Service Unavailable")),
            down(|_| Reply::status("401 Unauthorized")),
        ],
        has_markers: true,
    },
    Case {
        name: "redirects",
        job: "",
        steps: &[
            up(|at| Reply::redirect(format!("http://127.0.0.2:{}/landing?{}", at.port, at.n))),
            up(|at| Reply::redirect(format!("/landing?{}", at.n))),
            GOOD,
            down(|at| Reply::redirect(format!("http://127.0.0.3:{}/nothing", at.port))),
            up(|at| Reply::redirect(format!("//127.0.0.4:{}/landing?{}", at.port, at.n))),
            down(|at| Reply::redirect(format!("http://127.0.0.5:{}/loop", at.port))),
        ],
        has_markers: true,
    },
    Case {
        name: "redirects-not-followed",
        job: "follow_redirects: false,",
        steps: &[GOOD, down(|at| Reply::redirect(format!("/landing?{}", at.n)))],
        has_markers: true,
    },
    Case {
        name: "too-large",
        job: "body_size_limit: 4KB,",
        steps: &[
            up(|at| sized(at, 4095)),
            down(|at| sized(at, 4096)),
            up(|at| sized(at, 1000)),
            down(|at| sized(at, 4097)),
            down(|at| sized(at, 500_000)),
        ],
        has_markers: true,
    },
    Case {
        name: "compressed",
        job: "body_size_limit: 100KB,",
        steps: &[
            up(|at| gzip_reply(gzip(good(at).as_bytes()))),
            down(|_| gzip_reply(BOMB.clone())),
            up(|at| gzip_reply([gzip(good(at).as_bytes()), gzip(b"c 1\n")].concat())),
            down(|at| gzip_reply(good(at).into_bytes())),
            down(|at| {
                let mut body = gzip(good(at).as_bytes());
                body.truncate(body.len() - 4);
                gzip_reply(body)
            }),
            GOOD,
            down(|_| gzip_reply(gzip(b"not a metric\n"))),
        ],
        has_markers: true,
    },
    Case {
        name: "duplicates",
        job: "",
        steps: &[
            up(|at| Reply::text(format!("a {0}\na {0}\n", at.n))),
            up(|at| Reply::text(format!("a {0}\na 9{0}\nb {0}\n", at.n))),
            up(|at| {
                Reply::text(format!("c{{x=\"1\",y=\"2\"}} {0}\nc{{y=\"2\",x=\"1\"}} 9{0}\n", at.n))
            }),
            up(|at| Reply::text(format!("a 9{0}\nb {0}\na {0}\na 3{0}\n", at.n))),
        ],
        has_markers: true,
    },
    Case {
        name: "changing-series",
        job: "",
        steps: &[
            up(|at| {
                Reply::text(format!(
                    "a {0}\nnew_{0} 1\nl{{v=\"{0}\"}} 2\nc{{x=\"1\",y=\"2\"}} 1\n",
                    at.n
                ))
            }),
            up(|at| {
                Reply::text(format!("l{{v=\"{0}\"}} 2\na {0}\nc{{y=\"2\",x=\"1\"}} 1\n", at.n))
            }),
            up(|at| Reply::text(format!("b {0}\nc{{x=\"1\", y=\"2\"}} 1\n", at.n))),
        ],
        has_markers: true,
    },
    Case {
        name: "empty-bodies",
        job: "",
        steps: &[
            GOOD,
            up(|_| Reply::text("")),
            GOOD,
            up(|_| Reply::text("# nothing\n")),
            up(|_| Reply::text("\n")),
            GOOD,
        ],
        has_markers: true,
    },
    Case {
        name: "own-past",
        job: "",
        steps: &[
            up(|at| {
                let n = at.n as i64;
                let (past, back) = (at.start - 60_000 + n * 1000, at.start - 30_000 - n * 1000);
                Reply::text(format!("past {n} {past}\nback {n} {back}\nnow {n}\n"))
            }),
            up(|at| Reply::text(format!("now {0}\n", at.n))),
        ],
        has_markers: false,
    },
    Case {
        name: "own-future",
        job: "",
        steps: &[up(|at| {
            let n = at.n as i64;
            let (near, far) = (at.start + 120_000 + n * 1000, at.start + 3_600_000 + n * 1000);
            Reply::text(format!("near {n} {near}\nfar {n} {far}\nnow {n}\n"))
        })],
        has_markers: false,
    },
    Case {
        name: "own-equal",
        job: "",
        steps: &[up(|at| {
            let t = at.start - 10_000;
            Reply::text(format!("same 5 {t}\nother {0} {t}\nnow {0}\n", at.n))
        })],
        has_markers: false,
    },
    Case {
        name: "own-then-none",
        job: "",
        steps: &[
            up(|at| Reply::text(format!("a {} {}\n", at.n, at.start - 20_000 + at.n as i64))),
            up(|at| Reply::text(format!("a {}\n", at.n))),
            up(|_| Reply::text("b 1\n")),
        ],
        has_markers: true,
    },
    Case {
        name: "own-and-failure",
        job: "",
        steps: &[
            up(|at| {
                let t = at.start - 20_000 + at.n as i64;
                Reply::text(format!("own {0} {t}\nplain {0}\n", at.n))
            }),
            down(|_| Reply::none()),
        ],
        has_markers: true,
    },
    Case {
        name: "own-ignored",
        job: "honor_timestamps: false,",
        steps: &[
            up(|at| Reply::text(format!("a {} {}\nb 1 5\n", at.n, at.start + 36_000_000))),
            up(|at| Reply::text(format!("a {} 1\n", at.n))),
        ],
        has_markers: true,
    },
    Case {
        name: "own-too-old",
        job: "",
        steps: &[
            up(|_| Reply::text("now 1\n")),
            up(|_| Reply::text("now 1\n")),
            up(|_| Reply::text("now 1\n")),
            up(|at| {
                let old = at.start - 3 * 3_600_000;
                Reply::text(format!("old {} {old}\nzero 1 0\nnow 2\n", at.n))
            }),
        ],
        has_markers: false,
    },
    Case {
        name: "over-sample-limit",
        job: "sample_limit: 3,",
        steps: &[
            GOOD,
            // The first samples have timestamps of their own: no scraper tracks them. The others
            // are over the limit.
            down(|at| {
                let t = at.start - 5_000 + at.n as i64;
                Reply::text(format!("x 1 {t}\ny 1 {t}\nz 1 {t}\na 1\nb{{x=\"y\"}} 1\n"))
            }),
            up(|at| Reply::text(format!("{}d {}\n", good(at), at.n))),
        ],
        has_markers: true,
    },
    Case {
        name: "over-label-limits",
        job: "label_limit: 4, label_name_length_limit: 8, label_value_length_limit: 40,",
        steps: &[
            up(|at| Reply::text(format!("a{{x=\"y\"}} {}\nb 1\n", at.n))),
            down(|_| Reply::text("a{x=\"y\",z=\"w\"} 1\n")),
            GOOD,
            down(|_| Reply::text("a{longerlong=\"y\"} 1\n")),
            down(|_| Reply::text(format!("a{{x=\"{}\"}} 1\n", "y".repeat(41)))),
        ],
        has_markers: true,
    },
    Case {
        name: "relabeled-series",
        job: "metric_relabel_configs: [\
              {source_labels: [__name__], regex: 'drop_.*', action: drop}, \
              {source_labels: [__name__], regex: 'go_(.+)', target_label: __name__, replacement: 'went_${1}'}, \
              {source_labels: [x], regex: '(\\d+)', target_label: number}, \
              {source_labels: [x], regex: '(\\d+)', target_label: x, replacement: ''}, \
              {source_labels: [instance, y], separator: '/', target_label: tmp, action: replace}, \
              {regex: 'secret.*', action: labeldrop}],",
        steps: &[
            up(|at| {
                Reply::text(format!(
                    "go_a {0}\ndrop_b {0}\nc{{x=\"12\",secret1=\"s\"}} {0}\nd{{x=\"é1\"}} {0}\n\
                     e{{secret=\"1\"}} {0}\ne{{secret=\"2\"}} 9{0}\n",
                    at.n
                ))
            }),
            up(|at| {
                Reply::text(format!("drop_b {0}\nwent_a {0}\nd{{x=\"é1\",y=\"z\"}} {0}\n", at.n))
            }),
        ],
        has_markers: true,
    },
    Case {
        name: "relabeled-away-name",
        job: "metric_relabel_configs: [{source_labels: [x], regex: 'y', target_label: __name__, \
              replacement: ''}],",
        steps: &[
            up(|at| Reply::text(format!("a {}\n", at.n))),
            down(|_| Reply::text("b{x=\"y\"} 1\n")),
        ],
        has_markers: true,
    },
    Case {
        name: "own-target-labels",
        job: "relabel_configs: [{target_label: zone, replacement: eu}, \
              {source_labels: [__metrics_path__], target_label: path}, \
              {source_labels: [__address__], regex: '(.+):\\d+', target_label: host}, \
              {source_labels: [__scrape_interval__, __scrape_timeout__], target_label: pace}],",
        steps: &[up(|at| {
            Reply::text(format!(
                "a{{zone=\"us\"}} {0}\nb{{exported_zone=\"x\",zone=\"y\"}} {0}\nc {0}\n",
                at.n
            ))
        })],
        has_markers: false,
    },
    Case {
        name: "labels-not-honored",
        job: "",
        steps: &[up(|at| {
            Reply::text(format!(
                "a{{job=\"other\",instance=\"here\"}} {0}\nb{{job=\"x\",exported_job=\"y\"}} {0}\n\
                 c{{job=\"\"}} {0}\n",
                at.n
            ))
        })],
        has_markers: false,
    },
    Case {
        name: "open-metrics",
        job: "",
        steps: &[
            up(|at| {
                let t = (at.start - 50_000) as f64 / 1000.0 + at.n as f64;
                Reply::typed(
                    OPEN_METRICS,
                    format!(
                        "# HELP a_seconds Time.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n\
                         a_seconds_total {0} # {{trace_id=\"x\"}} 0.5 {t}\na_seconds_created 1.5e9\n\
                         # TYPE h histogram\nh_bucket{{le=\"1.0\"}} {0}\nh_bucket{{le=\"+Inf\"}} {0}\n\
                         h_count {0}\nh_sum {0}\n# TYPE i info\ni_info{{v=\"1\"}} 1\n\
                         # TYPE s stateset\ns{{s=\"on\"}} 1\ns{{s=\"off\"}} 0\n\
                         # TYPE t unknown\nt {0} {t:.3}\n# EOF\n",
                        at.n
                    ),
                )
            }),
            down(|_| Reply::typed(OPEN_METRICS, "# TYPE a_seconds counter\n")),
            up(|at| Reply::typed(OPEN_METRICS, format!("b {}\n# EOF", at.n))),
            down(|_| Reply::typed(OPEN_METRICS, " b 1\n# EOF\n")),
        ],
        has_markers: true,
    },
];
