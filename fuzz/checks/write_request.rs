//! Remote write requests: the in-place decoder accepts and rejects exactly what prost does, with
//! the same contents.

use super::messages::{self, Count, ZeroCount};
use narthex::ingest::item_error::HistogramError;
use narthex::model::exemplar::Exemplar;
use narthex::model::float_sample::FloatSample;
use narthex::model::histogram::{CounterResetHint, FloatHistogram, Histogram, Span};
use narthex::model::labels::{BuildLabelsError, LabelsBuilder};
use narthex::model::sample::SampleValue;
use narthex::remote::wire::exemplar::ExemplarError;
use narthex::remote::wire::histogram::MAX_LIST;
use narthex::remote::write::limits::CountLimits;
use narthex::remote::write::v1::request_index::RequestIndexV1;
use prost::Message;

const NO_LIMITS: CountLimits = CountLimits { series: u64::MAX, samples: u64::MAX };

/// Contents that both decoders must agree on.
#[derive(Debug, PartialEq)]
struct Content {
    series: Vec<Series>,
    metadata: u64,
}

#[derive(Debug, PartialEq)]
struct Series {
    labels: Vec<(String, String)>,
    samples: Vec<FloatSample>,
    exemplars: Vec<Result<Exemplar, ExemplarError>>,
    histograms: Vec<Result<Stored, String>>,
}

/// Comparable histogram: timestamp, count type, reset hint, schema, and all numbers as bits.
#[derive(Debug, PartialEq)]
pub(super) struct Stored {
    t: i64,
    is_float: bool,
    reset_hint: CounterResetHint,
    schema: i32,
    spans: [Vec<Span>; 2],
    numbers: Vec<u64>,
}

/// Panics if the two decoders differ.
pub(crate) fn check(body: &[u8]) {
    let mut index = RequestIndexV1::default();
    let found = decode_in_place(&mut index, body);
    assert_eq!(found, decode_with_prost(body));
    // The index is reused. Earlier contents must not affect the result.
    assert_eq!(decode_in_place(&mut index, body), found);
    check_limits(&mut index, body, found.as_ref());
}

/// Decodes the request in place; `None` if it is rejected.
fn decode_in_place(index: &mut RequestIndexV1, body: &[u8]) -> Option<Content> {
    let request = index.validate(body, NO_LIMITS).ok()?;
    let series = request.series().map(|series| {
        assert_eq!(series.samples().len(), series.samples().count());
        assert_eq!(series.exemplars().len(), series.exemplars().count());
        assert_eq!(series.histograms().len(), series.histograms().count());
        if let Some(packed) = series.packed_labels() {
            // The label bytes alone decode as a series with the same labels and nothing else.
            let alone = messages::TimeSeries::decode(packed).expect("a run of labels is a series");
            assert!(
                alone.samples.is_empty()
                    && alone.exemplars.is_empty()
                    && alone.histograms.is_empty()
            );
            assert!(
                alone.labels.iter().map(|label| (&*label.name, &*label.value)).eq(series.labels())
            );
        }
        Series {
            labels: series
                .labels()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            samples: series.samples().collect(),
            exemplars: series
                .exemplars()
                .map(|exemplar| exemplar.map_err(|refused| refused.reason))
                .collect(),
            histograms: series
                .histograms()
                .map(|histogram| match histogram {
                    Ok(point) => Ok(stored(point.t, &point.value)),
                    Err(refused) => Err(refused.reason.to_string()),
                })
                .collect(),
        }
    });
    Some(Content { series: series.collect(), metadata: request.metadata().count() as u64 })
}

/// Decodes the request with prost; `None` if it is rejected.
fn decode_with_prost(body: &[u8]) -> Option<Content> {
    let request = messages::WriteRequest::decode(body).ok()?;
    let sample =
        |sample: &messages::Sample| FloatSample::new(sample.timestamp, f64::from_bits(sample.bits));
    let series = request.timeseries.into_iter().map(|series| Series {
        labels: series.labels.into_iter().map(|label| (label.name, label.value)).collect(),
        samples: series.samples.iter().map(sample).collect(),
        exemplars: series.exemplars.iter().map(exemplar).collect(),
        histograms: series.histograms.into_iter().map(histogram).collect(),
    });
    Some(Content { series: series.collect(), metadata: request.metadata.len() as u64 })
}

/// Converts an exemplar as narthex stores it.
fn exemplar(message: &messages::Exemplar) -> Result<Exemplar, ExemplarError> {
    let pairs = message.labels.iter().map(|label| (&*label.name, &*label.value));
    let labels = match pairs.collect::<LabelsBuilder<'_>>().build() {
        Ok(labels) => Some(labels),
        Err(BuildLabelsError::Empty) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Exemplar { t: message.timestamp, v: message.value, labels })
}

/// Converts a histogram as narthex stores it.
pub(super) fn histogram(message: messages::Histogram) -> Result<Stored, String> {
    let (spans, lists) = (
        [&message.positive_spans, &message.negative_spans],
        [
            message.positive_deltas.len(),
            message.negative_deltas.len(),
            message.positive_counts.len(),
            message.negative_counts.len(),
            message.custom_values.len(),
        ],
    );
    if spans.iter().any(|list| list.len() > MAX_LIST) || lists.iter().any(|len| *len > MAX_LIST) {
        return Err(HistogramError::TooLong(MAX_LIST).to_string());
    }
    let [positive_spans, negative_spans] = spans.map(|list| {
        list.iter()
            .map(|span| Span { offset: span.offset, length: span.length })
            .collect::<Vec<_>>()
    });
    let reset_hint = CounterResetHint::from_byte(message.reset_hint as u8).unwrap_or_default();
    let mut value = match message.count {
        Some(Count::Float(count)) => SampleValue::FloatHistogram(Box::new(FloatHistogram {
            reset_hint,
            schema: message.schema,
            zero_threshold: message.zero_threshold,
            zero_count: if let Some(ZeroCount::Float(count)) = message.zero_count {
                count
            } else {
                0.0
            },
            count,
            sum: message.sum,
            positive_spans,
            negative_spans,
            positive_buckets: message.positive_counts,
            negative_buckets: message.negative_counts,
            custom_values: message.custom_values,
        })),
        count => SampleValue::Histogram(Box::new(Histogram {
            reset_hint,
            schema: message.schema,
            zero_threshold: message.zero_threshold,
            zero_count: if let Some(ZeroCount::Int(count)) = message.zero_count {
                count
            } else {
                0
            },
            count: if let Some(Count::Int(count)) = count { count } else { 0 },
            sum: message.sum,
            positive_spans,
            negative_spans,
            positive_buckets: message.positive_deltas,
            negative_buckets: message.negative_deltas,
            custom_values: message.custom_values,
        })),
    };
    value.normalize_for_storage().map_err(|why| why.to_string())?;
    Ok(stored(message.timestamp, &value))
}

/// Converts a histogram to its comparable form.
pub(super) fn stored(t: i64, value: &SampleValue) -> Stored {
    match value {
        SampleValue::Float(_) => panic!("a float among histograms"),
        SampleValue::Histogram(h) => Stored {
            t,
            is_float: false,
            reset_hint: h.reset_hint,
            schema: h.schema,
            spans: [h.positive_spans.clone(), h.negative_spans.clone()],
            numbers: [h.zero_threshold.to_bits(), h.zero_count, h.count, h.sum.to_bits()]
                .into_iter()
                .chain(
                    h.positive_buckets.iter().chain(&h.negative_buckets).map(|delta| *delta as u64),
                )
                .chain(h.custom_values.iter().map(|bound| bound.to_bits()))
                .collect(),
        },
        SampleValue::FloatHistogram(h) => Stored {
            t,
            is_float: true,
            reset_hint: h.reset_hint,
            schema: h.schema,
            spans: [h.positive_spans.clone(), h.negative_spans.clone()],
            numbers: [h.zero_threshold, h.zero_count, h.count, h.sum]
                .iter()
                .chain(h.positive_buckets.iter().chain(&h.negative_buckets).chain(&h.custom_values))
                .map(|number| number.to_bits())
                .collect(),
        },
    }
}

/// Checks that a request at its limits is accepted, and rejected with any lower limit.
fn check_limits(index: &mut RequestIndexV1, body: &[u8], content: Option<&Content>) {
    let Some(Content { series, .. }) = content else { return };
    let values =
        |series: &Series| series.samples.len() + series.exemplars.len() + series.histograms.len();
    let (series, samples) = (series.len() as u64, series.iter().map(values).sum::<usize>() as u64);
    assert!(index.validate(body, CountLimits { series, samples }).is_ok());
    if let Some(series) = series.checked_sub(1) {
        assert!(index.validate(body, CountLimits { series, samples }).is_err());
    }
    if let Some(samples) = samples.checked_sub(1) {
        assert!(index.validate(body, CountLimits { series, samples }).is_err());
    }
}
