//! Comparison with prost: the index accepts the same bytes and decodes the same content.
//!
//! Series are compared with the 1.0 decoder, which is compared with prost in its own tests.

use crate::remote::pb::prometheus as pb;
use crate::remote::pb::prometheus_copy::TimeSeries;
use crate::remote::pb::thanos::{TimeSeriesTenantTuple, WriteRequest};
use crate::remote::write::limits::CountLimits;
use crate::remote::write::thanos::request_index::{
    DecodeThanosRequestError, TenantLimits, ThanosRequestIndex,
};
use crate::remote::write::v1::request_index::RequestIndexV1;
use crate::remote::write::v1::request_index::tests::{field, framed, mutation, series, text};
use crate::remote::write::v1::series::SeriesV1;
use proptest::prelude::{ProptestConfig, Strategy, any, prop, prop_assert_eq, proptest};
use prost::Message;

const NO_COUNT_LIMITS: CountLimits = CountLimits { series: u64::MAX, samples: u64::MAX };
const NO_LIMITS: TenantLimits = TenantLimits { counts: NO_COUNT_LIMITS, tenant_bytes: usize::MAX };

/// Series with their tenants, sorted, because prost loses the order of the two fields.
type Content = Vec<String>;

fn borrowed(body: &[u8]) -> Option<Content> {
    let mut index = ThanosRequestIndex::default();
    let request = index.validate(body, NO_LIMITS).ok()?;
    let mut content: Content =
        request.series().map(|owned| describe(owned.tenant, owned.series)).collect();
    let exemplars = request.series().any(|owned| owned.series.exemplars().len() > 0);
    assert_eq!(request.has_exemplars(), exemplars);
    content.sort();
    Some(content)
}

fn by_prost(body: &[u8]) -> Option<Content> {
    let request = WriteRequest::decode(body).ok()?;
    let own = TimeSeriesTenantTuple { timeseries: request.timeseries, tenant: request.tenant };
    let tuples = std::iter::once(own).chain(request.timeseries_tenant_data);
    let mut content: Content = tuples
        .flat_map(|tuple| {
            tuple
                .timeseries
                .into_iter()
                .map(move |series| described_by_prost(&tuple.tenant, &series))
        })
        .collect();
    content.sort();
    Some(content)
}

fn described_by_prost(tenant: &str, series: &TimeSeries) -> String {
    let body = framed(1, &series.encode_to_vec());
    let mut index = RequestIndexV1::default();
    let request = index.validate(&body, NO_COUNT_LIMITS).unwrap();
    describe(tenant, request.series().next().unwrap())
}

/// Describes a series completely; prost drops the sign of a zero.
fn describe(tenant: &str, series: SeriesV1<'_>) -> String {
    let labels: Vec<_> = series.labels().collect();
    let samples: Vec<_> =
        series.samples().map(|sample| (sample.t, sample.v.to_bits() & !(1 << 63))).collect();
    let exemplars: Vec<_> = series.exemplars().collect();
    let histograms: Vec<_> = series.histograms().collect();
    format!("{tenant:?} {labels:?} {samples:?} {exemplars:?} {histograms:?}").replace("-0.0", "0.0")
}

fn copied(series: pb::TimeSeries) -> TimeSeries {
    TimeSeries::decode(&*series.encode_to_vec()).unwrap()
}

fn request() -> impl Strategy<Value = WriteRequest> {
    let list = || prop::collection::vec(series().prop_map(copied), 0..3);
    let tuple = (list(), text())
        .prop_map(|(timeseries, tenant)| TimeSeriesTenantTuple { timeseries, tenant });
    (list(), text(), any::<i64>(), prop::collection::vec(tuple, 0..4)).prop_map(
        |(timeseries, tenant, replica, timeseries_tenant_data)| WriteRequest {
            timeseries,
            tenant,
            replica,
            timeseries_tenant_data,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

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
        let tuple = framed(1, &series);
        let twice = framed(4, &[&tuple[..], &tuple].concat());
        for body in [series.clone(), tuple.clone(), framed(4, &series), twice] {
            prop_assert_eq!(borrowed(&body), by_prost(&body), "{:02x?}", body);
        }
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
    for depth in 94..105 {
        // Unknown group 15 at this depth: in the request, in a tuple, in a series of each kind, and
        // inside a series.
        let group = [vec![0x7b; depth], vec![0x7c; depth]].concat();
        let mut bodies = vec![group.clone(), framed(4, &group)];
        for inner in [
            group.clone(),
            framed(1, &group),
            framed(2, &group),
            framed(3, &group),
            framed(4, &group),
        ] {
            let series = framed(1, &inner);
            bodies.extend([framed(4, &series), series]);
        }
        for body in bodies {
            assert_eq!(borrowed(&body), by_prost(&body), "depth {depth} {:02x?}", &body[..8]);
        }
    }
}

#[test]
fn plain_tenant_may_follow_its_series_and_last_wins() {
    let up = framed(1, &framed(1, &[framed(1, b"__name__"), framed(2, b"up")].concat()));
    let tuple = framed(4, &[framed(2, b"first"), up.clone(), framed(2, b"b")].concat());
    let body = [framed(2, b"first"), up.clone(), tuple, up, framed(2, b"a")].concat();
    let mut index = ThanosRequestIndex::default();
    for _ in 0..2 {
        let request = index.validate(&body, NO_LIMITS).unwrap();
        assert_eq!(request.series().map(|owned| owned.tenant).collect::<Vec<_>>(), ["a", "b", "a"]);
    }
    assert_eq!(index.validate(&[], NO_LIMITS).unwrap().series().count(), 0);
}

#[test]
fn limits_cover_all_tenants_together() {
    let one = framed(1, &framed(2, &[]));
    let tuple = framed(4, &[&one[..], &framed(2, b"abcd"), &one].concat());
    let body = [one, tuple, framed(2, b"xy")].concat();
    let limits = |series, samples, tenant_bytes| TenantLimits {
        counts: CountLimits { series, samples },
        tenant_bytes,
    };
    let mut index = ThanosRequestIndex::default();
    let mut validate = |limits| index.validate(&body, limits).map(drop);
    assert_eq!(validate(limits(3, 3, 10)), Ok(()));
    assert_eq!(validate(limits(2, 3, 10)), Err(DecodeThanosRequestError::TooManySeries(2)));
    assert_eq!(validate(limits(3, 2, 10)), Err(DecodeThanosRequestError::TooManySamples(2)));
    assert_eq!(validate(limits(3, 3, 9)), Err(DecodeThanosRequestError::TenantNamesTooLarge(9)));
}
