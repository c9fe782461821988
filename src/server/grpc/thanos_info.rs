//! `thanos.info.Info`: what narthex is to a Thanos Query: a receiver, whose newest data is always now.
//!
//! A Query asks every few seconds, and leaves out who does not answer; so it is not made to wait for reads. It tells stores apart by their
//! label sets: without external labels there is none, and a Query can't tell replicas apart.

use crate::remote::external_labels::ExternalLabels;
use crate::remote::pb::thanos::info as pb;
use crate::remote::pb::thanos::{Label, ZLabelSet};
use crate::server::grpc;
use crate::server::grpc::thanos_read;
use crate::server::state::{ServerState, SharedState};
use axum::extract::{Request, State};
use axum::response::Response;

/// The service's name, for health and reflection.
pub(crate) const SERVICE: &str = "thanos.info.Info";
/// The path of its method.
pub(crate) const INFO: &str = "/thanos.info.Info/Info";

/// What kind of component it is, in Thanos's words.
const COMPONENT: &str = "receive";

/// Answers `Info`.
pub(crate) async fn info(State(context): State<SharedState>, request: Request) -> Response {
    match thanos_read::request::<pb::InfoRequest>(&context, request.into_body()).await {
        Ok(_) => thanos_read::single_message(&info_response(&context)),
        Err(status) => grpc::error_response(status),
    }
}

fn info_response(context: &ServerState) -> pb::InfoResponse {
    let labels = label_set(&context.external_labels());
    let (min_time, max_time) = (context.db.min_time().unwrap_or(i64::MAX), i64::MAX);
    let tsdb = pb::TsdbInfo { labels: Some(labels.clone()), min_time, max_time };
    pb::InfoResponse {
        label_sets: if labels.labels.is_empty() { Vec::new() } else { vec![labels] },
        component_type: COMPONENT.to_owned(),
        store: Some(pb::StoreInfo {
            min_time,
            max_time,
            supports_sharding: true,
            supports_without_replica_labels: true,
            tsdb_infos: vec![tsdb],
            supports_projections: false,
        }),
        exemplars: Some(pb::ExemplarsInfo { min_time: i64::MIN, max_time }),
        metric_metadata: Some(pb::MetricMetadataInfo {}),
        ..Default::default()
    }
}

/// Labels as a set of Thanos's.
pub(crate) fn label_set(external: &ExternalLabels) -> ZLabelSet {
    let label =
        |(name, value): (&str, &str)| Label { name: name.to_owned(), value: value.to_owned() };
    ZLabelSet { labels: external.iter().map(label).collect() }
}
