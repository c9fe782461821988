//! Request body whose compressed messages are decompressed.
//!
//! Each message is read completely while memory permits, decompressed within its limit and passed
//! on. Until then its compressed and decompressed bytes are reserved; the receiver reserves what it
//! takes. Larger messages are decompressed on blocking threads, whose number
//! [`MessageDecompressor`] limits.

use crate::metrics::registry::{Counter, Registry};
use crate::remote::decompress::BodyDecompressor;
use crate::remote::decompress::output::{DecompressBudget, DecompressError, OutOfBudget};
use crate::server::transport::admission::Reservation;
use crate::server::transport::blocking::run_with_permit;
use crate::server::transport::body::SizeLimit;
use crate::server::transport::framing::encoding::GrpcEncoding;
use crate::server::transport::framing::messages::{
    CompressionFlag, FRAME_HEADER, GrpcMessage, MessageError, MessageLimits, MessageReader,
};
use crate::server::transport::framing::unfold_body::{StepFuture, UnfoldBody, UnfoldStep};
use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Maximum compressed and decompressed size of a message that is decompressed inline, bytes.
const INLINE_COMPRESSED: usize = 16 << 10;
const INLINE_DECOMPRESSED: usize = 64 << 10;
/// Maximum number of pooled decompressors, and maximum memory of each, bytes.
const POOLED: usize = 16;
const POOLED_BYTES: usize = 2 << 20;
/// Size of the pieces of a message that is passed on, bytes.
const PIECE: usize = 1 << 20;
/// Pause before a message that got no memory is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EncodingLabel {
    encoding: &'static str,
}

/// Decompressor pool that the bodies of all requests share. Clones share it.
#[derive(Clone, Debug)]
pub struct MessageDecompressor {
    pool: Arc<Mutex<Vec<BodyDecompressor>>>,
    at_once: Arc<Semaphore>,
    messages: Family<EncodingLabel, Counter>,
}

impl MessageDecompressor {
    /// Registers the metrics. At most `at_once` messages are decompressed concurrently.
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

/// Error of a message that cannot be read or decompressed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecompressBodyError {
    /// The message cannot be read.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The message cannot be decompressed.
    #[error(transparent)]
    Decompress(#[from] DecompressError),
    /// The decompressed message exceeds the limit.
    #[error("message exceeds {0} after decompression")]
    TooLarge(SizeLimit),
    /// The decompressed message is too long for the length field of a frame.
    #[error("decompressed message exceeds 4 GiB")]
    Oversized,
}

/// Returns the body with plain messages.
pub(crate) fn decompress_body(
    body: Body,
    shared: MessageDecompressor,
    encoding: GrpcEncoding,
    limits: MessageLimits,
) -> impl HttpBody<Data = Bytes, Error = DecompressBodyError> + Send + 'static {
    let decompressing = DecompressBody {
        limits: limits.clone(),
        messages: MessageReader::new(body, limits),
        shared,
        encoding,
        rest: None,
    };
    UnfoldBody::new(decompressing, next)
}

/// State of a body.
struct DecompressBody {
    messages: MessageReader<Body>,
    limits: MessageLimits,
    shared: MessageDecompressor,
    encoding: GrpcEncoding,
    /// Rest of a message whose header was returned.
    rest: Option<DecompressedMessage>,
}

fn next(mut decompressing: DecompressBody) -> StepFuture<DecompressBody, DecompressBodyError> {
    Box::pin(async move {
        let frame = decompressing.next().await.map(|bytes| bytes.map(Frame::data)).transpose();
        UnfoldStep { state: decompressing, frame }
    })
}

impl DecompressBody {
    /// Returns the next piece: the header of a plain message, or a part of its content.
    async fn next(&mut self) -> Result<Option<Bytes>, DecompressBodyError> {
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
            CompressionFlag::Packed => {
                self.decompress(message).await.map_err(|error| match error {
                    DecompressError::TooLarge { .. } => {
                        DecompressBodyError::TooLarge(self.limits.size)
                    }
                    error => error.into(),
                })?
            }
        };
        let mut header = BytesMut::with_capacity(FRAME_HEADER);
        header.put_u8(0);
        header
            .put_u32(u32::try_from(plain.bytes.len()).map_err(|_| DecompressBodyError::Oversized)?);
        self.rest = Some(plain);
        Ok(Some(header.freeze()))
    }

    async fn decompress(
        &mut self,
        message: GrpcMessage,
    ) -> Result<DecompressedMessage, DecompressError> {
        self.shared.messages.get_or_create(&EncodingLabel { encoding: self.encoding.name() }).inc();
        let deadline = Instant::now() + self.limits.max_wait;
        loop {
            match self.try_decompress(&message).await {
                Err(DecompressError::OutOfBudget(_)) if Instant::now() < deadline => {
                    tokio::time::sleep(RETRY_INTERVAL).await
                }
                result => return result,
            }
        }
    }

    async fn try_decompress(
        &mut self,
        message: &GrpcMessage,
    ) -> Result<DecompressedMessage, DecompressError> {
        let limit = self.limits.size.bytes;
        if message.bytes.len() <= INLINE_COMPRESSED {
            match self.work(message).run(limit.min(INLINE_DECOMPRESSED)) {
                Err(DecompressError::TooLarge { .. } | DecompressError::Window)
                    if limit > INLINE_DECOMPRESSED => {}
                result => return result,
            }
        }
        let work = self.work(message);
        let permit = self.shared.at_once.clone().acquire_owned().await;
        let result = run_with_permit(permit, "decompressing a message", move |_| work.run(limit));
        result.await.unwrap_or(Err(DecompressError::OutOfBudget(OutOfBudget)))
    }

    fn work(&self, message: &GrpcMessage) -> DecompressJob {
        DecompressJob {
            pool: self.shared.pool.clone(),
            reservation: self.limits.budget.reserve(),
            encoding: self.encoding,
            compressed: message.bytes.clone(),
        }
    }
}

/// Plain message and the reservation of the bytes that are not passed on yet.
struct DecompressedMessage {
    bytes: Bytes,
    reservation: Reservation,
}

/// Decompression of a message.
struct DecompressJob {
    pool: Arc<Mutex<Vec<BodyDecompressor>>>,
    /// Reservation of the decompressed bytes.
    reservation: Reservation,
    encoding: GrpcEncoding,
    compressed: Bytes,
}

impl DecompressJob {
    fn run(mut self, limit: usize) -> Result<DecompressedMessage, DecompressError> {
        let mut decompressor = self.pool.lock().pop().unwrap_or_default();
        let mut grant = |bytes| self.reservation.extend(bytes).map_err(|_| OutOfBudget);
        let output = decompressor.decompress(
            self.encoding.body_compression(),
            &self.compressed,
            DecompressBudget { limit, grant: &mut grant },
        );
        let len = output.map(<[u8]>::len);
        match len {
            // The buffer owns the decompressor, which returns to the pool when the bytes are
            // dropped.
            Ok(len) => {
                let bytes = Bytes::from_owner(PooledMessage { len, decompressor, pool: self.pool });
                Ok(DecompressedMessage { bytes, reservation: self.reservation })
            }
            Err(error) => {
                return_to_pool(&self.pool, decompressor);
                Err(error)
            }
        }
    }
}

/// Decompressed message that returns its decompressor to the pool when it is dropped.
struct PooledMessage {
    len: usize,
    decompressor: BodyDecompressor,
    pool: Arc<Mutex<Vec<BodyDecompressor>>>,
}

impl AsRef<[u8]> for PooledMessage {
    fn as_ref(&self) -> &[u8] {
        self.decompressor.output(self.len)
    }
}

impl Drop for PooledMessage {
    fn drop(&mut self) {
        return_to_pool(&self.pool, std::mem::take(&mut self.decompressor));
    }
}

fn return_to_pool(pool: &Mutex<Vec<BodyDecompressor>>, decompressor: BodyDecompressor) {
    if decompressor.retained_bytes() <= POOLED_BYTES {
        let mut pool = pool.lock();
        if pool.len() < POOLED {
            pool.push(decompressor);
        }
    }
}
