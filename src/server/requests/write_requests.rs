//! Storage of write requests from HTTP and gRPC: admission, a blocking thread, the outcome.

use crate::config::flags::write::MAX_DECODED_SIZE;
use crate::ingest::outcome::WriteOutcome;
use crate::ingest::rejection_log::RejectionLog;
use crate::ingest::rejection_log::entry::{DataSender, RequestOrigin, RequestRejection};
use crate::remote::body_compression::BodyCompression;
use crate::remote::decompress::output::OutOfBudget;
use crate::remote::write::stream_request::StreamRequest;
use crate::remote::write::{ReceivedRequest, RemoteWriteError, RemoteWriter, WireFormat};
use crate::server::contract::grpc;
use crate::server::contract::request_error::RequestError;
use crate::server::management::lifecycle::Lifecycle;
use crate::server::requests::time_limits::{Progress, TimeLimit};
use crate::server::requests::write_protocol::WriteProtocol;
use crate::server::transport::access::authenticator::AuthenticatedUser;
use crate::server::transport::admission::{ConcurrencyLimiter, Reservation};
use crate::server::transport::blocking::run_with_permit;
use crate::server::transport::body::{BodyError, BodyLimits, SizeLimit};
use crate::server::transport::client_limit::PeerAddress;
use crate::server::transport::framing::messages::MessageError;
use crate::tsdb::db::Db;
use crate::tsdb::db::DbHandle;
use crate::tsdb::db::clock::now_ms;
use crate::tsdb::db::write_unavailable::WriteUnavailable;
use axum::extract::Request;
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// State of writes in all protocols.
#[derive(Debug)]
pub struct WriteState {
    /// Database of all samples.
    pub db: Arc<DbHandle>,
    /// Phase of the server.
    pub lifecycle: Arc<Lifecycle>,
    /// Writer of remote write requests.
    pub writer: RemoteWriter,
    /// Limit of concurrent write requests.
    pub gate: ConcurrencyLimiter,
    /// Time limit of a request of a stream. The router applies it to other requests.
    pub(crate) time_limit: TimeLimit,
    /// Recent rejections.
    pub rejections: Arc<RejectionLog>,
    /// Limits of request bodies. `size` is that of an HTTP body before decompression.
    pub bodies: BodyLimits,
}

impl WriteState {
    /// Returns the maximum size of a request after decompression, and of a message over gRPC.
    pub(crate) fn max_decoded_size(&self) -> SizeLimit {
        SizeLimit::set_by(MAX_DECODED_SIZE, self.writer.limits().decoded_bytes)
    }
}

/// Returns the origin of a request.
pub(crate) fn origin(protocol: WriteProtocol, request: &Request) -> RequestOrigin {
    let address = request.extensions().get::<PeerAddress>();
    let user = request.extensions().get::<AuthenticatedUser>();
    RequestOrigin {
        protocol: protocol.name(),
        sender: address.map_or(DataSender::Unknown, |PeerAddress(ip)| DataSender::Client(*ip)),
        user: user.map(|AuthenticatedUser(name)| name.clone()),
    }
}

/// Records rejected data of a request, and a request that is rejected as a whole.
fn record(
    writes: &WriteState,
    origin: &RequestOrigin,
    result: &Result<WriteOutcome, RequestError>,
) {
    match result {
        Ok(outcome) => writes.rejections.record_outcome(origin, outcome, now_ms()),
        Err(error) => record_error(writes, origin, error),
    }
}

/// Records a request that is rejected as a whole.
pub(crate) fn record_error(writes: &WriteState, origin: &RequestOrigin, error: &RequestError) {
    if let Some((reason, detail)) = error.rejection() {
        writes.rejections.record_request(origin, reason, detail, now_ms());
    }
}

/// Records a body that is too large. Other bodies that cannot be read did not arrive, which is not
/// a rejection.
pub(crate) fn record_unread_body(writes: &WriteState, origin: &RequestOrigin, error: &BodyError) {
    if let BodyError::TooLarge(_) = error {
        let (reason, detail) = (RequestRejection::TooLarge, error.to_string());
        writes.rejections.record_request(origin, reason, &detail, now_ms());
    }
}

/// Records a message that cannot be read.
pub(crate) fn record_unreadable(writes: &WriteState, origin: &RequestOrigin, error: &MessageError) {
    if let Some(reason) = grpc::message_rejection(error) {
        writes.rejections.record_request(origin, reason, &error.to_string(), now_ms());
    }
}

/// Records a message that breaks the rules of its method. `detail` must not contain headers.
pub(crate) fn record_malformed(writes: &WriteState, origin: &RequestOrigin, detail: &str) {
    writes.rejections.record_request(origin, RequestRejection::Malformed, detail, now_ms());
}

/// Write request that was read, and its origin for the record of rejections.
#[derive(Debug)]
pub(crate) struct ReadWrite<'a> {
    pub(crate) origin: &'a RequestOrigin,
    pub(crate) body: Bytes,
    pub(crate) reservation: Reservation,
}

/// Stores a write request and records its rejections.
///
/// # Errors
/// [`RequestError`] if the request failed as a whole. Rejected samples of a successful request are
/// part of the outcome.
pub(crate) async fn store(
    writes: &Arc<WriteState>,
    request: ReadWrite<'_>,
    form: WireFormat,
) -> Result<WriteOutcome, RequestError> {
    let ReadWrite { origin, body, reservation } = request;
    precheck(writes, origin, &body, form.packing)?;
    let permit = writes.gate.acquire().await?;
    let work = recorded(origin, store_fn(body, form));
    store_with_permit(writes, permit, reservation, work).await
}

/// Stores a request of a write stream. It waits for a permit outside the queue: the number of
/// streams is limited, and their senders wait.
///
/// # Errors
/// Same as [`store`], and [`RequestError::Unavailable`] if the request exceeds the time limit. It
/// is then stored without an ack, or not at all.
pub(crate) async fn store_streamed(
    writes: &Arc<WriteState>,
    origin: &RequestOrigin,
    request: StreamRequest,
    reservation: Reservation,
) -> Result<WriteOutcome, RequestError> {
    let form = WireFormat { version: request.version, packing: BodyCompression::Plain };
    precheck(writes, origin, &request.request, form.packing)?;
    let storing = async {
        let permit = writes.gate.acquire_unqueued().await?;
        let work = recorded(origin, store_fn(request.request, form));
        store_with_permit(writes, permit, reservation, work).await
    };
    let stored = tokio::time::timeout(writes.time_limit.time, storing).await;
    stored.unwrap_or_else(|_| {
        Err(RequestError::Unavailable(writes.time_limit.message(Progress::Started)))
    })
}

/// Stores a request that a Thanos Receive router forwards.
///
/// # Errors
/// Same as [`store`].
pub(crate) async fn store_forwarded(
    writes: &Arc<WriteState>,
    request: ReadWrite<'_>,
) -> Result<WriteOutcome, RequestError> {
    let ReadWrite { origin, body, reservation } = request;
    precheck(writes, origin, &body, BodyCompression::Plain)?;
    let permit = writes.gate.acquire().await?;
    let work = recorded(origin, move |writes: &WriteState, _: &mut Reservation| {
        writes.writer.store_thanos(ready(writes)?, &body, now_ms())
    });
    store_with_permit(writes, permit, reservation, work).await
}

/// Checks a body before it waits for a permit, and records its rejection.
fn precheck(
    writes: &WriteState,
    origin: &RequestOrigin,
    body: &[u8],
    packing: BodyCompression,
) -> Result<(), RequestError> {
    let checked = writes.writer.precheck(body, packing).map_err(RequestError::from);
    checked.inspect_err(|error| record_error(writes, origin, error))
}

/// Returns a function that stores a request and records its rejections: also if nobody waits for
/// the outcome any more.
fn recorded<W>(
    origin: &RequestOrigin,
    work: W,
) -> impl FnOnce(&WriteState, &mut Reservation) -> Result<WriteOutcome, RequestError> + Send + use<W>
where
    W: FnOnce(&WriteState, &mut Reservation) -> Result<WriteOutcome, RemoteWriteError> + Send,
{
    let origin = origin.clone();
    move |writes, reservation| {
        let result = work(writes, reservation).map_err(RequestError::from);
        record(writes, &origin, &result);
        result
    }
}

/// Returns the function that stores a remote write request. It adds the decompressed size to the
/// reservation.
fn store_fn(
    body: Bytes,
    form: WireFormat,
) -> impl FnOnce(&WriteState, &mut Reservation) -> Result<WriteOutcome, RemoteWriteError> + Send {
    move |writes, reservation| {
        let mut grant = |bytes| reservation.extend(bytes).map_err(|_| OutOfBudget);
        writes.writer.store_with_budget(
            ready(writes)?,
            ReceivedRequest { body: &body, form, now_ms: now_ms() },
            &mut grant,
        )
    }
}

/// Returns the database for a write.
fn ready(writes: &WriteState) -> Result<&Db, WriteUnavailable> {
    writes.db.ready().map_err(WriteUnavailable::from)
}

/// Stores a request on a blocking thread, which owns the permit and the memory: it finishes even if
/// the client disconnects.
async fn store_with_permit(
    writes: &Arc<WriteState>,
    permit: OwnedSemaphorePermit,
    mut reservation: Reservation,
    work: impl FnOnce(&WriteState, &mut Reservation) -> Result<WriteOutcome, RequestError>
    + Send
    + 'static,
) -> Result<WriteOutcome, RequestError> {
    let shared = writes.clone();
    let stored =
        run_with_permit(permit, "storing the request", move |_| work(&shared, &mut reservation));
    stored.await?
}
