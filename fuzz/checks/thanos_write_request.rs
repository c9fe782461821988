//! Any bytes as a message of a Thanos Receive router: the borrowed reader takes and refuses them exactly as prost does, and reads the same.
//!
//! What stands in a series is compared by the reader of remote write 1.0, which `write_request` holds against prost.

use super::messages::TimeSeries;
use narthex::remote::request_index_v1::{CountLimits, RequestIndexV1};
use narthex::remote::series_v1::SeriesV1;
use narthex::remote::thanos::request_index::{TenantLimits, ThanosRequestIndex};
use prost::Message;

const NO_COUNT_LIMITS: CountLimits = CountLimits { series: u64::MAX, samples: u64::MAX };
const NO_LIMITS: TenantLimits = TenantLimits { counts: NO_COUNT_LIMITS, tenant_bytes: usize::MAX };

/// `thanos.WriteRequest`, written by hand.
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

/// `thanos.TimeSeriesTenantTuple`.
#[derive(Clone, PartialEq, Message)]
struct Tuple {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
    #[prost(string, tag = "2")]
    tenant: String,
}

/// A series in words; prost does not send the sign of a zero.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Described(String);

/// What a request has, sorted: prost loses the order of the two fields.
#[derive(Debug, PartialEq)]
struct Content {
    series: Vec<Described>,
    values: u64,
    tenant_bytes: usize,
}

/// Panics where the two differ.
pub(crate) fn check(body: &[u8]) {
    let mut index = ThanosRequestIndex::new();
    let found = borrowed(&mut index, body);
    assert_eq!(found, by_prost(body));
    // The index is used again and again; what it held before must not show.
    assert_eq!(borrowed(&mut index, body), found);
    if let Some(content) = found {
        limits_hold(&mut index, body, &content);
    }
}

fn borrowed(index: &mut ThanosRequestIndex, body: &[u8]) -> Option<Content> {
    index.read(body, NO_LIMITS).ok()?;
    let series = index.series(body).map(|owned| describe(owned.tenant, owned.series));
    let values = index.series(body).map(|owned| values(owned.series)).sum();
    let tenant_bytes = index.series(body).map(|owned| owned.tenant.len()).sum();
    Some(sorted(Content { series: series.collect(), values, tenant_bytes }))
}

fn by_prost(body: &[u8]) -> Option<Content> {
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
            let mut index = RequestIndexV1::new();
            index.read(&alone, NO_COUNT_LIMITS).expect("what prost writes is a request");
            let series = index.series(&alone).next().expect("it has a series");
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

/// A request is taken with limits that it just keeps, and refused with any lower one.
fn limits_hold(index: &mut ThanosRequestIndex, body: &[u8], content: &Content) {
    let (series, samples, tenant_bytes) =
        (content.series.len() as u64, content.values, content.tenant_bytes);
    let mut judge = |series, samples, tenant_bytes| {
        index
            .read(body, TenantLimits { counts: CountLimits { series, samples }, tenant_bytes })
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
