//! Entries, values and errors of bodies that prost encodes.

use crate::exposition::entry::EntryValue;
use crate::exposition::entry_lines::entry_lines;
use crate::exposition::parse_error::ParseError;
use crate::exposition::parser::{Parser, ParserOptions};
use crate::exposition::protobuf::parser::ProtobufParser;
use crate::exposition::protobuf::tests::messages::{
    Bucket, BucketSpan, Counter, Exemplar, Gauge, Histogram, LabelPair, Metric, MetricFamily,
    Quantile, Summary, Timestamp, Untyped, delimited, label,
};
use crate::exposition::protobuf_problem::ProtobufProblem;
use prost::Message;

const COUNTER: i32 = 0;
const GAUGE: i32 = 1;
const SUMMARY: i32 = 2;
const UNTYPED: i32 = 3;
const HISTOGRAM: i32 = 4;
const GAUGE_HISTOGRAM: i32 = 5;

const NATIVE: ParserOptions = ParserOptions {
    start_timestamps: true,
    ignore_native_histograms: false,
    convert_classic_histograms: false,
    keep_classic_histograms: false,
};
const NO_NATIVE: ParserOptions = ParserOptions { ignore_native_histograms: true, ..NATIVE };
const BOTH: ParserOptions = ParserOptions { keep_classic_histograms: true, ..NATIVE };
const CONVERTED: ParserOptions = ParserOptions { convert_classic_histograms: true, ..NATIVE };
const CONVERTED_AND_CLASSIC: ParserOptions =
    ParserOptions { convert_classic_histograms: true, ..BOTH };

fn lines(body: &[u8], options: ParserOptions) -> Result<Vec<String>, ParseError> {
    entry_lines(ProtobufParser::new(body, options))
}

/// Returns the entries of a family without its metadata.
fn series(family_type: i32, metrics: Vec<Metric>, options: ParserOptions) -> Vec<String> {
    let family = MetricFamily { r#type: family_type, ..family("m", metrics) };
    let mut lines = lines(&delimited(&[family]), options).expect("the body is well-formed");
    assert!(lines[0].starts_with("HELP m"), "{}", lines[0]);
    assert!(lines[1].starts_with("TYPE m"), "{}", lines[1]);
    lines.split_off(2)
}

fn problem(body: &[u8], options: ParserOptions) -> ProtobufProblem {
    match lines(body, options) {
        Err(ParseError::Protobuf { problem, .. }) => problem,
        other => panic!("no protobuf error but {other:?}"),
    }
}

fn family(name: &str, metric: Vec<Metric>) -> MetricFamily {
    MetricFamily { name: name.to_owned(), metric, ..Default::default() }
}

fn gauge(value: f64) -> Metric {
    Metric { gauge: Some(Gauge { value }), ..Default::default() }
}

fn with_histogram(histogram: Histogram) -> Metric {
    Metric { histogram: Some(histogram), ..Default::default() }
}

fn bucket(upper_bound: f64, cumulative_count: u64) -> Bucket {
    Bucket { upper_bound, cumulative_count, ..Default::default() }
}

fn span(offset: i32, length: u32) -> BucketSpan {
    BucketSpan { offset, length }
}

fn exemplar(id: &str, value: f64, timestamp: Option<(i64, i32)>) -> Option<Exemplar> {
    let timestamp = timestamp.map(|(seconds, nanos)| Timestamp { seconds, nanos });
    Some(Exemplar { label: vec![label("id", id)], value, timestamp })
}

/// Classic histogram with the buckets 1: 1, 2: 3 and the count 4.
fn classic() -> Histogram {
    Histogram {
        sample_count: 4,
        sample_sum: 7.5,
        bucket: vec![bucket(1.0, 1), bucket(2.0, 3)],
        ..Default::default()
    }
}

/// Native histogram with the zero bucket 1 and the buckets -1: 1, 2: 2, 3: 1.
fn native() -> Histogram {
    Histogram {
        sample_count: 5,
        sample_sum: 7.5,
        schema: 3,
        zero_threshold: 0.5,
        zero_count: 1,
        negative_span: vec![span(-1, 1)],
        negative_delta: vec![1],
        positive_span: vec![span(2, 2)],
        positive_delta: vec![2, -1],
        ..Default::default()
    }
}

const NATIVE_LINE: &str = "m integer schema=3 zero=0.5/1 count=5 sum=7.5 [-1:1] [2:2 3:1] []";
const CLASSIC_LINES: [&str; 5] = [
    "m_count 4",
    "m_sum 7.5",
    "m_bucket{le=\"1.0\"} 1",
    "m_bucket{le=\"2.0\"} 3",
    "m_bucket{le=\"+Inf\"} 4",
];
const CONVERTED_LINE: &str =
    "m integer schema=-53 zero=0/0 count=4 sum=7.5 [] [0:1 1:2 2:1] [1.0, 2.0]";

#[test]
fn metadata_precede_series() {
    let body = delimited(&[
        MetricFamily {
            help: "a \"gauge\"\n".to_owned(),
            unit: "bytes".to_owned(),
            r#type: GAUGE,
            ..family("g.1", vec![gauge(1.5), gauge(f64::NEG_INFINITY)])
        },
        family("without_metrics", Vec::new()),
        family("c", vec![Metric::default()]),
    ]);
    assert_eq!(
        lines(&body, NATIVE).unwrap(),
        [
            r#"HELP g.1 "a \"gauge\"\n""#,
            r#"UNIT g.1 "bytes""#,
            "TYPE g.1 gauge",
            "g.1 1.5",
            "g.1 -inf",
            r#"HELP c """#,
            "TYPE c counter",
            "c 0",
        ]
    );
    assert_eq!(lines(b"", NATIVE), Ok(vec![]));
    assert_eq!(lines(b"\0\0", NATIVE), Ok(vec![]));
    let types = [
        (COUNTER, "TYPE m counter"),
        (GAUGE, "TYPE m gauge"),
        (SUMMARY, "TYPE m summary"),
        (UNTYPED, "TYPE m unknown"),
        (HISTOGRAM, "TYPE m histogram"),
        (GAUGE_HISTOGRAM, "TYPE m gaugehistogram"),
    ];
    for (r#type, line) in types {
        let family = MetricFamily { r#type, ..family("m", vec![gauge(1.0)]) };
        assert_eq!(lines(&delimited(&[family]), NATIVE).unwrap()[1], line);
    }
}

#[test]
fn simple_metrics_are_one_sample() {
    let counter = Counter {
        value: 2.0,
        exemplar: exemplar("a", 0.5, Some((1, 999_999_999))),
        start_timestamp: Some(Timestamp { seconds: 3, nanos: 4_000_000 }),
    };
    let metric = Metric {
        label: vec![label("b", "2"), label("a", "é\"")],
        counter: Some(counter),
        gauge: Some(Gauge { value: 5.0 }),
        untyped: Some(Untyped { value: 6.0 }),
        timestamp_ms: -7,
        ..Default::default()
    };
    let labels = "m{a=\"é\\\"\",b=\"2\"}";
    let of_type = |family_type| series(family_type, vec![metric.clone()], NATIVE);
    let counter = format!("{labels} 2 @-7 st=3004 # {{id=\"a\"}} 0.5 @1999");
    assert_eq!(of_type(COUNTER), [counter]);
    assert_eq!(of_type(GAUGE), [format!("{labels} 5 @-7")]);
    assert_eq!(of_type(UNTYPED), [format!("{labels} 6 @-7")]);
    let without = ParserOptions::default();
    assert_eq!(
        series(COUNTER, vec![metric], without),
        [format!("{labels} 2 @-7 # {{id=\"a\"}} 0.5 @1999")]
    );
    // Nothing of one metric is left for the next one.
    let full = Metric {
        untyped: Some(Untyped { value: 6.0 }),
        timestamp_ms: 1,
        label: vec![label("a", "1")],
        ..Default::default()
    };
    assert_eq!(series(UNTYPED, vec![full, Metric::default()], NATIVE), ["m{a=\"1\"} 6 @1", "m 0"]);
}

#[test]
fn summary_has_count_sum_and_quantiles() {
    let quantile = |quantile, value| Quantile { quantile, value };
    let summary = Summary {
        sample_count: 3,
        sample_sum: 4.5,
        quantile: vec![quantile(0.5, 1.0), quantile(1.0, f64::NAN)],
        start_timestamp: Some(Timestamp { seconds: 1, nanos: 0 }),
    };
    let metric = |summary| Metric {
        label: vec![label("a", "1"), label("z", "2")],
        summary: Some(summary),
        ..Default::default()
    };
    assert_eq!(
        series(SUMMARY, vec![metric(summary), metric(Summary::default())], NATIVE),
        [
            "m_count{a=\"1\",z=\"2\"} 3 st=1000",
            "m_sum{a=\"1\",z=\"2\"} 4.5 st=1000",
            "m{a=\"1\",quantile=\"0.5\",z=\"2\"} 1 st=1000",
            "m{a=\"1\",quantile=\"1.0\",z=\"2\"} NaN st=1000",
            "m_count{a=\"1\",z=\"2\"} 0",
            "m_sum{a=\"1\",z=\"2\"} 0",
        ]
    );
}

#[test]
fn classic_histogram_has_bucket_for_infinity() {
    for options in [NATIVE, NO_NATIVE, BOTH] {
        assert_eq!(series(HISTOGRAM, vec![with_histogram(classic())], options), CLASSIC_LINES);
    }
    let infinite = bucket(f64::INFINITY, 4);
    let mut with_infinity = classic();
    with_infinity.bucket.extend([infinite.clone(), infinite]);
    assert_eq!(series(HISTOGRAM, vec![with_histogram(with_infinity)], NATIVE), CLASSIC_LINES);
    let empty = series(GAUGE_HISTOGRAM, vec![with_histogram(Histogram::default())], NATIVE);
    assert_eq!(empty, ["m_count 0", "m_sum 0", "m_bucket{le=\"+Inf\"} 0"]);
}

#[test]
fn float_counts_have_priority() {
    let mut histogram = classic();
    histogram.sample_count_float = 4.5;
    histogram.bucket[0].cumulative_count_float = 1.5;
    assert_eq!(
        series(HISTOGRAM, vec![with_histogram(histogram)], NATIVE),
        [
            "m_count 4.5",
            "m_sum 7.5",
            "m_bucket{le=\"1.0\"} 1.5",
            "m_bucket{le=\"2.0\"} 3",
            "m_bucket{le=\"+Inf\"} 4.5",
        ]
    );
}

#[test]
fn exemplars_of_classic_histogram_belong_to_buckets() {
    let mut histogram = classic();
    histogram.bucket[0].exemplar = exemplar("a", 0.5, None);
    histogram.bucket[1].exemplar = exemplar("b", 1.5, Some((2, 0)));
    let lines = series(HISTOGRAM, vec![with_histogram(histogram.clone())], NATIVE);
    assert_eq!(lines[2], "m_bucket{le=\"1.0\"} 1 # {id=\"a\"} 0.5");
    assert_eq!(lines[3], "m_bucket{le=\"2.0\"} 3 # {id=\"b\"} 1.5 @2000");
    assert_eq!(lines[4], CLASSIC_LINES[4]);
    // A native histogram has only exemplars with a timestamp.
    let lines = series(HISTOGRAM, vec![with_histogram(histogram)], CONVERTED);
    assert_eq!(lines, [format!("{CONVERTED_LINE} # {{id=\"b\"}} 1.5 @2000")]);
}

#[test]
fn native_histogram_is_one_sample() {
    let both = Histogram { bucket: classic().bucket, ..native() };
    let metrics = || vec![with_histogram(both.clone())];
    assert_eq!(series(HISTOGRAM, metrics(), NATIVE), [NATIVE_LINE]);
    assert_eq!(series(HISTOGRAM, metrics(), CONVERTED), [NATIVE_LINE]);
    let classic = ["m_count 5", CLASSIC_LINES[1], CLASSIC_LINES[2], CLASSIC_LINES[3]];
    let infinity = "m_bucket{le=\"+Inf\"} 5";
    let lines = series(HISTOGRAM, metrics(), BOTH);
    assert_eq!(lines, [&[NATIVE_LINE][..], &classic[..], &[infinity][..]].concat());
    assert_eq!(series(HISTOGRAM, metrics(), CONVERTED_AND_CLASSIC), lines);
    assert_eq!(series(HISTOGRAM, metrics(), NO_NATIVE), lines[1..]);
    // Without classic buckets there is nothing to keep.
    assert_eq!(series(HISTOGRAM, vec![with_histogram(native())], BOTH), [NATIVE_LINE]);
    let gauge = series(GAUGE_HISTOGRAM, vec![with_histogram(native())], NATIVE);
    assert_eq!(gauge, [NATIVE_LINE.replace("integer", "gauge")]);
}

#[test]
fn native_histogram_is_recognized_by_spans_or_zero_bucket() {
    let base = Histogram { sample_count: 0, ..Default::default() };
    let recognized = [
        Histogram { positive_span: vec![span(0, 0)], ..base.clone() },
        Histogram { negative_span: vec![span(0, 0)], ..base.clone() },
        Histogram { zero_threshold: 1e-9, ..base.clone() },
        Histogram { zero_count: 1, sample_count: 1, ..base.clone() },
    ];
    for histogram in recognized {
        let lines = series(HISTOGRAM, vec![with_histogram(histogram.clone())], NATIVE);
        assert!(lines.len() == 1 && lines[0].starts_with("m integer"), "{histogram:?}");
    }
    let others = [
        base.clone(),
        Histogram { schema: 3, sample_count_float: 1.0, ..base.clone() },
        Histogram { zero_threshold: f64::NAN, zero_count_float: 1.0, ..base },
    ];
    for histogram in others {
        let lines = series(HISTOGRAM, vec![with_histogram(histogram.clone())], NATIVE);
        assert!(lines[0].starts_with("m_count"), "{histogram:?}");
    }
}

#[test]
fn float_histogram_is_recognized_by_its_counts() {
    let float = Histogram {
        sample_count_float: 4.5,
        zero_count_float: 0.5,
        zero_count: 9,
        positive_span: vec![span(0, 2), span(1, 1)],
        positive_count: vec![1.5, 0.0, 2.5],
        ..native()
    };
    let negative = Histogram { negative_count: vec![0.25], ..float };
    let line = "m float schema=3 zero=0.5/0.5 count=4.5 sum=7.5 [-1:0.25] [0:1.5 3:2.5] []";
    assert_eq!(series(HISTOGRAM, vec![with_histogram(negative.clone())], NATIVE), [line]);
    let zero_only = Histogram { sample_count_float: 0.0, ..negative };
    assert_eq!(
        series(GAUGE_HISTOGRAM, vec![with_histogram(zero_only)], NATIVE),
        [line.replace("float", "float gauge").replace("count=4.5", "count=0")]
    );
}

#[test]
fn exemplars_of_native_histogram_need_timestamp() {
    let mut histogram = Histogram {
        exemplars: [
            exemplar("a", 1.0, None),
            exemplar("b", 2.0, Some((1, 0))),
            exemplar("c", 3.0, Some((-1, -1_000_000))),
        ]
        .into_iter()
        .flatten()
        .collect(),
        bucket: classic().bucket,
        ..native()
    };
    histogram.bucket[0].exemplar = exemplar("d", 4.0, Some((2, 0)));
    let own = format!("{NATIVE_LINE} # {{id=\"b\"}} 2 @1000 # {{id=\"c\"}} 3 @-1001");
    // Each metric of a family has its exemplars.
    let metrics = || vec![with_histogram(histogram.clone()), with_histogram(histogram.clone())];
    assert_eq!(series(HISTOGRAM, metrics(), NATIVE), [own.clone(), own.clone()]);
    let lines = series(HISTOGRAM, metrics(), BOTH);
    assert_eq!(lines[0], own);
    assert_eq!(lines[3], "m_bucket{le=\"1.0\"} 1 # {id=\"d\"} 4 @2000");
    histogram.exemplars.clear();
    let from_bucket = format!("{NATIVE_LINE} # {{id=\"d\"}} 4 @2000");
    assert_eq!(series(HISTOGRAM, vec![with_histogram(histogram)], NATIVE), [from_bucket]);
}

#[test]
fn classic_histogram_is_converted_with_its_hint() {
    let metrics = || vec![with_histogram(classic())];
    assert_eq!(series(HISTOGRAM, metrics(), CONVERTED), [CONVERTED_LINE]);
    let gauge = CONVERTED_LINE.replace("integer", "gauge");
    assert_eq!(series(GAUGE_HISTOGRAM, metrics(), CONVERTED), [gauge]);
    assert_eq!(
        series(HISTOGRAM, metrics(), CONVERTED_AND_CLASSIC),
        [&CLASSIC_LINES[..], &[CONVERTED_LINE][..]].concat()
    );
    let ignoring = ParserOptions { ignore_native_histograms: true, ..CONVERTED };
    let both = Histogram { sample_count: 4, bucket: classic().bucket, ..native() };
    assert_eq!(series(HISTOGRAM, vec![with_histogram(both)], ignoring), [CONVERTED_LINE]);
    let summary = Metric { summary: Some(Summary::default()), ..Default::default() };
    assert_eq!(series(SUMMARY, vec![summary], CONVERTED), ["m_count 0", "m_sum 0"]);
}

#[test]
fn unconvertible_histogram_is_an_error() {
    let mut histogram = classic();
    histogram.bucket[1].cumulative_count = 0;
    let family = MetricFamily { r#type: HISTOGRAM, ..family("m", vec![with_histogram(histogram)]) };
    let error = lines(&delimited(&[family]), CONVERTED).unwrap_err();
    assert!(error.to_string().starts_with(
        "cannot convert classic histogram: buckets are not cumulative: le=2.0 has count 0.0, less \
         than 1.0 at byte "
    ));
    assert!(error.to_string().ends_with(" in metric family \"m\""), "{error}");
}

#[test]
fn family_can_mix_kinds_of_histograms() {
    let metrics =
        || vec![with_histogram(native()), with_histogram(classic()), with_histogram(native())];
    let expected = [&[NATIVE_LINE][..], &CLASSIC_LINES[..], &[NATIVE_LINE][..]].concat();
    assert_eq!(series(HISTOGRAM, metrics(), NATIVE), expected);
    assert_eq!(series(HISTOGRAM, metrics(), BOTH), expected);
    let converted = series(HISTOGRAM, metrics(), CONVERTED);
    assert_eq!(converted, [NATIVE_LINE, CONVERTED_LINE, NATIVE_LINE]);
}

#[test]
fn spans_must_match_buckets() {
    let broken = [
        Histogram { positive_span: vec![span(0, 3)], ..native() },
        Histogram { negative_delta: vec![1, 0], ..native() },
        Histogram { positive_span: vec![span(0, u32::MAX), span(0, 3)], ..native() },
        Histogram { sample_count_float: 1.0, ..native() },
    ];
    for histogram in broken {
        // The second metric of a family is checked as well.
        for metrics in [vec![], vec![with_histogram(native())]] {
            let metrics = [metrics, vec![with_histogram(histogram.clone())]].concat();
            let family = MetricFamily { r#type: HISTOGRAM, ..family("m", metrics) };
            let body = delimited(&[family]);
            assert!(matches!(problem(&body, NATIVE), ProtobufProblem::Histogram(_)));
            assert!(lines(&body, NO_NATIVE).is_ok());
        }
    }
}

#[test]
fn invalid_names_types_and_texts_are_rejected() {
    // Field 1 (name), 2 (help), 4 (metric) and 5 (unit) of a family.
    let field = |number: u8, content: &[u8]| {
        [&[number << 3 | 2, content.len() as u8][..], content].concat()
    };
    let name = field(1, b"m");
    let metric = field(4, b"");
    let with_label = |content: &[u8]| field(4, &field(1, content));
    let cases = [
        (metric.clone(), ProtobufProblem::MetricName { name: String::new() }),
        (
            [field(1, b"\xff"), metric.clone()].concat(),
            ProtobufProblem::MetricName { name: "\u{fffd}".to_owned() },
        ),
        ([name.clone(), field(2, b"\xff"), metric.clone()].concat(), ProtobufProblem::Help),
        ([name.clone(), field(5, b"\xff"), metric.clone()].concat(), ProtobufProblem::Unit),
        (
            [name.clone(), vec![0x18, 6], metric.clone()].concat(),
            ProtobufProblem::MetricType { number: 6 },
        ),
        (
            [name.clone(), with_label(&field(1, b"\xff"))].concat(),
            ProtobufProblem::LabelName { name: "\u{fffd}".to_owned() },
        ),
        (
            [name.clone(), with_label(&field(2, b"x"))].concat(),
            ProtobufProblem::LabelName { name: String::new() },
        ),
        (
            [name.clone(), with_label(&[field(1, b"a"), field(2, b"\xff")].concat())].concat(),
            ProtobufProblem::LabelValue { value: "\u{fffd}".to_owned() },
        ),
        ([name.clone(), vec![0x20, 1]].concat(), ProtobufProblem::WrongType { field: 4 }),
        ([name.clone(), field(4, &[0x10, 1])].concat(), ProtobufProblem::WrongType { field: 2 }),
    ];
    for (family, expected) in cases {
        let body = [&[family.len() as u8][..], family.as_slice()].concat();
        assert_eq!(problem(&body, NATIVE), expected, "{family:?}");
    }
    // A family without metrics is skipped, whatever its name and type are.
    let nameless = [vec![0x18, 6], field(2, b"\xff")].concat();
    assert_eq!(
        lines(&[&[nameless.len() as u8][..], nameless.as_slice()].concat(), NATIVE),
        Ok(vec![])
    );
}

#[test]
fn lengths_of_families_are_checked() {
    let text = lines(b"a 1\nb 2\n", NATIVE).unwrap_err().to_string();
    assert_eq!(text, "truncated metric family: expected at least 98 bytes, got 8 bytes at byte 0");
    assert_eq!(problem(b"\x80", NATIVE), ProtobufProblem::FamilyLength);
    assert_eq!(problem(b"\x80\x80\x80\x80\x80\x00", NATIVE), ProtobufProblem::FamilyLength);
    assert_eq!(
        problem(b"\xff\xff\xff\xff\x7f", NATIVE),
        ProtobufProblem::TruncatedFamily { expected: (1 << 35) + 4, remaining: 5 }
    );
    // A length that is longer than it needs to be.
    assert_eq!(lines(b"\x80\x80\x80\x80\x00", NATIVE), Ok(vec![]));
}

#[test]
fn error_names_place_and_family() {
    let mut body = delimited(&[family("first", vec![gauge(1.0)])]);
    let start = body.len();
    let mut metric = gauge(1.0);
    metric.label.push(LabelPair { name: "a".to_owned(), value: "b".to_owned() });
    body.extend(delimited(&[family("second", vec![metric])]));
    let value = body.len() - 12;
    assert_eq!(body[value], b'b');
    body[value] = 0xff;
    let mut parser = ProtobufParser::new(&body, NATIVE);
    for _ in 0..5 {
        assert!(parser.next_entry().unwrap().is_some());
    }
    let error = parser.next_entry().unwrap_err();
    let expected = ParseError::Protobuf {
        problem: ProtobufProblem::LabelValue { value: "\u{fffd}".to_owned() },
        offset: value - 2,
        family: "second".to_owned(),
    };
    assert_eq!(error, expected);
    assert!(value - 2 > start);
    assert_eq!(
        error.to_string(),
        format!(
            "invalid label value \"\u{fffd}\" at byte {} in metric family \"second\"",
            value - 2
        )
    );
}

#[test]
fn lists_are_limited() {
    let limit = 1 << 16;
    let mut histogram = classic();
    histogram.bucket = vec![bucket(1.0, 1); limit];
    let body = |histogram: &Histogram| {
        let metrics = vec![with_histogram(histogram.clone())];
        delimited(&[MetricFamily { r#type: HISTOGRAM, ..family("m", metrics) }])
    };
    assert!(ProtobufParser::new(&body(&histogram), NATIVE).next_entry().is_ok());
    histogram.bucket.push(bucket(1.0, 1));
    let expected = ProtobufProblem::TooMany { items: "buckets", limit };
    assert_eq!(problem(&body(&histogram), NATIVE), expected);
    let deltas = Histogram { positive_delta: vec![0; limit + 1], ..native() };
    let expected = ProtobufProblem::TooMany { items: "native buckets", limit };
    assert_eq!(problem(&body(&deltas), NATIVE), expected);
}

#[test]
fn split_repeated_and_unpacked_fields_are_merged() {
    // A counter in two parts with an exemplar in two parts, and a repeated timestamp.
    let first = Metric {
        timestamp_ms: 1,
        counter: Some(Counter {
            value: 1.0,
            exemplar: exemplar("a", 1.0, Some((5, 0))),
            ..Default::default()
        }),
        ..Default::default()
    };
    let second = Metric {
        timestamp_ms: 2,
        counter: Some(Counter {
            exemplar: Some(Exemplar { label: vec![label("z", "y")], value: 3.0, timestamp: None }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let metric = [first.encode_to_vec(), second.encode_to_vec()].concat();
    assert_eq!(
        lines(&with_metric(COUNTER, &metric), NATIVE).unwrap()[2],
        "m 1 @2 # {id=\"a\",z=\"y\"} 3 @5000"
    );
    // A histogram with one delta a field, between the parts of its packed lists.
    let part = |delta: Vec<i64>, span: BucketSpan| Metric {
        histogram: Some(Histogram {
            sample_count: 3,
            positive_span: vec![span],
            positive_delta: delta,
            ..Default::default()
        }),
        ..Default::default()
    };
    let unpacked = [0x3a, 2, 0x68, 0];
    let metric = [
        part(vec![1], span(0, 1)).encode_to_vec(),
        unpacked.to_vec(),
        part(vec![0], span(0, 2)).encode_to_vec(),
    ]
    .concat();
    assert_eq!(
        lines(&with_metric(HISTOGRAM, &metric), NATIVE).unwrap()[2],
        "m integer schema=0 zero=0/0 count=3 sum=0 [] [0:1 1:1 2:1] []"
    );
}

/// Returns a body with the family `m` and one metric of the given bytes.
fn with_metric(family_type: i32, metric: &[u8]) -> Vec<u8> {
    let mut family = vec![0x0a, 1, b'm', 0x18, family_type as u8, 0x22, metric.len() as u8];
    family.extend_from_slice(metric);
    [&[family.len() as u8][..], family.as_slice()].concat()
}

#[test]
fn exemplar_without_utf8_is_skipped() {
    let mut body = delimited(&[family(
        "m",
        vec![Metric {
            counter: Some(Counter { exemplar: exemplar("xyz", 1.0, None), ..Default::default() }),
            ..Default::default()
        }],
    )]);
    let at = body.windows(3).position(|bytes| bytes == b"xyz").unwrap();
    assert_eq!(lines(&body, NATIVE).unwrap()[2], "m 0 # {id=\"xyz\"} 1");
    body[at] = 0xff;
    assert_eq!(lines(&body, NATIVE).unwrap()[2], "m 0");
}

#[test]
fn key_does_not_depend_on_order_of_labels() {
    let keys = |labels: Vec<LabelPair>| {
        let metric = Metric {
            label: labels,
            summary: Some(Summary {
                quantile: vec![Quantile { quantile: 0.5, value: 1.0 }],
                ..Default::default()
            }),
            ..Default::default()
        };
        let body = delimited(&[MetricFamily { r#type: SUMMARY, ..family("m", vec![metric]) }]);
        let mut parser = ProtobufParser::new(&body, NATIVE);
        let mut keys = Vec::new();
        while parser.next_entry().unwrap().is_some() {
            let series = parser.series();
            assert!(matches!(series.value, EntryValue::Float(_)));
            keys.push(series.key.to_vec());
        }
        keys.split_off(2)
    };
    let expected: [&[u8]; 3] = [
        b"m_count\xffa\xff1\xffz\xff2",
        b"m_sum\xffa\xff1\xffz\xff2",
        b"m\xffa\xff1\xffz\xff2\xffquantile\xff0.5",
    ];
    assert_eq!(keys(vec![label("a", "1"), label("z", "2")]), expected);
    assert_eq!(keys(vec![label("z", "2"), label("a", "1")]), expected);
}
