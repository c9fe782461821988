//! Remote write 2.0 requests: the in-place decoder accepts and rejects exactly what prost does,
//! with the same contents.

use super::messages_v2::{self as messages, Request};
use super::write_request::{Stored, histogram, stored};
use narthex::ingest::request_series::RequestSeries;
use narthex::model::exemplar::Exemplar;
use narthex::model::labels::{BuildLabelsError, LabelsBuilder};
use narthex::model::sample::SampleValue;
use narthex::remote::wire::exemplar::ExemplarError;
use narthex::remote::wire::symbol_ref_error::SymbolRefError;
use narthex::remote::write::decode_error::DecodeWriteRequestError;
use narthex::remote::write::limits::CountLimits;
use narthex::remote::write::v2::request_index::{RequestIndexV2, RequestLimitsV2};
use prost::Message;

const NO_LIMITS: RequestLimitsV2 = RequestLimitsV2 {
    counts: CountLimits { series: u64::MAX, samples: u64::MAX },
    text_bytes: usize::MAX,
};

/// Limits of exemplar labels: number and bytes. Exemplars over a limit are rejected undecoded.
const EXEMPLAR_LABELS: usize = 512;

/// Series that both decoders must agree on.
#[derive(Debug, PartialEq)]
struct Series {
    labels: Result<Vec<(String, String)>, SymbolRefError>,
    samples: Vec<Sample>,
    exemplars: Vec<Result<Exemplar, ExemplarError>>,
    histograms: Vec<Result<(i64, Stored), String>>,
    metadata: Result<Option<Metadata>, SymbolRefError>,
}

#[derive(Debug, PartialEq)]
struct Sample {
    t: i64,
    start: i64,
    bits: u64,
}

#[derive(Debug, PartialEq)]
struct Metadata {
    kind: i32,
    unit: String,
    help: String,
}

/// Panics if the two decoders differ.
pub(crate) fn check(body: &[u8]) {
    let mut index = RequestIndexV2::default();
    let found = decode_in_place(&mut index, body);
    assert_eq!(found, decode_with_prost(body));
    // The index is reused. Earlier contents must not affect the result.
    assert_eq!(decode_in_place(&mut index, body), found);
    check_limits(&mut index, body, found.as_deref());
}

/// Decodes the request in place; `None` if it is rejected.
fn decode_in_place(index: &mut RequestIndexV2, body: &[u8]) -> Option<Vec<Series>> {
    let request = index.validate(body, NO_LIMITS).ok()?;
    let mut buffer = Vec::new();
    let series = request.series().map(|series| {
        let series = series.with_label_bytes(&mut buffer);
        let values =
            [series.samples().count(), series.histograms().count(), series.exemplars().count()];
        assert_eq!(
            values,
            [series.samples().len(), series.histograms().len(), series.exemplars().len()]
        );
        let labels: Vec<_> =
            series.labels().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        if let Some(packed) = series.label_bytes() {
            let is_canonical =
                !labels.is_empty() && labels.windows(2).all(|pair| pair[0].0 < pair[1].0);
            if is_canonical {
                let built = series.labels().collect::<LabelsBuilder<'_>>().build();
                assert_eq!(built.as_ref().map(|labels| labels.as_bytes()), Ok(packed));
            }
        }
        Series {
            labels: series.label_error().map_or(Ok(labels), Err),
            samples: series
                .samples()
                .map(|point| match point.value {
                    SampleValue::Float(v) => {
                        Sample { t: point.t, start: point.start_timestamp, bits: v.to_bits() }
                    }
                    other => panic!("{other:?} among floats"),
                })
                .collect(),
            exemplars: series
                .exemplars()
                .map(|exemplar| exemplar.map_err(|refused| refused.reason))
                .collect(),
            histograms: series
                .histograms()
                .map(|histogram| match histogram {
                    Ok(point) => Ok((point.start_timestamp, stored(point.t, &point.value))),
                    Err(refused) => Err(refused.reason.to_string()),
                })
                .collect(),
            metadata: series.metadata().map(|found| {
                found.map(|found| Metadata {
                    kind: found.metric_type as i32,
                    unit: found.unit.to_owned(),
                    help: found.help.to_owned(),
                })
            }),
        }
    });
    Some(series.collect())
}

/// Decodes the request with prost; `None` if it is rejected.
fn decode_with_prost(body: &[u8]) -> Option<Vec<Series>> {
    let Request { symbols, timeseries } = Request::decode(body).ok()?;
    let sample = |sample: messages::Sample| Sample {
        t: sample.timestamp,
        start: sample.start_timestamp,
        bits: sample.bits,
    };
    let series = timeseries.into_iter().map(|series| Series {
        labels: pairs(&symbols, &series.labels_refs),
        samples: series.samples.into_iter().map(sample).collect(),
        exemplars: series.exemplars.iter().map(|message| exemplar(&symbols, message)).collect(),
        histograms: series
            .histograms
            .into_iter()
            .map(|message| {
                let start = message.start_timestamp;
                histogram(message.into_v1()).map(|stored| (start, stored))
            })
            .collect(),
        metadata: series.metadata.map_or(Ok(None), |message| metadata(&symbols, &message)),
    });
    Some(series.collect())
}

fn text(symbols: &[String], reference: u32) -> Result<String, SymbolRefError> {
    let outside = SymbolRefError::Outside { reference, symbols: symbols.len() };
    symbols.get(reference as usize).cloned().ok_or(outside)
}

fn pairs(symbols: &[String], refs: &[u32]) -> Result<Vec<(String, String)>, SymbolRefError> {
    if refs.len() % 2 == 1 {
        return Err(SymbolRefError::Odd(refs.len()));
    }
    refs.chunks(2).map(|pair| Ok((text(symbols, pair[0])?, text(symbols, pair[1])?))).collect()
}

fn exemplar(symbols: &[String], message: &messages::Exemplar) -> Result<Exemplar, ExemplarError> {
    let mut pairs = Vec::new();
    let mut bytes = 0;
    for pair in message.labels_refs.chunks(2) {
        let [name, value] = pair else {
            return Err(SymbolRefError::Odd(2 * pairs.len() + 1).into());
        };
        let (name, value) = (text(symbols, *name)?, text(symbols, *value)?);
        bytes += if value.is_empty() { 0 } else { name.len() + value.len() };
        pairs.push((name, value));
        if pairs.len() > EXEMPLAR_LABELS || bytes > EXEMPLAR_LABELS {
            return Err(ExemplarError::TooLong);
        }
    }
    let texts = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let labels = match texts.collect::<LabelsBuilder<'_>>().build() {
        Ok(labels) => Some(labels),
        Err(BuildLabelsError::Empty) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Exemplar { t: message.timestamp, v: message.value, labels })
}

fn metadata(
    symbols: &[String],
    message: &messages::Metadata,
) -> Result<Option<Metadata>, SymbolRefError> {
    let (unit, help) = (text(symbols, message.unit_ref)?, text(symbols, message.help_ref)?);
    let kind = if (1..=7).contains(&message.kind) { message.kind } else { 0 };
    let says_nothing = kind == 0 && unit.is_empty() && help.is_empty();
    Ok(if says_nothing { None } else { Some(Metadata { kind, unit, help }) })
}

/// Checks that a request at its limits is accepted, and rejected with any lower limit.
fn check_limits(index: &mut RequestIndexV2, body: &[u8], content: Option<&[Series]>) {
    let Some(found) = content else { return };
    let values =
        |series: &Series| series.samples.len() + series.exemplars.len() + series.histograms.len();
    let (series, samples) = (found.len() as u64, found.iter().map(values).sum::<usize>() as u64);
    let with =
        |series, samples| RequestLimitsV2 { counts: CountLimits { series, samples }, ..NO_LIMITS };
    match index.validate(body, with(series, samples)) {
        Ok(_) => {}
        Err(DecodeWriteRequestError::TooManySymbols(limit)) => {
            assert_eq!(limit, 4096 + 16 * series)
        }
        Err(error) => panic!("{error}"),
    }
    if let Some(series) = series.checked_sub(1) {
        assert!(index.validate(body, with(series, samples)).is_err());
    }
    if let Some(samples) = samples.checked_sub(1) {
        assert!(index.validate(body, with(series, samples)).is_err());
    }
    // All references are valid, so the resolved size is known here, too.
    let mut bytes = 0;
    for series in found {
        let (Ok(labels), Ok(metadata)) = (&series.labels, &series.metadata) else { return };
        bytes += labels.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        bytes += metadata.as_ref().map_or(0, |found| found.unit.len() + found.help.len());
    }
    let mut validate =
        |text_bytes| index.validate(body, RequestLimitsV2 { text_bytes, ..NO_LIMITS }).map(drop);
    assert_eq!(validate(bytes), Ok(()));
    if let Some(bytes) = bytes.checked_sub(1) {
        assert_eq!(validate(bytes), Err(DecodeWriteRequestError::TooMuchText(bytes)));
    }
}
