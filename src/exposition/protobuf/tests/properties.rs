//! Properties of the parser for arbitrary families, and for cut, changed and arbitrary bodies.

use crate::exposition::canonical_number::push_canonical_number;
use crate::exposition::entry_lines::entry_lines;
use crate::exposition::parse_error::ParseError;
use crate::exposition::parser::{Parser, ParserOptions};
use crate::exposition::protobuf::parser::ProtobufParser;
use crate::exposition::protobuf::tests::messages::{
    Bucket, BucketSpan, Counter, Exemplar, Gauge, Histogram, LabelPair, Metric, MetricFamily,
    Quantile, Summary, Timestamp, Untyped, delimited, label,
};
use proptest::prelude::{
    BoxedStrategy, Just, ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq,
    prop_oneof, proptest,
};

const COUNTER: i32 = 0;
const GAUGE: i32 = 1;
const SUMMARY: i32 = 2;
const UNTYPED: i32 = 3;
const HISTOGRAM: i32 = 4;

const START_TIMESTAMPS: ParserOptions = ParserOptions {
    start_timestamps: true,
    ignore_native_histograms: false,
    convert_classic_histograms: false,
    keep_classic_histograms: false,
};

fn all_options() -> impl Iterator<Item = ParserOptions> {
    (0..16u8).map(|bits| ParserOptions {
        start_timestamps: bits & 1 != 0,
        ignore_native_histograms: bits & 2 != 0,
        convert_classic_histograms: bits & 4 != 0,
        keep_classic_histograms: bits & 8 != 0,
    })
}

fn lines(body: &[u8], options: ParserOptions) -> Result<Vec<String>, ParseError> {
    entry_lines(ProtobufParser::new(body, options))
}

/// Returns the entries up to the end or the first error.
fn lines_before_error(body: &[u8], options: ParserOptions) -> usize {
    let mut parser = ProtobufParser::new(body, options);
    let mut count = 0;
    while let Ok(Some(_)) = parser.next_entry() {
        count += 1;
    }
    count
}

fn arb_labels() -> impl Strategy<Value = Vec<LabelPair>> {
    prop::collection::btree_map("[a-dé.]{1,3}", ".{0,5}", 0..4)
        .prop_map(|labels| labels.iter().map(|(name, value)| label(name, value)).collect())
}

fn arb_value() -> impl Strategy<Value = f64> {
    // The sum is never a negative zero, which prost does not encode.
    prop_oneof![any::<f64>(), (-5..5i32).prop_map(f64::from)].prop_map(|value| value + 0.0)
}

fn arb_timestamp() -> impl Strategy<Value = Option<Timestamp>> {
    let timestamp = (-10..10i64, -999_999_999..999_999_999i32)
        .prop_map(|(seconds, nanos)| Timestamp { seconds, nanos });
    prop::option::of(timestamp)
}

fn arb_exemplar() -> impl Strategy<Value = Option<Exemplar>> {
    let exemplar = (arb_labels(), arb_value(), arb_timestamp())
        .prop_map(|(label, value, timestamp)| Exemplar { label, value, timestamp });
    prop::option::of(exemplar)
}

fn arb_value_of_type(family_type: i32) -> BoxedStrategy<Metric> {
    let empty = Metric::default;
    match family_type {
        COUNTER => (arb_value(), arb_exemplar(), arb_timestamp())
            .prop_map(move |(value, exemplar, start_timestamp)| Metric {
                counter: Some(Counter { value, exemplar, start_timestamp }),
                ..empty()
            })
            .boxed(),
        GAUGE => arb_value()
            .prop_map(move |value| Metric { gauge: Some(Gauge { value }), ..empty() })
            .boxed(),
        UNTYPED => arb_value()
            .prop_map(move |value| Metric { untyped: Some(Untyped { value }), ..empty() })
            .boxed(),
        SUMMARY => {
            let quantile = (arb_value(), arb_value())
                .prop_map(|(quantile, value)| Quantile { quantile, value });
            (0..1u64 << 50, arb_value(), prop::collection::vec(quantile, 0..4), arb_timestamp())
                .prop_map(move |(sample_count, sample_sum, quantile, start_timestamp)| Metric {
                    summary: Some(Summary { sample_count, sample_sum, quantile, start_timestamp }),
                    ..empty()
                })
                .boxed()
        }
        _ => arb_histogram()
            .prop_map(move |histogram| Metric { histogram: Some(histogram), ..empty() })
            .boxed(),
    }
}

/// Classic histogram, and in half of the cases an integer native one.
fn arb_histogram() -> impl Strategy<Value = Histogram> {
    let bucket = (0..1u64 << 50, arb_value(), arb_exemplar()).prop_map(
        |(cumulative_count, upper_bound, exemplar)| Bucket {
            cumulative_count,
            upper_bound,
            exemplar,
            cumulative_count_float: 0.0,
        },
    );
    let exemplars = prop::collection::vec(arb_exemplar(), 0..3);
    let classic = (
        0..1u64 << 50,
        arb_value(),
        prop::collection::vec(bucket, 0..4),
        arb_timestamp(),
        exemplars,
    )
        .prop_map(|(sample_count, sample_sum, bucket, start_timestamp, exemplars)| Histogram {
            sample_count,
            sample_sum,
            bucket,
            start_timestamp,
            exemplars: exemplars.into_iter().flatten().collect(),
            ..Default::default()
        });
    let native = (
        -4..9i32,
        0..3u64,
        prop::collection::vec((-5..5i32, 0..4u32), 1..4),
        prop::collection::vec(any::<i8>(), 12),
    );
    (classic, prop::option::of(native)).prop_map(|(mut histogram, native)| {
        if let Some((schema, zero_count, spans, deltas)) = native {
            let buckets = spans.iter().map(|(_, length)| *length as usize).sum();
            histogram.schema = schema;
            histogram.zero_threshold = 0.001;
            histogram.zero_count = zero_count;
            histogram.positive_delta = deltas.into_iter().map(i64::from).take(buckets).collect();
            histogram.positive_span = spans
                .iter()
                .enumerate()
                .map(|(i, &(offset, length))| BucketSpan {
                    offset: if i == 0 { offset } else { offset.abs() },
                    length,
                })
                .collect();
        }
        histogram
    })
}

fn arb_family() -> impl Strategy<Value = MetricFamily> {
    let family_type =
        prop_oneof![Just(COUNTER), Just(GAUGE), Just(SUMMARY), Just(UNTYPED), Just(HISTOGRAM)];
    let with_metrics = family_type.prop_flat_map(|family_type| {
        let metric = (arb_value_of_type(family_type), arb_labels(), -3..3i64)
            .prop_map(|(metric, label, timestamp_ms)| Metric { label, timestamp_ms, ..metric });
        (Just(family_type), prop::collection::vec(metric, 0..4))
    });
    ("[a-z:.é]{1,5}", ".{0,6}", "[a-z]{0,3}", with_metrics).prop_map(
        |(name, help, unit, (r#type, metric))| MetricFamily { name, help, unit, r#type, metric },
    )
}

fn arb_body() -> impl Strategy<Value = Vec<MetricFamily>> {
    prop::collection::vec(arb_family(), 0..4)
}

/// Returns the expected entries of a family without native histograms, timestamps and exemplars.
fn expected_lines(family: &MetricFamily) -> Vec<String> {
    if family.metric.is_empty() {
        return Vec::new();
    }
    let name = &family.name;
    let mut lines = vec![format!("HELP {name} {:?}", family.help)];
    if !family.unit.is_empty() {
        lines.push(format!("UNIT {name} {:?}", family.unit));
    }
    let type_name = ["counter", "gauge", "summary", "unknown", "histogram"][family.r#type as usize];
    lines.push(format!("TYPE {name} {type_name}"));
    for metric in &family.metric {
        expected_series(name, metric, &mut lines);
    }
    lines
}

fn expected_series(name: &str, metric: &Metric, lines: &mut Vec<String>) {
    let mut add = |suffix: &str, bound: Option<(&str, f64)>, value: f64| {
        let mut labels: Vec<(String, String)> =
            metric.label.iter().map(|label| (label.name.clone(), label.value.clone())).collect();
        if let Some((label, bound)) = bound {
            let mut text = String::new();
            push_canonical_number(&mut text, bound);
            labels.push((label.to_owned(), text));
        }
        labels.sort();
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let labels =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        lines.push(format!("{name}{suffix}{labels} {value}"));
    };
    if let Some(counter) = &metric.counter {
        add("", None, counter.value);
    }
    if let Some(gauge) = &metric.gauge {
        add("", None, gauge.value);
    }
    if let Some(untyped) = &metric.untyped {
        add("", None, untyped.value);
    }
    if let Some(summary) = &metric.summary {
        add("_count", None, summary.sample_count as f64);
        add("_sum", None, summary.sample_sum);
        for quantile in &summary.quantile {
            add("", Some(("quantile", quantile.quantile)), quantile.value);
        }
    }
    if let Some(histogram) = &metric.histogram {
        add("_count", None, histogram.sample_count as f64);
        add("_sum", None, histogram.sample_sum);
        let end = histogram.bucket.iter().position(|b| b.upper_bound == f64::INFINITY);
        for bucket in &histogram.bucket[..end.unwrap_or(histogram.bucket.len())] {
            add("_bucket", Some(("le", bucket.upper_bound)), bucket.cumulative_count as f64);
        }
        let last = end.map_or(histogram.sample_count, |i| histogram.bucket[i].cumulative_count);
        add("_bucket", Some(("le", f64::INFINITY)), last as f64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn encoded_families_are_read_back(families in arb_body()) {
        let options = ParserOptions { ignore_native_histograms: true, ..START_TIMESTAMPS };
        let read = lines(&delimited(&families), options).unwrap();
        let expected: Vec<String> = families.iter().flat_map(expected_lines).collect();
        prop_assert_eq!(read.len(), expected.len());
        for (read, expected) in read.iter().zip(&expected) {
            let rest = read.strip_prefix(expected.as_str());
            // Timestamps and exemplars follow.
            prop_assert!(rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')));
        }
    }

    #[test]
    fn native_histograms_keep_their_observations(histogram in arb_histogram()) {
        let metric = Metric { histogram: Some(histogram.clone()), ..Default::default() };
        let family = MetricFamily {
            name: "m".to_owned(),
            r#type: HISTOGRAM,
            metric: vec![metric],
            ..Default::default()
        };
        let read = lines(&delimited(&[family]), START_TIMESTAMPS).unwrap();
        if histogram.positive_span.is_empty() {
            prop_assert!(read[2].starts_with("m_count "));
            return Ok(());
        }
        prop_assert_eq!(read.len(), 3);
        let mut index = 0i64;
        let mut count = 0;
        let mut deltas = histogram.positive_delta.iter();
        let mut buckets = Vec::new();
        for span in &histogram.positive_span {
            index += i64::from(span.offset);
            for delta in deltas.by_ref().take(span.length as usize) {
                count += delta;
                if count != 0 {
                    buckets.push(format!("{index}:{count}"));
                }
                index += 1;
            }
        }
        let expected = format!(
            "m integer schema={} zero=0.001/{} count={} sum={} [] [{}] []",
            histogram.schema,
            histogram.zero_count,
            histogram.sample_count,
            histogram.sample_sum,
            buckets.join(" ")
        );
        prop_assert!(read[2].starts_with(&expected), "{} {}", read[2], expected);
    }

    #[test]
    fn cut_body_is_an_error_or_whole_families(families in arb_body()) {
        let body = delimited(&families);
        let ends: Vec<usize> =
            (0..=families.len()).map(|n| delimited(&families[..n]).len()).collect();
        for options in [START_TIMESTAMPS, ParserOptions::default()] {
            let whole = lines(&body, options).unwrap();
            for cut in 0..=body.len() {
                let read = lines(&body[..cut], options);
                if let Some(n) = ends.iter().position(|end| *end == cut) {
                    let read = read.unwrap();
                    prop_assert_eq!(&read, &lines(&delimited(&families[..n]), options).unwrap());
                    prop_assert_eq!(&read[..], &whole[..read.len()]);
                } else {
                    prop_assert!(read.is_err());
                }
            }
        }
    }

    #[test]
    fn changed_bodies_do_not_panic(
        families in arb_body(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut body = delimited(&families);
        for (at, byte) in changes {
            if !body.is_empty() {
                let at = at.index(body.len());
                body[at] = byte;
            }
        }
        for options in all_options() {
            let read = lines(&body, options);
            let count = lines_before_error(&body, options);
            prop_assert!(read.is_err() || read.unwrap().len() == count);
        }
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(body in prop::collection::vec(any::<u8>(), 0..100)) {
        for options in all_options() {
            lines_before_error(&body, options);
            // A body with one family of these bytes gets beyond the length.
            let family = [&[body.len() as u8][..], body.as_slice()].concat();
            lines_before_error(&family, options);
        }
    }
}
