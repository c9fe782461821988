//! The OpenMetrics parser next to that of Python's `prometheus_client`.

use crate::support::foreign::Foreign;
use narthex::exposition::entry::{EntryKind, EntryValue};
use narthex::exposition::format::Format;
use narthex::exposition::label_buffer::LabelBuffer;
use narthex::exposition::open::open_parser;
use narthex::exposition::parser::ParserOptions;
use serde_json::{Value, json};

/// Bodies with equal samples in both.
const VALID: [&str; 21] = [
    "a 1\n",
    "a{x=\"y\"} 1 1.5\n",
    "# TYPE a counter\n# HELP a t\na_total 1\na_created 2\n",
    "# TYPE a counter\na_total 1 # {t=\"x\"} 0.5 1.5\n",
    "# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds 1\n",
    "# TYPE h histogram\nh_bucket{le=\"1.0\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_count 2\nh_sum 3\n",
    "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_count 2\ns_sum 3\n",
    "# TYPE i info\ni_info{v=\"1\"} 1\n",
    "# TYPE st stateset\nst{st=\"a\"} 1\nst{st=\"b\"} 0\n",
    "# TYPE g gaugehistogram\ng_bucket{le=\"+Inf\"} 2\ng_gcount 2\ng_gsum 3\n",
    "# TYPE u unknown\nu NaN\n",
    "a -Inf\n",
    "a{x=\"\\\\\\\"\\n\"} 1\n",
    "# HELP a x\\\\y\\n\\\"\na 1\n",
    "a{} 1\n",
    "a 1e3\n",
    "a +1\n",
    "a{x=\"é\"} 1\n",
    ":a 1\n",
    "a 1 1e3\n",
    "a 1 -5\n",
];

/// Bodies that both refuse.
const INVALID: [&str; 32] = [
    "a 0x1\n",
    "a one\n",
    "a 1_0\n",
    "a\n",
    " a 1\n",
    "a  1\n",
    "a 1 \n",
    "a 1 2 3\n",
    "a 1 NaN\n",
    "a 1 +Inf\n",
    "a{,} 1\n",
    "a{x=\"y\" z=\"w\"} 1\n",
    "a{x=y} 1\n",
    "a{x=\"y} 1\n",
    "a{1=\"y\"} 1\n",
    "\na 1\n",
    "a 1\n\n",
    "a 1\n# EOF\nb 2\n",
    "# comment\na 1\n",
    "#TYPE a gauge\na 1\n",
    "# TYPE a untyped\na 1\n",
    "# TYPE a gauge \na 1\n",
    "# TYPE a gauge\n# UNIT a seconds\na 1\n",
    "# HELP a\na 1\n",
    "# TYPE a counter\na_total 1 # {t=\"x\"}\n",
    "# TYPE a counter\na_total 1 # {t=x} 1\n",
    "{a=\"b\"} 1\n",
    "{\"a\",\"b\"} 1\n",
    "a{\"b\"} 1\n",
    "a-b 1\n",
    "9a 1\n",
    "a 1\t2\n",
];

/// Bodies that only narthex accepts, as Prometheus does, and the reason why the other refuses them.
const ONLY_HERE: [(&str, &str); 23] = [
    ("{\"a.b\",x=\"y\"} 1\n", "has no TYPE for a quoted name"),
    ("{\"a.b\",\"c.d\"=\"y\"} 1\n", "has no TYPE for a quoted name"),
    ("a{x=\"y\",} 1\n", "trailing comma"),
    ("a{x=\"1\",x=\"2\"} 1\n", "repeated label; found later, as labels are not parsed here"),
    ("# TYPE a gauge\n# TYPE a gauge\na 1\n", "repeated TYPE"),
    ("# HELP a t\n# HELP a t\na 1\n", "repeated HELP"),
    ("# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\na 2\n", "family in two parts"),
    ("a{x=\"1\"} 1\nb 1\na{x=\"2\"} 1\n", "family in two parts"),
    ("# TYPE a counter\na 1\n", "counter without _total"),
    ("# TYPE a counter\na_total -1\n", "negative counter"),
    ("# TYPE a counter\na_total NaN\n", "NaN as counter"),
    ("a 1 5\na 1 4\n", "decreasing timestamps; storage rejects the sample"),
    ("# TYPE a gauge\na 1 # {t=\"x\"} 1\n", "exemplar of a gauge"),
    ("# TYPE h histogram\nh_bucket{le=\"1.0\"} 3\nh_bucket{le=\"+Inf\"} 2\n", "decreasing buckets"),
    ("# TYPE h histogram\nh_bucket{le=\"1.0\"} 1\n", "no bucket +Inf"),
    ("# TYPE h histogram\nh_bucket{x=\"y\"} 1\n", "bucket without le"),
    ("# TYPE s summary\ns{quantile=\"2.0\"} 1\n", "quantile above 1"),
    ("# TYPE s summary\ns 1\n", "summary without quantile"),
    ("# TYPE i info\ni_info 2\n", "info that is not 1"),
    ("# TYPE i info\ni 1\n", "info without _info"),
    ("# TYPE st stateset\nst{st=\"a\"} 2\n", "state that is neither 0 nor 1"),
    ("# TYPE st stateset\nst 1\n", "stateset without its label"),
    (
        "# TYPE a counter\na_total 1 # {t=\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
         xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"} 1\n",
        "exemplar labels above 128 characters",
    ),
];

/// Bodies that only the other parser accepts, and the reason why narthex refuses them.
const ONLY_THERE: [(&str, &str); 1] = [("a{x:y=\"1\"} 1\n", "colon in a label name")];

/// Returns the samples of a body as the program reports them, or null.
fn verdict(body: &str) -> Value {
    let mut parser = open_parser(body.as_bytes(), Format::OpenMetrics, ParserOptions::default());
    let mut labels = LabelBuffer::new();
    let mut samples = Vec::new();
    loop {
        match parser.next_entry() {
            Ok(None) => return Value::Array(samples),
            Ok(Some(EntryKind::Metadata)) => {}
            Ok(Some(EntryKind::Series)) => {
                parser.labels(&mut labels);
                let pairs: Vec<_> = labels.iter().filter(|(name, _)| *name != "__name__").collect();
                let EntryValue::Float(value) = parser.series().value else {
                    panic!("OpenMetrics has no native histograms");
                };
                samples.push(json!([labels.get("__name__"), pairs, python_float(value)]));
            }
            Err(_) => return Value::Null,
        }
    }
}

/// Formats a value as Python's `repr`.
fn python_float(value: f64) -> String {
    format!("{value:?}").to_lowercase()
}

#[test]
#[ignore = "needs Python with the packages of tests/clients: run tests/run"]
fn openmetrics_verdicts_are_those_of_prometheus_client() {
    let only_here = ONLY_HERE.map(|(body, _)| body);
    let only_there = ONLY_THERE.map(|(body, _)| body);
    let bodies: Vec<String> = [&VALID[..], &INVALID, &only_here, &only_there]
        .concat()
        .iter()
        .map(|body| format!("{body}# EOF\n"))
        .collect();
    let mut program = Foreign::start("openmetrics_verdicts.py", &[]);
    program.send(&json!({ "bodies": bodies }));
    let reported = program.step("verdicts");
    program.finish();
    let verdicts = reported["verdicts"].as_array().expect("verdicts are a list");
    assert_eq!(verdicts.len(), bodies.len());
    for (body, theirs) in bodies.iter().zip(verdicts) {
        let ours = verdict(body);
        let body = body.trim_end_matches("# EOF\n");
        if VALID.contains(&body) {
            assert!(!ours.is_null());
            assert_eq!(&ours, theirs, "{body:?}");
        } else {
            let accepted = (!ours.is_null(), !theirs.is_null());
            let expected = (only_here.contains(&body), only_there.contains(&body));
            assert_eq!(accepted, expected, "{body:?}: {ours} and {theirs}");
        }
    }
}
