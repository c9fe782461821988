//! `thanos.Store`: series and labels for a Thanos Query.

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::remote::pb::thanos as pb;
use crate::remote::read::read_request::{ReadAbort, RemoteReadError};
use crate::remote::thanos::selection::{SeriesSelection, check_list_len};
use crate::remote::thanos::series_message::SeriesMessage;
use crate::remote::thanos::store::{SeriesSink, StoreSeriesError, read_series};
use crate::server::contract::grpc;
use crate::server::grpc::message_writer;
use crate::server::grpc::message_writer::MessageWriter;
use crate::server::grpc::thanos_read;
use crate::server::grpc::thanos_read::AdmittedThanosRead;
use crate::server::requests::list_state::ListState;
use crate::server::requests::read_state::ReadState;
use crate::server::transport::blocking::run_blocking;
use crate::server::transport::framing;
use crate::tsdb::db::LabelQueryLimits;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use std::sync::Arc;
use tonic::Status;

/// Name of the service, for health and reflection.
pub(crate) const SERVICE: &str = "thanos.Store";
/// Paths of the methods.
pub(crate) const SERIES: &str = "/thanos.Store/Series";
pub(crate) const LABEL_NAMES: &str = "/thanos.Store/LabelNames";
pub(crate) const LABEL_VALUES: &str = "/thanos.Store/LabelValues";

/// Memory limit of a response with label names or values, bytes.
const LABELS_BYTES: usize = 32 << 20;

pub(crate) async fn series(State(reads): State<Arc<ReadState>>, request: Request) -> Response {
    stream_series(reads, request.into_body()).await.unwrap_or_else(grpc::error_response)
}

pub(crate) async fn label_names(State(lists): State<Arc<ListState>>, request: Request) -> Response {
    respond_labels(&lists, request.into_body(), label_names_response)
        .await
        .unwrap_or_else(grpc::error_response)
}

pub(crate) async fn label_values(
    State(lists): State<Arc<ListState>>,
    request: Request,
) -> Response {
    respond_labels(&lists, request.into_body(), label_values_response)
        .await
        .unwrap_or_else(grpc::error_response)
}

async fn stream_series(reads: Arc<ReadState>, body: Body) -> Result<Response, Status> {
    let AdmittedThanosRead { request, permit } =
        AdmittedThanosRead::<pb::SeriesRequest>::admit(&reads, body).await?;
    let responses = reads.responses.clone();
    message_writer::respond(&responses, move |out| {
        let _held = permit;
        let source = reads.source()?;
        read_series(&source, &request, out).map_err(|error| match error {
            StoreSeriesError::Read(error) => grpc::read_status(error),
            StoreSeriesError::NoMatchers => grpc::invalid_query(error.to_string()),
        })
    })
    .await
}

impl SeriesSink for MessageWriter<'_, '_> {
    fn check(&mut self) -> Result<(), ReadAbort> {
        MessageWriter::check(self)
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), ReadAbort> {
        MessageWriter::reserve(self, bytes)
    }

    fn message(&mut self, message: &SeriesMessage<'_>) -> Result<(), ReadAbort> {
        self.push(message.encoded_len(), |buffer| message.encode(buffer))
    }
}

/// Waits for a permit and builds a response of one message on a blocking thread.
async fn respond_labels<Q, A>(
    lists: &Arc<ListState>,
    body: Body,
    make: fn(&ListState, &Q) -> Result<A, Status>,
) -> Result<Response, Status>
where
    Q: prost::Message + Default + 'static,
    A: prost::Message + 'static,
{
    let request: Q = thanos_read::request(&lists.lifecycle, &lists.db, &lists.bodies, body).await?;
    let shared = lists.clone();
    let response = run_blocking(&lists.gate, "listing labels", move |_| {
        let mut memory = shared.responses.budget.reserve();
        memory.extend(LABELS_BYTES)?;
        make(&shared, &request)
    });
    Ok(framing::message_response(&response.await??))
}

fn label_names_response(
    lists: &ListState,
    request: &pb::LabelNamesRequest,
) -> Result<pb::LabelNamesResponse, Status> {
    check_list_len(&request.without_replica_labels, "replica labels").map_err(grpc::read_status)?;
    let external = lists.configuration.external_labels();
    let SeriesSelection::Matching(matchers) =
        SeriesSelection::from_wire(&request.matchers, &external).map_err(grpc::read_status)?
    else {
        return Ok(pb::LabelNamesResponse::default());
    };
    let range = TimeRange::new(request.start, request.end);
    let found = lists
        .db
        .ready()?
        .querier()
        .label_names(&matchers, range, limit(request.limit))
        .map_err(grpc::label_status)?;
    let mut names = found;
    if !names.is_empty() {
        names.extend(external.iter().map(|(name, _)| name.to_owned()));
        names.retain(|name| !request.without_replica_labels.contains(name));
        names.sort_unstable();
        names.dedup();
        names.truncate(limit(request.limit).count);
    }
    Ok(pb::LabelNamesResponse { names, ..Default::default() })
}

fn label_values_response(
    lists: &ListState,
    request: &pb::LabelValuesRequest,
) -> Result<pb::LabelValuesResponse, Status> {
    check_list_len(&request.without_replica_labels, "replica labels").map_err(grpc::read_status)?;
    if request.label.is_empty() {
        return Err(grpc::invalid_query("label name parameter cannot be empty"));
    }
    let nothing = Ok(pb::LabelValuesResponse::default());
    if request.without_replica_labels.contains(&request.label) {
        return nothing;
    }
    let external = lists.configuration.external_labels();
    let SeriesSelection::Matching(matchers) =
        SeriesSelection::from_wire(&request.matchers, &external).map_err(grpc::read_status)?
    else {
        return nothing;
    };
    let range = TimeRange::new(request.start, request.end);
    let external =
        external.labels().and_then(|labels| labels.get(&request.label)).map(str::to_owned);
    let values = match external {
        Some(value) if matchers.is_empty() || has_series(lists, &matchers, range)? => vec![value],
        Some(_) => Vec::new(),
        None => {
            let found = lists.db.ready()?.querier().label_values(
                &request.label,
                &matchers,
                range,
                limit(request.limit),
            );
            found.map_err(grpc::label_status)?
        }
    };
    Ok(pb::LabelValuesResponse { values, ..Default::default() })
}

fn has_series(lists: &ListState, matchers: &[Matcher], range: TimeRange) -> Result<bool, Status> {
    let query = |error| grpc::read_status(RemoteReadError::Query(error));
    let db = lists.db.ready()?;
    let first = db.querier().select(matchers, range).map_err(query)?.next();
    first.transpose().map(|first| first.is_some()).map_err(query)
}

fn limit(wire: i64) -> LabelQueryLimits {
    let count = usize::try_from(wire).ok().filter(|count| *count > 0).unwrap_or(usize::MAX);
    LabelQueryLimits { count, bytes: LABELS_BYTES }
}
