//! `thanos.info.Info`: describes narthex to a Thanos Query as a receiver with data up to now.
//!
//! A Query asks every few seconds and drops stores that do not respond, so this method waits for no
//! read permit. It identifies stores by their label sets: without external labels it cannot tell
//! replicas apart.

use crate::remote::external_labels::ExternalLabels;
use crate::remote::pb::thanos::info as pb;
use crate::remote::pb::thanos::{Label, ZLabelSet};
use crate::server::contract::grpc;
use crate::server::grpc::thanos_read;
use crate::server::requests::read_state::ReadState;
use crate::server::transport::framing;
use axum::extract::{Request, State};
use axum::response::Response;
use std::sync::Arc;
use tonic::Status;

/// Name of the service, for health and reflection.
pub(crate) const SERVICE: &str = "thanos.info.Info";
/// Path of the method.
pub(crate) const INFO: &str = "/thanos.info.Info/Info";

/// Component type, in Thanos's terms.
const COMPONENT: &str = "receive";

pub(crate) async fn info(State(reads): State<Arc<ReadState>>, request: Request) -> Response {
    let request = thanos_read::request::<pb::InfoRequest>(
        &reads.lifecycle,
        &reads.db,
        &reads.bodies,
        request.into_body(),
    )
    .await;
    match request.and_then(|_| info_response(&reads)) {
        Ok(response) => framing::message_response(&response),
        Err(status) => grpc::error_response(status),
    }
}

fn info_response(reads: &ReadState) -> Result<pb::InfoResponse, Status> {
    let labels = label_set(&reads.external_labels());
    let db = reads.db.ready()?;
    // Without samples, any minimum is right only until the first write. A Query sends no request
    // for a range before it, so the least one keeps that write visible until the Query asks again.
    let (min_time, max_time) = (db.min_time().unwrap_or(i64::MIN), i64::MAX);
    let tsdb = pb::TsdbInfo { labels: Some(labels.clone()), min_time, max_time };
    Ok(pb::InfoResponse {
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
    })
}

/// Returns the external labels as a label set of Thanos.
pub(crate) fn label_set(external: &ExternalLabels) -> ZLabelSet {
    let label =
        |(name, value): (&str, &str)| Label { name: name.to_owned(), value: value.to_owned() };
    ZLabelSet { labels: external.iter().map(label).collect() }
}
