//! Write requests of a Thanos router: the in-place decoder accepts and rejects exactly what prost
//! does, with the same contents.
//!
//! Series are compared with the decoder of remote write 1.0, which `write_request` compares with
//! prost.

use super::messages::TimeSeries;
use narthex::remote::write::limits::CountLimits;
use narthex::remote::write::thanos::request_index::{TenantLimits, ThanosRequestIndex};
use narthex::remote::write::v1::request_index::RequestIndexV1;
use narthex::remote::write::v1::series::SeriesV1;
use prost::Message;

const NO_COUNT_LIMITS: CountLimits = CountLimits { series: u64::MAX, samples: u64::MAX };
const NO_LIMITS: TenantLimits = TenantLimits { counts: NO_COUNT_LIMITS, tenant_bytes: usize::MAX };

/// Message `thanos.WriteRequest`, declared by hand.
#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
    #[prost(string, tag = "2")]
    tenant: String,
    #[prost(int64, tag = "3")]
    replica: i64,
    #[prost(message, repeated, tag = "4")]
    tuples: Vec<Tuple>,
}

/// Message `thanos.TimeSeriesTenantTuple`, declared by hand.
#[derive(Clone, PartialEq, Message)]
struct Tuple {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
    #[prost(string, tag = "2")]
    tenant: String,
}

/// Debug output of a series. The sign of zero is removed, because prost does not encode it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Described(String);

/// Contents of a request, sorted, because prost loses the order of the two fields.
#[derive(Debug, PartialEq)]
struct Content {
    series: Vec<Described>,
    values: u64,
    tenant_bytes: usize,
}

/// Panics if the two decoders differ.
pub(crate) fn check(body: &[u8]) {
    let mut index = ThanosRequestIndex::default();
    let found = decode_in_place(&mut index, body);
    assert_eq!(found, decode_with_prost(body));
    // The index is reused. Earlier contents must not affect the result.
    assert_eq!(decode_in_place(&mut index, body), found);
    if let Some(content) = found {
        check_limits(&mut index, body, &content);
    }
}

fn decode_in_place(index: &mut ThanosRequestIndex, body: &[u8]) -> Option<Content> {
    let request = index.validate(body, NO_LIMITS).ok()?;
    let series = request.series().map(|owned| describe(owned.tenant, owned.series));
    let values = request.series().map(|owned| values(owned.series)).sum();
    let tenant_bytes = request.series().map(|owned| owned.tenant.len()).sum();
    Some(sorted(Content { series: series.collect(), values, tenant_bytes }))
}

fn decode_with_prost(body: &[u8]) -> Option<Content> {
    let request = WriteRequest::decode(body).ok()?;
    let own = Tuple { timeseries: request.timeseries, tenant: request.tenant };
    let mut content = Content { series: Vec::new(), values: 0, tenant_bytes: 0 };
    for tuple in std::iter::once(own).chain(request.tuples) {
        for series in &tuple.timeseries {
            let alone = super::messages::WriteRequest {
                timeseries: vec![series.clone()],
                metadata: Vec::new(),
            };
            let alone = alone.encode_to_vec();
            let mut index = RequestIndexV1::default();
            let alone = index
                .validate(&alone, NO_COUNT_LIMITS)
                .expect("request encoded by prost must be valid");
            let series = alone.series().next().expect("request must have a series");
            content.values += values(series);
            content.tenant_bytes += tuple.tenant.len();
            content.series.push(describe(&tuple.tenant, series));
        }
    }
    Some(sorted(content))
}

fn sorted(mut content: Content) -> Content {
    content.series.sort();
    content
}

fn values(series: SeriesV1<'_>) -> u64 {
    (series.samples().len() + series.exemplars().len() + series.histograms().len()) as u64
}

fn describe(tenant: &str, series: SeriesV1<'_>) -> Described {
    let labels: Vec<_> = series.labels().collect();
    let samples: Vec<_> =
        series.samples().map(|sample| (sample.t, sample.v.to_bits() & !(1 << 63))).collect();
    let exemplars: Vec<_> = series.exemplars().collect();
    let histograms: Vec<_> = series.histograms().collect();
    let text = format!("{tenant:?} {labels:?} {samples:?} {exemplars:?} {histograms:?}");
    Described(text.replace("-0.0", "0.0"))
}

/// Checks that a request at its limits is accepted, and rejected with any lower limit.
fn check_limits(index: &mut ThanosRequestIndex, body: &[u8], content: &Content) {
    let (series, samples, tenant_bytes) =
        (content.series.len() as u64, content.values, content.tenant_bytes);
    let mut judge = |series, samples, tenant_bytes| {
        index
            .validate(body, TenantLimits { counts: CountLimits { series, samples }, tenant_bytes })
            .is_ok()
    };
    assert!(judge(series, samples, tenant_bytes));
    assert!(series.checked_sub(1).is_none_or(|series| !judge(series, samples, tenant_bytes)));
    assert!(samples.checked_sub(1).is_none_or(|samples| !judge(series, samples, tenant_bytes)));
    assert!(tenant_bytes.checked_sub(1).is_none_or(|tenant_bytes| !judge(
        series,
        samples,
        tenant_bytes
    )));
}
