//! `thanos.Store`: series and labels for a Thanos Query.

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::remote::pb::thanos as pb;
use crate::remote::read_request::{ReadError, Stop};
use crate::remote::thanos::selection::{Selected, bounded};
use crate::remote::thanos::series_message::SeriesMessage;
use crate::remote::thanos::store::{SeriesError, SeriesSink, answer_series};
use crate::server::context::{Context, SharedContext};
use crate::server::grpc;
use crate::server::grpc::pieces_out;
use crate::server::grpc::pieces_out::MessagesOut;
use crate::server::grpc::thanos_read;
use crate::server::grpc::thanos_read::{Asked, status};
use crate::server::refused::Refused;
use crate::tsdb::query::labels::{LabelError, LabelLimit};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use tonic::{Code, Status};

/// The service's name, for health and reflection.
pub(crate) const SERVICE: &str = "thanos.Store";
/// The paths of its methods.
pub(crate) const SERIES: &str = "/thanos.Store/Series";
pub(crate) const LABEL_NAMES: &str = "/thanos.Store/LabelNames";
pub(crate) const LABEL_VALUES: &str = "/thanos.Store/LabelValues";

/// Bytes that an answer of names or values may have in memory.
const LABELS_BYTES: usize = 32 << 20;

/// Answers `Series`.
pub(crate) async fn series(State(context): State<SharedContext>, request: Request) -> Response {
    stream_series(context, request.into_body()).await.unwrap_or_else(grpc::refuse)
}

/// Answers `LabelNames`.
pub(crate) async fn label_names(State(context): State<SharedContext>, request: Request) -> Response {
    list(context, request.into_body(), names_of).await.unwrap_or_else(grpc::refuse)
}

/// Answers `LabelValues`.
pub(crate) async fn label_values(State(context): State<SharedContext>, request: Request) -> Response {
    list(context, request.into_body(), values_of).await.unwrap_or_else(grpc::refuse)
}

async fn stream_series(context: SharedContext, body: Body) -> Result<Response, Status> {
    let Asked { request, turn } = Asked::<pb::SeriesRequest>::of(&context, body).await?;
    let shared = context.clone();
    pieces_out::answer(&context, move |out| {
        let _held = turn;
        answer_series(&shared.read_source(), &request, out).map_err(|error| match error {
            SeriesError::Read(error) => status(error),
            SeriesError::NoMatchers => Status::new(Code::InvalidArgument, error.to_string()),
        })
    })
    .await
}

impl SeriesSink for MessagesOut<'_> {
    fn check(&mut self) -> Result<(), Stop> {
        MessagesOut::check(self)
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), Stop> {
        MessagesOut::reserve(self, bytes)
    }

    fn message(&mut self, message: &SeriesMessage<'_>) -> Result<(), Stop> {
        self.push(message.encoded_len(), |buffer| message.encode(buffer))
    }
}

/// Makes an answer of one message on a blocking thread.
async fn list<Q, A>(
    context: SharedContext,
    body: Body,
    make: fn(&Context, &Q) -> Result<A, Status>,
) -> Result<Response, Status>
where
    Q: prost::Message + Default + 'static,
    A: prost::Message + 'static,
{
    let request: Q = thanos_read::request(&context, body).await?;
    let permit = context.list_gate.enter().await.map_err(|error| Refused::from(error).into_grpc())?;
    let making = tokio::task::spawn_blocking(move || {
        let _held = permit;
        let mut memory = context.answer_limits.budget.reserve();
        memory.extend(LABELS_BYTES).map_err(|error| Refused::from(error).into_grpc())?;
        make(&context, &request).map(|answer| thanos_read::only(&answer))
    });
    making.await.unwrap_or_else(|error| {
        tracing::error!(%error, "listing labels for Thanos broke");
        Err(Refused::Fault("listing labels broke".to_owned()).into_grpc())
    })
}

fn names_of(context: &Context, request: &pb::LabelNamesRequest) -> Result<pb::LabelNamesResponse, Status> {
    bounded(&request.without_replica_labels, "labels to leave out").map_err(status)?;
    let external = context.external_labels();
    let Selected::Matching(matchers) = Selected::of(&request.matchers, &external).map_err(status)? else {
        return Ok(pb::LabelNamesResponse::default());
    };
    let range = TimeRange::new(request.start, request.end);
    let found = context.db.querier().label_names(&matchers, range, limit(request.limit)).map_err(label_status)?;
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

fn values_of(context: &Context, request: &pb::LabelValuesRequest) -> Result<pb::LabelValuesResponse, Status> {
    bounded(&request.without_replica_labels, "labels to leave out").map_err(status)?;
    if request.label.is_empty() {
        return Err(Status::new(Code::InvalidArgument, "label name parameter cannot be empty"));
    }
    let nothing = Ok(pb::LabelValuesResponse::default());
    if request.without_replica_labels.contains(&request.label) {
        return nothing;
    }
    let external = context.external_labels();
    let Selected::Matching(matchers) = Selected::of(&request.matchers, &external).map_err(status)? else {
        return nothing;
    };
    let range = TimeRange::new(request.start, request.end);
    let external = external.labels().and_then(|labels| labels.get(&request.label)).map(str::to_owned);
    let values = match external {
        Some(value) if matchers.is_empty() || has_series(context, &matchers, range)? => vec![value],
        Some(_) => Vec::new(),
        None => {
            let found = context.db.querier().label_values(&request.label, &matchers, range, limit(request.limit));
            found.map_err(label_status)?
        }
    };
    Ok(pb::LabelValuesResponse { values, ..Default::default() })
}

fn has_series(context: &Context, matchers: &[Matcher], range: TimeRange) -> Result<bool, Status> {
    let query = |error| status(ReadError::Query(error));
    let first = context.db.querier().select(matchers, range).map_err(query)?.next();
    first.transpose().map(|first| first.is_some()).map_err(query)
}

fn limit(wire: i64) -> LabelLimit {
    let count = usize::try_from(wire).ok().filter(|count| *count > 0).unwrap_or(usize::MAX);
    LabelLimit { count, bytes: LABELS_BYTES }
}

fn label_status(error: LabelError) -> Status {
    match error {
        LabelError::Query(error) => status(ReadError::Query(error)),
        LabelError::TooLarge(_) => Status::new(Code::ResourceExhausted, error.to_string()),
        LabelError::Busy => Refused::Unavailable(error.to_string()).into_grpc(),
    }
}
