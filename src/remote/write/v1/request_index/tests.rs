//! Comparison with prost: the index accepts the same bytes and decodes the same content.

use crate::ingest::item_error::{HistogramError, InvalidItem};
use crate::ingest::metadata::FamilyMetadata;
use crate::model::exemplar::Exemplar;
use crate::model::float_sample::FloatSample;
use crate::model::histogram::{CounterResetHint, FloatHistogram, Histogram, Span};
use crate::model::labels::{BuildLabelsError, LabelsBuilder};
use crate::model::sample::{Sample, SampleValue};
use crate::remote::pb::prometheus as pb;
use crate::remote::wire::exemplar::ExemplarError;
use crate::remote::wire::histogram::MAX_LIST;
use crate::remote::write::decode_error::DecodeWriteRequestError;
use crate::remote::write::limits::CountLimits;
use crate::remote::write::v1::request_index::RequestIndexV1;
use proptest::collection::vec as vec_of;
use proptest::prelude::{Just, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;
use prost::Message;

const NO_LIMITS: CountLimits = CountLimits { series: u64::MAX, samples: u64::MAX };

/// Content that both decoders must agree on.
#[derive(Debug, PartialEq)]
struct Content {
    series: Vec<SeriesContent>,
    metadata: Vec<(i32, String, String, String)>,
}

#[derive(Debug, PartialEq)]
struct SeriesContent {
    labels: Vec<(String, String)>,
    samples: Vec<FloatSample>,
    exemplars: Vec<Result<Exemplar, ExemplarError>>,
    histograms: Vec<(i64, Result<Plain, HistogramError>)>,
}

/// Histogram fields with the bits of floats, so that NaN compares equal.
#[derive(Debug, PartialEq)]
struct Plain {
    is_float: bool,
    reset_hint: CounterResetHint,
    schema: i32,
    /// Zero threshold and count, count, sum, custom values.
    numbers: Vec<u64>,
    spans: [Vec<Span>; 2],
    buckets: [Vec<u64>; 2],
}

fn plain(value: &SampleValue) -> Plain {
    match value {
        SampleValue::Float(v) => panic!("{v} is not a histogram"),
        SampleValue::Histogram(h) => Plain {
            is_float: false,
            reset_hint: h.reset_hint,
            schema: h.schema,
            numbers: [h.zero_threshold.to_bits(), h.zero_count, h.count, h.sum.to_bits()]
                .into_iter()
                .chain(h.custom_values.iter().map(|value| value.to_bits()))
                .collect(),
            spans: [h.positive_spans.clone(), h.negative_spans.clone()],
            buckets: [&h.positive_buckets, &h.negative_buckets]
                .map(|list| list.iter().map(|&b| b as u64).collect()),
        },
        SampleValue::FloatHistogram(h) => Plain {
            is_float: true,
            reset_hint: h.reset_hint,
            schema: h.schema,
            numbers: [h.zero_threshold, h.zero_count, h.count, h.sum]
                .iter()
                .chain(&h.custom_values)
                .map(|value| value.to_bits())
                .collect(),
            spans: [h.positive_spans.clone(), h.negative_spans.clone()],
            buckets: [&h.positive_buckets, &h.negative_buckets]
                .map(|list| list.iter().map(|b| b.to_bits()).collect()),
        },
    }
}

/// Returns the timestamp and the stored form or error of a histogram decoded by prost.
fn histogram_of(message: pb::Histogram) -> (i64, Result<Plain, HistogramError>) {
    use pb::histogram::{Count, ZeroCount};
    let reset_hint = CounterResetHint::from_byte(message.reset_hint as u8).unwrap_or_default();
    let spans = |list: Vec<pb::BucketSpan>| {
        list.iter().map(|span| Span { offset: span.offset, length: span.length }).collect()
    };
    let (schema, zero_threshold, sum) = (message.schema, message.zero_threshold, message.sum);
    let (positive_spans, negative_spans) =
        (spans(message.positive_spans), spans(message.negative_spans));
    let custom_values = message.custom_values;
    let mut value = if let Some(Count::CountFloat(count)) = message.count {
        let zero_count = if let Some(ZeroCount::ZeroCountFloat(count)) = message.zero_count {
            count
        } else {
            0.0
        };
        SampleValue::FloatHistogram(Box::new(FloatHistogram {
            reset_hint,
            schema,
            zero_threshold,
            zero_count,
            count,
            sum,
            positive_spans,
            negative_spans,
            positive_buckets: message.positive_counts,
            negative_buckets: message.negative_counts,
            custom_values,
        }))
    } else {
        let count = if let Some(Count::CountInt(count)) = message.count { count } else { 0 };
        let zero_count =
            if let Some(ZeroCount::ZeroCountInt(count)) = message.zero_count { count } else { 0 };
        SampleValue::Histogram(Box::new(Histogram {
            reset_hint,
            schema,
            zero_threshold,
            zero_count,
            count,
            sum,
            positive_spans,
            negative_spans,
            positive_buckets: message.positive_deltas,
            negative_buckets: message.negative_deltas,
            custom_values,
        }))
    };
    let judged = value.normalize_for_storage().map_err(HistogramError::from);
    // Errors that contain a NaN are not equal to themselves.
    (message.timestamp, judged.map(|()| plain(&value)).map_err(comparable))
}

fn comparable(bad: HistogramError) -> HistogramError {
    use crate::model::histogram::validate::InvalidHistogram as Invalid;
    match bad {
        HistogramError::Invalid(Invalid::NegativeBucket { side, number, .. }) => {
            Invalid::NegativeBucket { side, number, count: -1.0 }.into()
        }
        other => other,
    }
}

fn exemplar_of(message: &pb::Exemplar) -> Result<Exemplar, ExemplarError> {
    let pairs = message.labels.iter().map(|label| (label.name.as_str(), label.value.as_str()));
    let labels = match pairs.collect::<LabelsBuilder<'_>>().build() {
        Ok(labels) => Some(labels),
        Err(BuildLabelsError::Empty) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Exemplar { t: message.timestamp, v: message.value, labels })
}

fn borrowed(body: &[u8]) -> Option<Content> {
    let mut index = RequestIndexV1::default();
    let request = index.validate(body, NO_LIMITS).ok()?;
    let own = |text: &str| text.to_owned();
    let found = |histogram: Result<Sample, InvalidItem<HistogramError>>| match histogram {
        Ok(point) => (point.t, Ok(plain(&point.value))),
        Err(bad) => (bad.t, Err(comparable(bad.reason))),
    };
    let series = request.series().map(|series| {
        assert_eq!(series.samples().len(), series.samples().count());
        assert_eq!(series.histograms().len(), series.histograms().count());
        assert_eq!(series.exemplars().len(), series.exemplars().count());
        if let Some(packed) = series.packed_labels() {
            // The run alone, read as the fields of a series, has the same labels.
            let alone = pb::TimeSeries::decode(packed).unwrap();
            let pairs =
                alone.labels.iter().map(|label| (label.name.as_str(), label.value.as_str()));
            assert!(pairs.eq(series.labels()), "{body:02x?}");
        }
        SeriesContent {
            labels: series.labels().map(|(name, value)| (own(name), own(value))).collect(),
            samples: series.samples().collect(),
            exemplars: series
                .exemplars()
                .map(|exemplar| exemplar.map_err(|bad| bad.reason))
                .collect(),
            histograms: series.histograms().map(found).collect(),
        }
    });
    Some(Content { series: series.collect(), metadata: request.metadata().map(family).collect() })
}

fn by_prost(body: &[u8]) -> Option<Content> {
    let request = pb::WriteRequest::decode(body).ok()?;
    let series = request.timeseries.into_iter().map(|series| SeriesContent {
        labels: series.labels.into_iter().map(|label| (label.name, label.value)).collect(),
        samples: series
            .samples
            .iter()
            .map(|sample| FloatSample::new(sample.timestamp, sample.value))
            .collect(),
        exemplars: series.exemplars.iter().map(exemplar_of).collect(),
        histograms: series.histograms.into_iter().map(histogram_of).collect(),
    });
    let metadata = request.metadata.into_iter().map(|entry| {
        let metric_type =
            pb::metric_metadata::MetricType::try_from(entry.r#type).unwrap_or_default() as i32;
        (metric_type, entry.metric_family_name, entry.help, entry.unit)
    });
    Some(Content { series: series.collect(), metadata: metadata.collect() })
}

fn family(entry: FamilyMetadata<'_>) -> (i32, String, String, String) {
    (
        entry.metric_type as i32,
        entry.family.to_owned(),
        entry.help.to_owned(),
        entry.unit.to_owned(),
    )
}

pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z_]{0,12}", 1 => ".{0,40}", 1 => "[a-zé]{100,300}"]
}

fn labels() -> impl Strategy<Value = Vec<pb::Label>> {
    prop::collection::vec(
        (text(), text()).prop_map(|(name, value)| pb::Label { name, value }),
        0..5,
    )
}

fn sample() -> impl Strategy<Value = pb::Sample> {
    let value = prop_oneof![any::<u64>().prop_map(f64::from_bits), Just(-0.0), Just(0.0)];
    let timestamp = prop_oneof![any::<i64>(), 1_700_000_000_000..1_800_000_000_000i64, -5..5i64];
    (value, timestamp).prop_map(|(value, timestamp)| pb::Sample { value, timestamp })
}

/// Generates histograms with any field values.
fn any_histogram() -> impl Strategy<Value = pb::Histogram> {
    use pb::histogram::{Count, ZeroCount};
    let count = prop_oneof![
        Just(None),
        any::<u64>().prop_map(|count| Some(Count::CountInt(count))),
        any::<f64>().prop_map(|count| Some(Count::CountFloat(count))),
    ];
    let zero_count = prop_oneof![
        Just(None),
        any::<u64>().prop_map(|count| Some(ZeroCount::ZeroCountInt(count))),
        any::<f64>().prop_map(|count| Some(ZeroCount::ZeroCountFloat(count))),
    ];
    let spans = || {
        let span =
            any::<(i32, u32)>().prop_map(|(offset, length)| pb::BucketSpan { offset, length });
        prop::collection::vec(span, 0..3)
    };
    let deltas = || prop::collection::vec(any::<i64>(), 0..4);
    let counts = || prop::collection::vec(any::<f64>(), 0..4);
    (
        (count, zero_count, any::<(i64, i32, i32)>(), any::<(f64, f64)>()),
        (spans(), deltas(), counts()),
        (spans(), deltas(), counts()),
        counts(),
    )
        .prop_map(|(numbers, positive, negative, custom_values)| {
            let (count, zero_count, (timestamp, schema, reset_hint), (sum, zero_threshold)) =
                numbers;
            pb::Histogram {
                count,
                zero_count,
                timestamp,
                schema,
                reset_hint,
                sum,
                zero_threshold,
                positive_spans: positive.0,
                positive_deltas: positive.1,
                positive_counts: positive.2,
                negative_spans: negative.0,
                negative_deltas: negative.1,
                negative_counts: negative.2,
                custom_values,
            }
        })
}

/// Generates storable histograms: buckets from `offset` on with these counts.
fn sound_histogram() -> impl Strategy<Value = pb::Histogram> {
    use pb::histogram::{Count, ZeroCount};
    let numbers = (any::<bool>(), -4..=12i32, -1000..1000i32, 0..4i32, any::<i64>());
    (numbers, prop::collection::vec(0..1000u32, 0..6)).prop_map(|(numbers, counts)| {
        let (is_float, schema, offset, reset_hint, timestamp) = numbers;
        let total: u32 = counts.iter().sum();
        let spans = vec![pb::BucketSpan { offset, length: counts.len() as u32 }];
        let common = pb::Histogram {
            schema,
            reset_hint,
            timestamp,
            positive_spans: spans,
            ..Default::default()
        };
        if is_float {
            return pb::Histogram {
                count: Some(Count::CountFloat(total.into())),
                zero_count: Some(ZeroCount::ZeroCountFloat(0.5)),
                positive_counts: counts.iter().map(|&count| count.into()).collect(),
                ..common
            };
        }
        let before = std::iter::once(&0).chain(&counts);
        pb::Histogram {
            count: Some(Count::CountInt(u64::from(total) + 3)),
            zero_count: Some(ZeroCount::ZeroCountInt(3)),
            positive_deltas: counts
                .iter()
                .zip(before)
                .map(|(&now, &before)| i64::from(now) - i64::from(before))
                .collect(),
            ..common
        }
    })
}

fn histogram() -> impl Strategy<Value = pb::Histogram> {
    prop_oneof![any_histogram(), sound_histogram()]
}

pub(crate) fn series() -> impl Strategy<Value = pb::TimeSeries> {
    let exemplar = (labels(), sample()).prop_map(|(labels, sample)| pb::Exemplar {
        labels,
        value: sample.value,
        timestamp: sample.timestamp,
    });
    (
        labels(),
        prop::collection::vec(sample(), 0..4),
        prop::collection::vec(exemplar, 0..2),
        prop::collection::vec(histogram(), 0..2),
    )
        .prop_map(|(labels, samples, exemplars, histograms)| pb::TimeSeries {
            labels,
            samples,
            exemplars,
            histograms,
        })
}

fn request() -> impl Strategy<Value = pb::WriteRequest> {
    let kind = prop_oneof![3 => 0..9i32, 1 => any::<i32>()];
    let metadata = (kind, text(), text(), text()).prop_map(|(kind, name, help, unit)| {
        pb::MetricMetadata { r#type: kind, metric_family_name: name, help, unit }
    });
    (prop::collection::vec(series(), 0..4), prop::collection::vec(metadata, 0..2))
        .prop_map(|(timeseries, metadata)| pb::WriteRequest { timeseries, metadata })
}

/// Corruption of an encoded body.
#[derive(Debug, Clone)]
pub(crate) enum Mutation {
    Set(usize, u8),
    Flip(usize, u32),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Cut(usize),
    /// Copies a range of the body to another offset.
    Copy(usize, usize, usize),
}

pub(crate) fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<prop::sample::Index>().prop_map(|index| index.index(1 << 16));
    // Meaningful bytes: keys of known fields with right and wrong wire types, groups, ends of
    // varints.
    let telling = prop_oneof![
        Just(vec![0x0a]),
        Just(vec![0x12]),
        Just(vec![0x1a]),
        Just(vec![0x22]),
        Just(vec![0x0b]),
        Just(vec![0x0c]),
        Just(vec![0x8a, 0x00]),
        Just(vec![0x80, 0x80, 0x00]),
        Just(vec![0x80; 9]),
        Just(vec![0xff; 9]),
        Just(vec![0x0d]),
        Just(vec![0x7b, 0x7c]),
        Just(vec![0x7b, 0x7b, 0x08, 0x01, 0x7c, 0x7c]),
        Just(vec![0x00]),
        Just(vec![0x09]),
        Just(vec![0x10]),
        Just(vec![0xf8, 0xff, 0xff, 0xff, 0x0f, 0x01]),
        Just(vec![0xf8, 0xff, 0xff, 0xff, 0x1f, 0x01]),
        Just(vec![0xc3, 0x28]),
        Just(vec![0x32, 0x02, 0x0a, 0x00]),
    ];
    let small = 0..40usize;
    prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (at.clone(), 0..8u32).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (at.clone(), telling).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (at.clone(), prop::collection::vec(any::<u8>(), 1..4))
            .prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (at.clone(), 1..4usize).prop_map(|(at, len)| Mutation::Remove(at, len)),
        at.clone().prop_map(Mutation::Cut),
        (at.clone(), at, small).prop_map(|(from, to, len)| Mutation::Copy(from, to, len)),
    ]
}

impl Mutation {
    pub(crate) fn apply(&self, body: &mut Vec<u8>) {
        if body.is_empty() {
            return;
        }
        let place = |at: usize| at % body.len();
        match self {
            Self::Set(at, byte) => *body = with(body, place(*at), *byte),
            Self::Flip(at, bit) => *body = with(body, place(*at), body[place(*at)] ^ (1 << bit)),
            Self::Insert(at, bytes) => {
                drop(body.splice(place(*at)..place(*at), bytes.iter().copied()))
            }
            Self::Remove(at, len) => drop(body.drain(place(*at)..body.len().min(place(*at) + len))),
            Self::Cut(at) => body.truncate(place(*at)),
            Self::Copy(from, to, len) => {
                let piece = body[place(*from)..body.len().min(place(*from) + len)].to_vec();
                let to = place(*to);
                body.splice(to..to, piece);
            }
        }
    }
}

fn with(body: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut body = body.to_vec();
    body[at] = byte;
    body
}

/// Generates a correctly framed field with any content; it reaches paths that corruption alone does
/// not.
pub(crate) fn field() -> impl Strategy<Value = Vec<u8>> {
    let scalar = prop_oneof![
        // A varint, an overlong varint, 64 bits, 32 bits, an empty group.
        (1..6u8, 0..0x7fu8).prop_map(|(field, value)| vec![field << 3, value]),
        (1..6u8, 0..0x7fu8).prop_map(|(field, value)| vec![
            field << 3 | 0x80,
            0x00,
            value | 0x80,
            0x80,
            0x00
        ]),
        (1..6u8, any::<[u8; 8]>())
            .prop_map(|(field, value)| [&[field << 3 | 1], &value[..]].concat()),
        (1..6u8, any::<[u8; 4]>())
            .prop_map(|(field, value)| [&[field << 3 | 5], &value[..]].concat()),
        (5..9u8).prop_map(|field| vec![field << 3 | 3, field << 3 | 4]),
        (1..6u8, text()).prop_map(|(field, text)| framed(field, text.as_bytes())),
    ];
    scalar.prop_recursive(3, 40, 5, |inner| {
        (1..6u8, prop::collection::vec(inner, 0..5))
            .prop_map(|(field, fields)| framed(field, &fields.concat()))
    })
}

pub(crate) fn framed(field: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![field << 3 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

/// Generates a histogram field in a valid encoding, and sometimes in an invalid one.
fn histogram_field() -> impl Strategy<Value = Vec<u8>> {
    let varint = |number: u8, value: u64| {
        let mut field = Vec::new();
        prost::encoding::encode_varint(u64::from(number) << 3, &mut field);
        prost::encoding::encode_varint(value, &mut field);
        field
    };
    let double = |number: u8, value: f64| {
        let mut field = Vec::new();
        prost::encoding::encode_varint(u64::from(number) << 3 | 1, &mut field);
        field.extend_from_slice(&value.to_le_bytes());
        field
    };
    let varints = select(vec![1u8, 4, 6, 9, 12, 14, 15]);
    let doubles = select(vec![2u8, 3, 5, 7, 10, 13, 16]);
    let small = prop_oneof![3 => 0..40u64, 1 => any::<u64>()];
    let floats = prop_oneof![3 => 0..40u32, 1 => Just(u32::MAX)].prop_map(f64::from);
    prop_oneof![
        4 => (varints, small.clone()).prop_map(move |(number, value)| varint(number, value)),
        4 => (doubles, floats.clone()).prop_map(move |(number, value)| double(number, value)),
        1 => (1..17u8, small.clone()).prop_map(move |(number, value)| varint(number, value)),
        2 => (select(vec![9u8, 12]), vec_of(small.clone(), 0..4)).prop_map(|(number, values)| {
            let mut packed = Vec::new();
            values.iter().for_each(|value| prost::encoding::encode_varint(*value, &mut packed));
            framed(number, &packed)
        }),
        2 => (select(vec![10u8, 13]), vec_of(floats, 0..4)).prop_map(|(number, values)| {
            framed(number, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
        }),
        4 => (select(vec![8u8, 11]), vec_of((1..4u8, small), 0..4)).prop_map(
            move |(number, fields)| {
                let fields = fields.iter().flat_map(|(field, value)| varint(*field, *value));
                framed(number, &fields.collect::<Vec<_>>())
            }
        ),
    ]
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]

    #[test]
    fn request_equals_prost_decoding(request in request()) {
        let body = request.encode_to_vec();
        prop_assert_eq!(borrowed(&body), by_prost(&body));
        assert!(borrowed(&body).is_some());
    }

    #[test]
    fn corrupted_request_is_handled_as_by_prost(
        request in request(),
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        let mut body = request.encode_to_vec();
        mutations.iter().for_each(|mutation| mutation.apply(&mut body));
        prop_assert_eq!(borrowed(&body), by_prost(&body), "{:02x?}", body);
    }

    #[test]
    fn fields_in_any_order_equal_prost_decoding(
        fields in prop::collection::vec(field(), 0..6),
    ) {
        let series = fields.concat();
        let once = framed(1, &series);
        for body in [series, once.clone(), [once.clone(), once].concat()] {
            prop_assert_eq!(borrowed(&body), by_prost(&body), "{:02x?}", body);
        }
    }

    #[test]
    fn histogram_fields_in_any_order_equal_prost_decoding(
        fields in prop::collection::vec(histogram_field(), 0..12),
    ) {
        let body = framed(1, &framed(4, &fields.concat()));
        prop_assert_eq!(borrowed(&body), by_prost(&body), "{:02x?}", body);
    }

    #[test]
    fn arbitrary_bytes_are_handled_as_by_prost(
        body in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        prop_assert_eq!(borrowed(&body), by_prost(&body));
    }
}

#[test]
fn group_depth_limit_equals_prost() {
    for depth in 95..105 {
        // Unknown group 15 at this depth: in the request, in a series and in a label.
        let group = [vec![0x7b; depth], vec![0x7c; depth]].concat();
        let bodies = [
            group.clone(),
            framed(1, &group),
            framed(1, &framed(1, &group)),
            framed(1, &framed(2, &group)),
        ];
        for body in bodies {
            assert_eq!(borrowed(&body), by_prost(&body), "depth {depth}");
        }
    }
}

#[test]
fn scattered_labels_are_read() {
    let label = |name: &str| framed(1, &[framed(1, name.as_bytes()), framed(2, b"x")].concat());
    let body = framed(1, &[label("a"), framed(2, &[0x10, 7]), label("b")].concat());
    let mut index = RequestIndexV1::default();
    let request = index.validate(&body, NO_LIMITS).unwrap();
    let series = request.series().next().unwrap();
    assert_eq!(series.packed_labels(), None);
    assert_eq!(series.labels().collect::<Vec<_>>(), [("a", "x"), ("b", "x")]);
    assert_eq!(series.samples().collect::<Vec<_>>(), [FloatSample::new(7, 0.0)]);
}

#[test]
fn request_over_a_limit_stops_the_index() {
    let body = framed(1, &framed(2, &[])).repeat(10);
    let mut index = RequestIndexV1::default();
    let limits = |series, samples| CountLimits { series, samples };
    let mut validate = |limits| index.validate(&body, limits).map(drop);
    assert_eq!(validate(limits(10, 10)), Ok(()));
    assert_eq!(validate(limits(9, 10)), Err(DecodeWriteRequestError::TooManySeries(9)));
    assert_eq!(validate(limits(10, 9)), Err(DecodeWriteRequestError::TooManySamples(9)));
}

#[test]
fn overlong_list_is_not_decoded() {
    let spans = framed(11, &[]).repeat(MAX_LIST);
    let deltas = framed(12, &vec![0; MAX_LIST]);
    let counts = framed(13, &vec![0; 8 * MAX_LIST]);
    for (fields, too_long) in [
        (spans.clone(), false),
        ([spans, framed(11, &[])].concat(), true),
        ([deltas.clone(), vec![0x60, 0]].concat(), true),
        ([vec![0x60, 0], deltas].concat(), true),
        ([counts.clone(), counts].concat(), true),
    ] {
        let body = framed(1, &framed(4, &[vec![0x78, 7], fields].concat()));
        let mut index = RequestIndexV1::default();
        let request = index.validate(&body, NO_LIMITS).unwrap();
        let found: Vec<_> = request.series().next().unwrap().histograms().collect();
        match &found[..] {
            [Ok(point)] => assert!(!too_long && point.t == 7),
            [Err(bad)] => assert!(
                too_long && *bad == InvalidItem { t: 7, reason: HistogramError::TooLong(MAX_LIST) }
            ),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn recorded_requests_equal_prost_decoding() {
    let mut kinds = (0, 0, 0, 0);
    for number in ["00", "01", "02", "03", "21", "22"] {
        let path = format!("{}/tests/golden/wire/rw1/{number}.body", env!("CARGO_MANIFEST_DIR"));
        let body = snap::raw::Decoder::new().decompress_vec(&std::fs::read(path).unwrap()).unwrap();
        let content = borrowed(&body).unwrap();
        assert_eq!(Some(&content), by_prost(&body).as_ref());
        kinds.0 += content.series.iter().map(|series| series.samples.len()).sum::<usize>();
        kinds.1 += content.series.iter().map(|series| series.exemplars.len()).sum::<usize>();
        kinds.2 += content.series.iter().map(|series| series.histograms.len()).sum::<usize>();
        kinds.3 += content.metadata.len() as u64;
        for cut in 0..body.len() {
            assert_eq!(
                borrowed(&body[..cut]).is_some(),
                by_prost(&body[..cut]).is_some(),
                "{number} truncated at {cut}"
            );
        }
    }
    assert!(kinds.0 > 0 && kinds.1 > 0 && kinds.2 > 0 && kinds.3 > 0, "{kinds:?}");
}
