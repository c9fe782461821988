//! The body of a request whose messages may be compressed, as one whose messages are plain.
//!
//! Message by message: one is read whole, as fast as there is memory for it, inflated within its bound and handed on. While it is here its memory,
//! compressed and inflated, is part of the bytes in flight; who gets it counts it from then on. What is not small is inflated on a blocking
//! thread, so many at once as [`MessageDecompressor`] allows.

use crate::metrics::registry::{Counter, Registry};
use crate::remote::decompress::BodyDecompressor;
use crate::remote::decompress::output::{DecompressBudget, DecompressError, OutOfBudget};
use crate::server::admission::Reservation;
use crate::server::grpc::encoding::GrpcEncoding;
use crate::server::grpc::messages::{
    CompressionFlag, FRAME_HEADER, GrpcMessage, MessageLimits, MessageReader,
};
use crate::server::grpc::unfold_body::{StepFuture, UnfoldBody, UnfoldStep};
use crate::server::request_error::RequestError;
use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use http_body::Frame;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tonic::Status;

/// A message of no more bytes is tried here and now, as long as it inflates to no more than [`INLINE_INFLATED`].
const INLINE_PACKED: usize = 16 << 10;
const INLINE_INFLATED: usize = 64 << 10;
/// Unpackers that are kept, and how large each may be.
const POOLED: usize = 16;
const POOLED_BYTES: usize = 2 << 20;
/// A message is handed on in pieces of that size; what is handed on is counted by who takes it.
const PIECE: usize = 1 << 20;
/// How long a message that found no memory waits before it is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EncodingLabel {
    encoding: &'static str,
}

/// What the bodies of all requests share; by cloning.
#[derive(Clone, Debug)]
pub struct MessageDecompressor {
    pool: Arc<Mutex<Vec<BodyDecompressor>>>,
    at_once: Arc<Semaphore>,
    messages: Family<EncodingLabel, Counter>,
}

impl MessageDecompressor {
    /// Inflates `at_once` messages at once.
    #[must_use]
    pub fn register(registry: &mut Registry, at_once: usize) -> Self {
        Self {
            pool: Arc::default(),
            at_once: Arc::new(Semaphore::new(at_once)),
            messages: registry.family(
                "narthex_grpc_decompressed_messages_total",
                "Compressed messages of gRPC requests, by encoding.",
                Family::default(),
            ),
        }
    }
}

/// A body with plain messages.
pub(crate) fn decompress_body(
    body: Body,
    inflater: MessageDecompressor,
    encoding: GrpcEncoding,
    limits: MessageLimits,
) -> Body {
    let inflating = DecompressBody {
        limits: limits.clone(),
        messages: MessageReader::new(body, limits),
        inflater,
        encoding,
        rest: None,
    };
    Body::new(UnfoldBody::new(inflating, next))
}

/// One body.
struct DecompressBody {
    messages: MessageReader<Body>,
    limits: MessageLimits,
    inflater: MessageDecompressor,
    encoding: GrpcEncoding,
    /// What is not handed on yet of a message whose header is on its way.
    rest: Option<DecompressedMessage>,
}

fn next(mut inflating: DecompressBody) -> StepFuture<DecompressBody> {
    Box::pin(async move {
        let frame = inflating.next().await.map(|bytes| bytes.map(Frame::data)).transpose();
        let frame = frame.map(|frame| frame.map_err(Into::into));
        UnfoldStep { state: inflating, frame }
    })
}

impl DecompressBody {
    /// The next piece: in turn the header and the content of a plain message.
    async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        if let Some(rest) = self.rest.as_mut().filter(|rest| !rest.bytes.is_empty()) {
            let piece = rest.bytes.split_to(rest.bytes.len().min(PIECE));
            rest.reservation.shrink(piece.len());
            return Ok(Some(piece));
        }
        self.rest = None;
        let Some(message) = self.messages.next_any().await? else { return Ok(None) };
        let plain = match message.flag {
            CompressionFlag::Plain => {
                DecompressedMessage { bytes: message.bytes, reservation: message.reservation }
            }
            CompressionFlag::Packed => self.decompress(message).await?,
        };
        let mut header = BytesMut::with_capacity(FRAME_HEADER);
        header.put_u8(0);
        header.put_u32(
            u32::try_from(plain.bytes.len())
                .map_err(|_| Status::resource_exhausted("a message of over 4 GiB"))?,
        );
        self.rest = Some(plain);
        Ok(Some(header.freeze()))
    }

    async fn decompress(&mut self, message: GrpcMessage) -> Result<DecompressedMessage, Status> {
        self.inflater
            .messages
            .get_or_create(&EncodingLabel { encoding: self.encoding.name() })
            .inc();
        let give_up = Instant::now() + self.limits.max_wait;
        loop {
            match self.try_decompress(&message).await {
                Err(DecompressError::OutOfBudget(_)) if Instant::now() < give_up => {
                    tokio::time::sleep(RETRY_INTERVAL).await
                }
                result => return result.map_err(|error| RequestError::from(error).into_grpc()),
            }
        }
    }

    async fn try_decompress(
        &mut self,
        message: &GrpcMessage,
    ) -> Result<DecompressedMessage, DecompressError> {
        let limit = self.limits.size;
        if message.bytes.len() <= INLINE_PACKED {
            match self.work(message).run(limit.min(INLINE_INFLATED)) {
                Err(DecompressError::TooLarge { .. } | DecompressError::Window)
                    if limit > INLINE_INFLATED => {}
                result => return result,
            }
        }
        let work = self.work(message);
        let permit = self.inflater.at_once.clone().acquire_owned().await;
        let running = tokio::task::spawn_blocking(move || {
            let _held = permit;
            work.run(limit)
        });
        running.await.unwrap_or_else(|error| {
            tracing::error!(%error, "unpacking a message failed");
            Err(DecompressError::OutOfBudget(OutOfBudget))
        })
    }

    fn work(&self, message: &GrpcMessage) -> DecompressJob {
        DecompressJob {
            pool: self.inflater.pool.clone(),
            reservation: self.limits.budget.reserve(),
            encoding: self.encoding,
            packed: message.bytes.clone(),
        }
    }
}

/// A plain message and the memory that is reserved for what is not handed on of it.
struct DecompressedMessage {
    bytes: Bytes,
    reservation: Reservation,
}

/// A message to be unpacked.
struct DecompressJob {
    pool: Arc<Mutex<Vec<BodyDecompressor>>>,
    /// For what is unpacked, until that is handed on.
    reservation: Reservation,
    encoding: GrpcEncoding,
    packed: Bytes,
}

impl DecompressJob {
    fn run(mut self, limit: usize) -> Result<DecompressedMessage, DecompressError> {
        let mut unpacker = self.pool.lock().pop().unwrap_or_default();
        let mut grant = |bytes| self.reservation.extend(bytes).map_err(|_| OutOfBudget);
        let unpacked = unpacker.decompress(
            self.encoding.body_compression(),
            &self.packed,
            DecompressBudget { limit, grant: &mut grant },
        );
        let len = unpacked.map(<[u8]>::len);
        match len {
            // What lends itself comes back when it was read.
            Ok(len) => {
                let bytes = Bytes::from_owner(PooledMessage { len, unpacker, pool: self.pool });
                Ok(DecompressedMessage { bytes, reservation: self.reservation })
            }
            Err(error) => {
                return_to_pool(&self.pool, unpacker);
                Err(error)
            }
        }
    }
}

/// An inflated message; its unpacker goes back to the pool with it.
struct PooledMessage {
    len: usize,
    unpacker: BodyDecompressor,
    pool: Arc<Mutex<Vec<BodyDecompressor>>>,
}

impl AsRef<[u8]> for PooledMessage {
    fn as_ref(&self) -> &[u8] {
        self.unpacker.output(self.len)
    }
}

impl Drop for PooledMessage {
    fn drop(&mut self) {
        return_to_pool(&self.pool, std::mem::take(&mut self.unpacker));
    }
}

fn return_to_pool(pool: &Mutex<Vec<BodyDecompressor>>, unpacker: BodyDecompressor) {
    if unpacker.retained_bytes() <= POOLED_BYTES {
        let mut pool = pool.lock();
        if pool.len() < POOLED {
            pool.push(unpacker);
        }
    }
}
