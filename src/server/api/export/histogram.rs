//! Native histograms as JSON: readable as in Prometheus's query API, or with every field exact.
//!
//! # Format
//! ```text
//! numbers  {"count":"42","sum":"34593.34",
//!           "buckets":[[3,"-0.25","0.25","3"],[0,"0.25","0.5","12"]]}
//! bits
//! {"float":false,"schema":0,"zero_threshold":"3fd0000000000000","zero_count":3,"count":15,
//!           "sum":"40e0e42ae147ae14","positive_spans":[[-1,1]],"positive_buckets":[12],
//!           "negative_spans":[],"negative_buckets":[],"custom_values":[],"reset_hint":"unknown"}
//! ```
//!
//! - `numbers`: a bucket is `[boundary rule, lower bound, upper bound, count]`. The rule is
//!   0 if the upper bound is inclusive, 1 for the lower bound, 2 for neither, 3 for both. Empty
//!   buckets are omitted. Bounds of exponential buckets are computed; their last digit may differ
//!   from Prometheus's.
//! - `bits`: the stored fields, with absolute bucket counts. Counts of float histograms are bits as
//!   well.

use crate::model::go_format::SampleText;
use crate::model::histogram::buckets;
use crate::model::histogram::buckets::IntBuckets;
use crate::model::histogram::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, Histogram, Span,
};
use std::fmt::{Display, Write as _};

/// Appends a histogram in the readable format.
pub(super) fn push_numbers(text: &mut String, histogram: &FloatHistogram) {
    let (count, sum) = (SampleText(histogram.count), SampleText(histogram.sum));
    let _ = write!(text, "{{\"count\":\"{count}\",\"sum\":\"{sum}\"");
    let filled = all_buckets(histogram).into_iter().filter(|bucket| bucket.count != 0.0);
    let mut separator = ",\"buckets\":[";
    for DisplayBucket { ends, lower, upper, count } in filled {
        let (lower, upper, count) = (SampleText(lower), SampleText(upper), SampleText(count));
        let _ = write!(text, "{separator}[{ends},\"{lower}\",\"{upper}\",\"{count}\"]");
        separator = ",";
    }
    text.push_str(if separator == "," { "]}" } else { "}" });
}

/// Appends every field of an integer histogram.
pub(super) fn push_integer_bits(text: &mut String, histogram: &Histogram) {
    let counts = CountTexts {
        is_float: false,
        zero_count: histogram.zero_count.to_string(),
        count: histogram.count.to_string(),
        positive: list(histogram.iter_positive().map(|bucket| bucket.count)),
        negative: list(histogram.iter_negative().map(|bucket| bucket.count)),
    };
    push_fields(text, &frame_of(histogram), &counts);
}

/// Appends every field of a float histogram.
pub(super) fn push_float_bits(text: &mut String, histogram: &FloatHistogram) {
    let counts = CountTexts {
        is_float: true,
        zero_count: bits(&histogram.zero_count),
        count: bits(&histogram.count),
        positive: list(histogram.positive_buckets.iter().map(bits)),
        negative: list(histogram.negative_buckets.iter().map(bits)),
    };
    push_fields(text, histogram, &counts);
}

/// Converts to a float histogram, as in Prometheus's query API.
pub(super) fn to_float(histogram: &Histogram) -> FloatHistogram {
    let floats = |buckets: IntBuckets<'_>| buckets.map(|bucket| bucket.count as f64).collect();
    FloatHistogram {
        zero_count: histogram.zero_count as f64,
        count: histogram.count as f64,
        positive_buckets: floats(histogram.iter_positive()),
        negative_buckets: floats(histogram.iter_negative()),
        ..frame_of(histogram)
    }
}

/// Returns the histogram without its counts.
fn frame_of(histogram: &Histogram) -> FloatHistogram {
    FloatHistogram {
        reset_hint: histogram.reset_hint,
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        sum: histogram.sum,
        positive_spans: histogram.positive_spans.clone(),
        negative_spans: histogram.negative_spans.clone(),
        custom_values: histogram.custom_values.clone(),
        ..FloatHistogram::default()
    }
}

/// Counts of a histogram as JSON.
struct CountTexts {
    is_float: bool,
    zero_count: String,
    count: String,
    positive: String,
    negative: String,
}

fn push_fields(text: &mut String, frame: &FloatHistogram, counts: &CountTexts) {
    let spans = |spans: &[Span]| {
        list(spans.iter().map(|span| format!("[{},{}]", span.offset, span.length)))
    };
    let hint = match frame.reset_hint {
        CounterResetHint::Unknown => "unknown",
        CounterResetHint::Reset => "yes",
        CounterResetHint::NotReset => "no",
        CounterResetHint::Gauge => "gauge",
    };
    let CountTexts { is_float, zero_count, count, positive, negative } = counts;
    let (threshold, sum) = (bits(&frame.zero_threshold), bits(&frame.sum));
    let _ = write!(
        text,
        "{{\"float\":{is_float},\"schema\":{},\"zero_threshold\":{threshold}",
        frame.schema
    );
    let _ = write!(text, ",\"zero_count\":{zero_count},\"count\":{count},\"sum\":{sum}");
    let _ = write!(
        text,
        ",\"positive_spans\":{},\"positive_buckets\":{positive}",
        spans(&frame.positive_spans)
    );
    let _ = write!(
        text,
        ",\"negative_spans\":{},\"negative_buckets\":{negative}",
        spans(&frame.negative_spans)
    );
    let custom_values = list(frame.custom_values.iter().map(bits));
    let _ = write!(text, ",\"custom_values\":{custom_values},\"reset_hint\":\"{hint}\"}}");
}

fn list<T: Display>(items: impl Iterator<Item = T>) -> String {
    let mut text = String::from("[");
    for (i, item) in items.enumerate() {
        let _ = write!(text, "{}{item}", if i == 0 { "" } else { "," });
    }
    text.push(']');
    text
}

fn bits(value: &f64) -> String {
    format!("\"{:016x}\"", value.to_bits())
}

/// Bucket in the readable format.
struct DisplayBucket {
    /// Boundary rule: 0 upper bound inclusive, 1 lower bound, 2 neither, 3 both.
    ends: u8,
    lower: f64,
    upper: f64,
    count: f64,
}

/// Returns the buckets in ascending order. Source: `model/histogram` of Prometheus.
fn all_buckets(histogram: &FloatHistogram) -> Vec<DisplayBucket> {
    let is_custom = histogram.schema == CUSTOM_BUCKETS_SCHEMA;
    let threshold = histogram.zero_threshold;
    // A bound inside the zero bucket moves to the bound of the zero bucket.
    let beside_zero = |end: f64| if end > 0.0 && end < threshold { threshold } else { end };
    let positive = histogram.iter_positive().map(|buckets::Bucket { index, count }| {
        if is_custom {
            let end = |index: i64| custom_end(&histogram.custom_values, index);
            return DisplayBucket {
                ends: if index == 0 { 3 } else { 0 },
                lower: end(index - 1),
                upper: end(index),
                count,
            };
        }
        let lower = beside_zero(exponential_end(histogram.schema, index - 1));
        DisplayBucket { ends: 0, lower, upper: exponential_end(histogram.schema, index), count }
    });
    let mut all: Vec<DisplayBucket> = histogram
        .iter_negative()
        .map(|buckets::Bucket { index, count }| {
            let upper = -beside_zero(exponential_end(histogram.schema, index - 1));
            DisplayBucket {
                ends: 1,
                lower: -exponential_end(histogram.schema, index),
                upper,
                count,
            }
        })
        .collect();
    all.reverse();
    if histogram.zero_count > 0.0 {
        all.push(DisplayBucket {
            ends: 3,
            lower: -threshold,
            upper: threshold,
            count: histogram.zero_count,
        });
    }
    all.extend(positive);
    all
}

/// Returns the upper bound of a custom bucket.
fn custom_end(bounds: &[f64], index: i64) -> f64 {
    match usize::try_from(index) {
        Ok(index) => bounds.get(index).copied().unwrap_or(f64::INFINITY),
        Err(_) => f64::NEG_INFINITY,
    }
}

/// Returns the upper bound of an exponential bucket: 2^(index / 2^schema). The bound of the last
/// finite bucket is `f64::MAX` instead of infinity.
fn exponential_end(schema: i32, index: i64) -> f64 {
    let exponent = index as f64 * (-f64::from(schema)).exp2();
    if exponent == 1024.0 { f64::MAX } else { exponent.exp2() }
}

#[cfg(test)]
mod tests {
    use super::{exponential_end, push_float_bits, push_integer_bits, push_numbers, to_float};
    use crate::model::float_sample::STALE_NAN_BITS;
    use crate::model::histogram::{
        CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, Histogram, Span,
    };

    fn example() -> Histogram {
        Histogram {
            zero_threshold: 0.25,
            zero_count: 3,
            count: 42,
            sum: 34593.34,
            positive_spans: vec![Span { offset: -1, length: 2 }, Span { offset: 1, length: 1 }],
            positive_buckets: vec![12, 9, -15],
            negative_spans: vec![Span { offset: -2, length: 3 }],
            negative_buckets: vec![1, -1, 5],
            ..Histogram::default()
        }
    }

    fn numbers(histogram: &FloatHistogram) -> String {
        let mut text = String::new();
        push_numbers(&mut text, histogram);
        text
    }

    #[test]
    fn readable_histogram_is_as_in_prometheus_query_api() {
        let expected = concat!(
            r#"{"count":"42","sum":"34593.34","buckets":[[1,"-1","-0.5","5"],"#,
            r#"[1,"-0.25","-0.25","1"],[3,"-0.25","0.25","3"],[0,"0.25","0.5","12"],"#,
            r#"[0,"0.5","1","21"],[0,"2","4","6"]]}"#,
        );
        assert_eq!(numbers(&to_float(&example())), expected);
        let custom = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: 4.5,
            sum: f64::NAN,
            positive_spans: vec![Span { offset: 0, length: 3 }],
            positive_buckets: vec![1.0, 0.5, 3.0],
            custom_values: vec![-5.0, 1e-7],
            ..FloatHistogram::default()
        };
        let expected = concat!(
            r#"{"count":"4.5","sum":"NaN","buckets":[[3,"-Inf","-5","1"],"#,
            r#"[0,"-5","1e-07","0.5"],[0,"1e-07","+Inf","3"]]}"#,
        );
        assert_eq!(numbers(&custom), expected);
        assert_eq!(numbers(&FloatHistogram::default()), r#"{"count":"0","sum":"0"}"#);
    }

    #[test]
    fn bits_format_keeps_every_field_exact() {
        let mut text = String::new();
        push_integer_bits(&mut text, &example());
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({
            "float": false, "schema": 0, "zero_threshold": "3fd0000000000000", "zero_count": 3,
            "count": 42, "sum": "40e0e42ae147ae14",
            "positive_spans": [[-1, 2], [1, 1]], "positive_buckets": [12, 21, 6],
            "negative_spans": [[-2, 3]], "negative_buckets": [1, 0, 5],
            "custom_values": [], "reset_hint": "unknown",
        });
        assert_eq!(json, expected);
        let mut text = String::new();
        let stale = FloatHistogram {
            reset_hint: CounterResetHint::Gauge,
            sum: f64::from_bits(STALE_NAN_BITS),
            count: 1.0,
            ..FloatHistogram::default()
        };
        push_float_bits(&mut text, &stale);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let fields =
            ["float", "sum", "count", "zero_count", "reset_hint"].map(|name| json[name].clone());
        let expected = serde_json::json!([
            true,
            "7ff0000000000002",
            "3ff0000000000000",
            "0000000000000000",
            "gauge"
        ]);
        assert_eq!(serde_json::Value::from(fields.to_vec()), expected);
    }

    #[test]
    fn bounds_range_from_zero_to_infinity() {
        assert_eq!([-4, 0, 3, 8].map(|schema| exponential_end(schema, 0)), [1.0; 4]);
        assert_eq!(
            (exponential_end(-4, 1), exponential_end(1, 3), exponential_end(2, -8)),
            (65536.0, 8.0f64.sqrt(), 0.25)
        );
        assert_eq!((exponential_end(0, 1024), exponential_end(3, 8192)), (f64::MAX, f64::MAX));
        assert_eq!(
            (exponential_end(0, 1025), exponential_end(-4, 65)),
            (f64::INFINITY, f64::INFINITY)
        );
        assert_eq!((exponential_end(0, -1074), exponential_end(0, i64::MIN)), (5e-324, 0.0));
    }
}
