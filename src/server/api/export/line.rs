//! Line of an export: samples of histogram series as a JSON object.

use crate::model::float_sample::FloatSample;
use crate::model::labels::Labels;
use crate::model::sample::{Sample, SampleValue};
use crate::server::api::export::histogram::{
    push_float_bits, push_integer_bits, push_numbers, to_float,
};
use std::fmt::Write as _;

/// Size of a full line: a float counts 1, a histogram 1 plus its number of buckets.
const MAX_NUMBERS: usize = 4096;

/// Format of values in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueFormat {
    /// Readable numbers.
    Numbers,
    /// Bits of every number in hexadecimal.
    Bits,
}

/// Samples of histogram series, in time order.
#[derive(Debug, Default)]
pub(super) struct ExportLine {
    floats: Vec<Sample>,
    histograms: Vec<Sample>,
    numbers: usize,
}

impl ExportLine {
    pub(super) fn push(&mut self, sample: Sample) {
        let (list, buckets) = match &sample.value {
            SampleValue::Float(_) => (&mut self.floats, 0),
            SampleValue::Histogram(histogram) => (
                &mut self.histograms,
                histogram.positive_buckets.len() + histogram.negative_buckets.len(),
            ),
            SampleValue::FloatHistogram(histogram) => (
                &mut self.histograms,
                histogram.positive_buckets.len() + histogram.negative_buckets.len(),
            ),
        };
        list.push(sample);
        self.numbers += 1 + buckets;
    }

    /// Returns `true` if the line should be written.
    pub(super) fn is_full(&self) -> bool {
        self.numbers >= MAX_NUMBERS
    }

    /// Returns `true` if the line has no samples.
    pub(super) fn is_empty(&self) -> bool {
        self.numbers == 0
    }

    /// Appends the line to `text` and clears it.
    pub(super) fn write(&mut self, labels: &Labels, values: ValueFormat, text: &mut String) {
        text.push_str("{\"metric\":{");
        push_list(text, labels.iter(), |text, (name, value)| {
            let _ = write!(
                text,
                "{}:{}",
                serde_json::Value::from(name),
                serde_json::Value::from(value)
            );
        });
        text.push_str("},\"values\":[");
        push_list(text, &self.floats, |text, sample| push_value(text, values, sample));
        text.push_str("],\"timestamps\":[");
        push_times(text, &self.floats, |sample| sample.t);
        text.push(']');
        push_start_timestamps(text, "start_timestamps", &self.floats);
        if !self.histograms.is_empty() {
            text.push_str(",\"histograms\":[");
            push_list(text, &self.histograms, |text, sample| push_value(text, values, sample));
            text.push_str("],\"histogram_timestamps\":[");
            push_times(text, &self.histograms, |sample| sample.t);
            text.push(']');
            push_start_timestamps(text, "histogram_start_timestamps", &self.histograms);
        }
        text.push_str("}\n");
        self.floats.clear();
        self.histograms.clear();
        self.numbers = 0;
    }
}

/// Appends the start timestamps if any of them is known.
fn push_start_timestamps(text: &mut String, name: &str, samples: &[Sample]) {
    if samples.iter().any(|sample| sample.start_timestamp != 0) {
        let _ = write!(text, ",\"{name}\":[");
        push_times(text, samples, |sample| sample.start_timestamp);
        text.push(']');
    }
}

fn push_times(text: &mut String, samples: &[Sample], time: impl Fn(&Sample) -> i64) {
    push_list(text, samples, |text, sample| {
        let _ = write!(text, "{}", time(sample));
    });
}

fn push_list<T>(
    text: &mut String,
    items: impl IntoIterator<Item = T>,
    push: impl Fn(&mut String, T),
) {
    for (i, item) in items.into_iter().enumerate() {
        text.push_str(if i == 0 { "" } else { "," });
        push(text, item);
    }
}

fn push_value(text: &mut String, values: ValueFormat, sample: &Sample) {
    match (&sample.value, values) {
        (SampleValue::Float(v), ValueFormat::Numbers) => {
            push_number(text, &FloatSample::new(sample.t, *v))
        }
        (SampleValue::Float(v), ValueFormat::Bits) => {
            let _ = write!(text, "\"{:016x}\"", v.to_bits());
        }
        (value, ValueFormat::Numbers) if value.is_stale() => text.push_str("\"StaleNaN\""),
        (SampleValue::Histogram(histogram), ValueFormat::Numbers) => {
            push_numbers(text, &to_float(histogram))
        }
        (SampleValue::Histogram(histogram), ValueFormat::Bits) => {
            push_integer_bits(text, histogram)
        }
        (SampleValue::FloatHistogram(histogram), ValueFormat::Numbers) => {
            push_numbers(text, histogram)
        }
        (SampleValue::FloatHistogram(histogram), ValueFormat::Bits) => {
            push_float_bits(text, histogram)
        }
    }
}

fn push_number(text: &mut String, sample: &FloatSample) {
    let value = sample.v;
    if value.is_finite() {
        // serde_json writes the shortest number with the same bits, including -0.0 and exponents.
        let _ = write!(text, "{}", serde_json::Value::from(value));
    } else if sample.is_stale() {
        text.push_str("\"StaleNaN\"");
    } else if value.is_nan() {
        text.push_str("\"NaN\"");
    } else {
        text.push_str(if value > 0.0 { "\"+Inf\"" } else { "\"-Inf\"" });
    }
}

#[cfg(test)]
mod tests {
    use super::{ExportLine, ValueFormat, push_number};
    use crate::model::float_sample::{FloatSample, STALE_NAN_BITS};
    use crate::model::histogram::{FloatHistogram, Histogram};
    use crate::model::labels::{Labels, LabelsBuilder};
    use crate::model::sample::{Sample, SampleValue};

    #[test]
    fn finite_values_keep_their_bits_and_others_are_named() {
        let text = |v: f64| {
            let mut text = String::new();
            push_number(&mut text, &FloatSample::new(0, v));
            text
        };
        for v in [0.0, -0.0, 0.1, 1.0 / 3.0, 1e300, -5e-324, 9_007_199_254_740_993.0, f64::MAX] {
            assert_eq!(text(v).parse::<f64>().unwrap().to_bits(), v.to_bits(), "{}", text(v));
        }
        assert_eq!(text(f64::INFINITY), "\"+Inf\"");
        assert_eq!(text(f64::NEG_INFINITY), "\"-Inf\"");
        assert_eq!(text(f64::NAN), "\"NaN\"");
        assert_eq!(text(f64::from_bits(STALE_NAN_BITS)), "\"StaleNaN\"");
    }

    fn labels() -> Labels {
        LabelsBuilder::from_iter([("__name__", "up"), ("job", "a\"b")]).build().unwrap()
    }

    fn written(line: &mut ExportLine) -> String {
        let mut text = String::new();
        line.write(&labels(), ValueFormat::Numbers, &mut text);
        text
    }

    #[test]
    fn floats_histograms_and_start_timestamps_have_own_lists() {
        let mut line = ExportLine::default();
        line.push(Sample::new(1000, SampleValue::Float(0.5)));
        assert_eq!(
            written(&mut line),
            concat!(
                "{\"metric\":{\"__name__\":\"up\",\"job\":\"a\\\"b\"},",
                "\"values\":[0.5],\"timestamps\":[1000]}\n",
            )
        );
        assert!(line.is_empty());
        let stale = Histogram { sum: f64::from_bits(STALE_NAN_BITS), ..Histogram::default() };
        line.push(Sample::new(1, SampleValue::FloatHistogram(Box::default())));
        line.push(Sample { start_timestamp: -3, t: 2, value: SampleValue::Float(1.0) });
        line.push(Sample {
            start_timestamp: 1,
            t: 4,
            value: SampleValue::Histogram(Box::new(stale)),
        });
        let json: serde_json::Value = serde_json::from_str(&written(&mut line)).unwrap();
        assert_eq!((&json["timestamps"], &json["start_timestamps"]), (&[2].into(), &[-3].into()));
        assert_eq!(json["histograms"], serde_json::json!([{"count": "0", "sum": "0"}, "StaleNaN"]));
        assert_eq!(
            (&json["histogram_timestamps"], &json["histogram_start_timestamps"]),
            (&[1, 4].into(), &[0, 1].into())
        );
    }

    #[test]
    fn few_large_histograms_fill_a_line() {
        let large =
            FloatHistogram { positive_buckets: vec![1.0; 2000], ..FloatHistogram::default() };
        let mut line = ExportLine::default();
        for t in 0..3 {
            assert!(!line.is_full());
            line.push(Sample::new(t, SampleValue::FloatHistogram(Box::new(large.clone()))));
        }
        assert!(line.is_full());
    }
}
