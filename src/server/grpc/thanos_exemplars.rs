//! `thanos.Exemplars` and `thanos.Metadata`: the data of `/api/v1/query_exemplars` and
//! `/api/v1/metadata` for a Thanos Query.

use crate::model::exemplar::Exemplar;
use crate::model::labels::Labels;
use crate::model::metadata::Metadata;
use crate::model::time::TimeRange;
use crate::promql::features::Features;
use crate::promql::selectors;
use crate::remote::pb::thanos as pb;
use crate::remote::pb::thanos::{exemplars_response, metric_metadata_response};
use crate::remote::thanos::selection::{LabelRewrite, SeriesSelection};
use crate::server::contract::grpc;
use crate::server::grpc::message_writer;
use crate::server::grpc::thanos_read::AdmittedThanosRead;
use crate::server::requests::read_state::ReadState;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use std::collections::HashMap;
use std::sync::Arc;
use tonic::Status;

/// Names of the services, for health and reflection.
pub(crate) const EXEMPLARS_SERVICE: &str = "thanos.Exemplars";
pub(crate) const METADATA_SERVICE: &str = "thanos.Metadata";
/// Paths of the methods.
pub(crate) const EXEMPLARS: &str = "/thanos.Exemplars/Exemplars";
pub(crate) const METRIC_METADATA: &str = "/thanos.Metadata/MetricMetadata";

/// Maximum number of metric families per message.
const MAX_FAMILIES_PER_MESSAGE: usize = 1000;

pub(crate) async fn exemplars(State(reads): State<Arc<ReadState>>, request: Request) -> Response {
    stream_exemplars(reads, request.into_body()).await.unwrap_or_else(grpc::error_response)
}

pub(crate) async fn metric_metadata(
    State(reads): State<Arc<ReadState>>,
    request: Request,
) -> Response {
    stream_metadata(reads, request.into_body()).await.unwrap_or_else(grpc::error_response)
}

async fn stream_exemplars(reads: Arc<ReadState>, body: Body) -> Result<Response, Status> {
    let AdmittedThanosRead { request, permit } =
        AdmittedThanosRead::<pb::ExemplarsRequest>::admit(&reads, body).await?;
    let selectors = selectors::of_expression(&request.query, Features::ALL)
        .map_err(|error| grpc::invalid_query(error.to_string()))?;
    let external = reads.external_labels();
    let selected =
        selectors.into_iter().map(|matchers| SeriesSelection::from_matchers(matchers, &external));
    let selected: Vec<_> = selected
        .filter_map(|selected| match selected {
            SeriesSelection::Nothing => None,
            SeriesSelection::Matching(matchers) => Some(matchers),
        })
        .collect();
    let some: Vec<_> = selected.iter().filter(|matchers| !matchers.is_empty()).cloned().collect();
    if some.is_empty() && !selected.is_empty() {
        return Err(grpc::invalid_query("no matchers specified (excluding external labels)"));
    }
    let (responses, rewrite) = (reads.responses.clone(), LabelRewrite::new(&external, &[]));
    message_writer::respond(&responses, move |out| {
        let _held = permit;
        let db = reads.db.ready()?;
        for series in db.querier().exemplars(&some, TimeRange::new(request.start, request.end)) {
            let labels = rewrite.apply(&series.labels);
            let data = pb::ExemplarData {
                series_labels: Some(label_set(labels.as_ref())),
                exemplars: series.exemplars.iter().map(exemplar).collect(),
            };
            let result = Some(exemplars_response::Result::Data(data));
            out.send(&pb::ExemplarsResponse { result }).map_err(grpc::abort_status)?;
        }
        Ok(())
    })
    .await
}

async fn stream_metadata(reads: Arc<ReadState>, body: Body) -> Result<Response, Status> {
    let AdmittedThanosRead { request, permit } =
        AdmittedThanosRead::<pb::MetricMetadataRequest>::admit(&reads, body).await?;
    let responses = reads.responses.clone();
    message_writer::respond(&responses, move |out| {
        let _held = permit;
        let metric = Some(request.metric.as_str()).filter(|metric| !metric.is_empty());
        let db = reads.db.ready()?;
        let all_families = db.metadata(metric);
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let mut families = all_families.into_iter().take(limit).peekable();
        while families.peek().is_some() {
            let metadata: HashMap<_, _> =
                families.by_ref().take(MAX_FAMILIES_PER_MESSAGE).map(metadata_entry).collect();
            let result =
                Some(metric_metadata_response::Result::Metadata(pb::MetricMetadata { metadata }));
            out.send(&pb::MetricMetadataResponse { result }).map_err(grpc::abort_status)?;
        }
        Ok(())
    })
    .await
}

fn exemplar(exemplar: &Exemplar) -> pb::Exemplar {
    pb::Exemplar {
        labels: Some(label_set(exemplar.labels.as_ref())),
        value: exemplar.v,
        ts: exemplar.t,
    }
}

fn metadata_entry(
    (name, values): (String, Vec<Arc<Metadata>>),
) -> (String, pb::MetricMetadataEntry) {
    let metas = values.iter().map(|entry| meta(entry)).collect();
    (name, pb::MetricMetadataEntry { metas })
}

fn meta(entry: &Metadata) -> pb::Meta {
    pb::Meta {
        r#type: entry.metric_type.as_str().to_owned(),
        help: entry.help.clone(),
        unit: entry.unit.clone(),
    }
}

fn label_set(labels: Option<&Labels>) -> pb::ZLabelSet {
    let label =
        |(name, value): (&str, &str)| pb::Label { name: name.to_owned(), value: value.to_owned() };
    pb::ZLabelSet { labels: labels.into_iter().flat_map(Labels::iter).map(label).collect() }
}
