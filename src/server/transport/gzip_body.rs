//! Compression of response bodies with gzip.
//!
//! | body | compression |
//! |---|---|
//! | under 1 KiB | none |
//! | up to 32 KiB | at once, with a length |
//! | larger, or of unknown length | slice by slice while the client reads, without a length |
//! | the same, without memory | none |
//!
//! # Bounds
//! The state of a compression takes memory of the budget of responses. Slices over 32 KiB are
//! compressed on blocking threads, one per processor at most. The state is dropped after the time
//! of a response, even if nothing polls the body.

use crate::server::transport::admission::Reservation;
use crate::server::transport::blocking::{ClientWatch, run_with_permit};
use crate::server::transport::body::{ResponseLimits, ResponseTimeout};
use crate::server::transport::framing::unfold_body::{StepFuture, UnfoldBody, UnfoldStep};
use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use std::io;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// Minimum size of a body that is compressed, bytes.
const MIN_BODY: u64 = 1 << 10;
/// Maximum size of a body or slice that is compressed inline, bytes.
const INLINE: usize = 32 << 10;
/// Maximum size of a slice, bytes.
const SLICE: usize = 256 << 10;
/// Memory of a compression, bytes: the tables of the encoder, and the output of a slice that does
/// not shrink.
const ENCODER_BYTES: usize = (512 << 10) + SLICE;

/// Compressor of responses. Clones share its limits.
#[derive(Clone, Debug)]
pub struct ResponseCompressor {
    limits: ResponseLimits,
    at_once: Arc<Semaphore>,
}

impl ResponseCompressor {
    /// Creates a compressor that uses at most `threads` blocking threads.
    #[must_use]
    pub fn new(limits: ResponseLimits, threads: usize) -> Self {
        Self { limits, at_once: Arc::new(Semaphore::new(threads)) }
    }

    /// Compresses a response, unless it is small or compressed already.
    pub(crate) async fn compress(&self, response: Response) -> Response {
        let size = response.body().size_hint().exact();
        if response.headers().contains_key(CONTENT_ENCODING)
            || size.is_some_and(|size| size < MIN_BODY)
        {
            return response;
        }
        let (mut head, body) = response.into_parts();
        let body = if size.is_some_and(|size| size <= INLINE as u64) {
            let compressed = match body.collect().await {
                Ok(collected) => compress_at_once(&collected.to_bytes()).map_err(axum::Error::new),
                Err(error) => Err(error),
            };
            match compressed {
                Ok(compressed) => Body::from(compressed),
                Err(error) => {
                    tracing::error!(%error, "cannot compress response");
                    return StatusCode::INTERNAL_SERVER_ERROR.into_response();
                }
            }
        } else {
            let mut reservation = self.limits.budget.reserve();
            if reservation.extend(ENCODER_BYTES).is_err() {
                return Response::from_parts(head, body);
            }
            self.compress_slices(body, reservation)
        };
        head.headers.remove(CONTENT_LENGTH);
        head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        Response::from_parts(head, body)
    }

    fn compress_slices(&self, body: Body, reservation: Reservation) -> Body {
        let state = GzipBody {
            body,
            encoder: Some(encoder(SLICE / 4)),
            rest: Bytes::new(),
            at_once: self.at_once.clone(),
            _reservation: reservation,
        };
        Body::new(ExpiringBody::new(UnfoldBody::new(state, next), self.limits.time))
    }
}

type Encoder = GzEncoder<Vec<u8>>;

fn encoder(capacity: usize) -> Encoder {
    GzEncoder::new(Vec::with_capacity(capacity), Compression::fast())
}

fn compress_at_once(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = encoder(bytes.len() / 4);
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// State of a body that is compressed slice by slice.
struct GzipBody {
    body: Body,
    /// `None` at the end, and while a slice is compressed.
    encoder: Option<Encoder>,
    /// Bytes of the current frame that are not compressed yet.
    rest: Bytes,
    at_once: Arc<Semaphore>,
    _reservation: Reservation,
}

fn next(mut gzip: GzipBody) -> StepFuture<GzipBody, axum::Error> {
    Box::pin(async move {
        let frame = gzip.next().await.map(|bytes| bytes.map(Frame::data)).transpose();
        UnfoldStep { state: gzip, frame }
    })
}

impl GzipBody {
    /// Returns the next compressed bytes, or `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, axum::Error> {
        while let Some(encoder) = self.encoder.take() {
            if self.rest.is_empty() {
                match self.body.frame().await.transpose()? {
                    // Responses of HTTP have no trailers.
                    Some(frame) => self.rest = frame.into_data().unwrap_or_default(),
                    None => return Ok(Some(encoder.finish().map_err(axum::Error::new)?.into())),
                }
            }
            let slice = self.rest.split_to(self.rest.len().min(SLICE));
            let mut encoder = compress_slice(&self.at_once, encoder, slice).await?;
            let compressed = std::mem::take(encoder.get_mut());
            self.encoder = Some(encoder);
            if !compressed.is_empty() {
                return Ok(Some(compressed.into()));
            }
        }
        Ok(None)
    }
}

async fn compress_slice(
    at_once: &Arc<Semaphore>,
    mut encoder: Encoder,
    slice: Bytes,
) -> Result<Encoder, axum::Error> {
    if slice.len() <= INLINE {
        encoder.write_all(&slice).map_err(axum::Error::new)?;
        return Ok(encoder);
    }
    let permit = at_once.clone().acquire_owned().await.map_err(axum::Error::new)?;
    let work = move |_: ClientWatch| encoder.write_all(&slice).map(|()| encoder);
    let written = run_with_permit(permit, "compressing a response", work).await;
    written.map_err(axum::Error::new)?.map_err(axum::Error::new)
}

/// Compression that can expire, and its reader.
struct Expiring {
    /// `None` after the timeout.
    body: Option<UnfoldBody<GzipBody, axum::Error>>,
    /// Waker of the reader. The one that the body holds is dropped with it.
    reader: Option<Waker>,
}

/// Body that is dropped when its time is over, and then fails.
struct ExpiringBody {
    /// The lock is held while the body is polled, which does not block.
    state: Arc<Mutex<Expiring>>,
    time: Duration,
    /// A task, because nothing polls the body while the client does not read.
    timer: JoinHandle<()>,
}

impl ExpiringBody {
    /// Starts the timer. Needs a tokio runtime.
    fn new(body: UnfoldBody<GzipBody, axum::Error>, time: Duration) -> Self {
        let state = Arc::new(Mutex::new(Expiring { body: Some(body), reader: None }));
        let timer = tokio::spawn({
            let state = state.clone();
            async move {
                tokio::time::sleep(time).await;
                let (body, reader) = {
                    let mut state = state.lock();
                    (state.body.take(), state.reader.take())
                };
                drop(body);
                if let Some(reader) = reader {
                    reader.wake();
                }
            }
        });
        Self { state, time, timer }
    }
}

impl Drop for ExpiringBody {
    fn drop(&mut self) {
        self.timer.abort();
        // An aborted task keeps its clone until it is scheduled, so release the memory here.
        let body = self.state.lock().body.take();
        drop(body);
    }
}

impl HttpBody for ExpiringBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut state = self.state.lock();
        let Some(body) = &mut state.body else {
            return Poll::Ready(Some(Err(axum::Error::new(ResponseTimeout(self.time)))));
        };
        let polled = Pin::new(body).poll_frame(cx);
        state.reader = polled.is_pending().then(|| cx.waker().clone());
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::{ENCODER_BYTES, INLINE, ResponseCompressor, SLICE};
    use crate::server::transport::admission::ByteBudget;
    use crate::server::transport::body::ResponseLimits;
    use crate::testing::channel_body::ChannelBody;
    use axum::body::Body;
    use axum::response::{IntoResponse, Response};
    use bytes::Bytes;
    use flate2::read::GzDecoder;
    use http_body::Body as HttpBody;
    use http_body_util::BodyExt;
    use std::convert::Infallible;
    use std::io::Read;
    use std::time::Duration;
    use tokio::sync::mpsc;

    fn compressor(budget: &ByteBudget) -> ResponseCompressor {
        let limits = ResponseLimits { time: Duration::from_secs(60), budget: budget.clone() };
        ResponseCompressor::new(limits, 2)
    }

    /// Returns bytes that compress to about half of their size.
    fn text(len: usize) -> String {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b'a' + (state >> 28) as u8)
        };
        (0..len).map(|_| next()).collect()
    }

    async fn decompressed(response: Response) -> String {
        assert_eq!(response.headers()["content-encoding"], "gzip");
        assert!(!response.headers().contains_key("content-length"));
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let mut text = String::new();
        GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        text
    }

    #[tokio::test]
    async fn bodies_of_every_size_are_complete() {
        let budget = ByteBudget::new(ENCODER_BYTES);
        for len in [1024, INLINE, INLINE + 1, SLICE, SLICE + 1, 5 * SLICE + 7] {
            let plain = text(len);
            let response = compressor(&budget).compress(plain.clone().into_response()).await;
            assert_eq!(response.body().size_hint().exact().is_some(), len <= INLINE, "{len}");
            assert_eq!(decompressed(response).await, plain, "{len}");
        }
        assert!(budget.reserve().extend(ENCODER_BYTES).is_ok(), "the memory was not released");
    }

    #[tokio::test]
    async fn streamed_body_is_compressed_piece_by_piece() {
        let plain = text(3 * INLINE);
        let (sender, receiver) = mpsc::channel::<Result<Bytes, Infallible>>(9);
        for piece in [&plain[..10], "", &plain[10..2 * INLINE], &plain[2 * INLINE..]] {
            sender.send(Ok(Bytes::copy_from_slice(piece.as_bytes()))).await.unwrap();
        }
        drop(sender);
        let response = Response::new(Body::new(ChannelBody::from(receiver)));
        let budget = ByteBudget::new(ENCODER_BYTES);
        assert_eq!(decompressed(compressor(&budget).compress(response).await).await, plain);
    }

    #[tokio::test]
    async fn small_or_compressed_body_stays_as_it_is() {
        let compressor = compressor(&ByteBudget::new(ENCODER_BYTES));
        let small = compressor.compress(text(1023).into_response()).await;
        assert!(!small.headers().contains_key("content-encoding"));
        let encoded = ([("content-encoding", "snappy")], text(5000)).into_response();
        let encoded = compressor.compress(encoded).await;
        assert_eq!(encoded.headers()["content-encoding"], "snappy");
        assert_eq!(encoded.into_body().collect().await.unwrap().to_bytes(), text(5000));
    }

    #[tokio::test]
    async fn body_without_memory_stays_plain() {
        let compressor = compressor(&ByteBudget::new(ENCODER_BYTES - 1));
        let response = compressor.compress(text(INLINE + 1).into_response()).await;
        assert!(!response.headers().contains_key("content-encoding"));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), text(INLINE + 1));
    }

    #[tokio::test]
    async fn error_of_the_body_ends_the_response() {
        let (sender, receiver) = mpsc::channel::<Result<Bytes, std::io::Error>>(2);
        sender.send(Ok(Bytes::from(text(2 * INLINE)))).await.unwrap();
        sender.send(Err(std::io::Error::other("a fault"))).await.unwrap();
        let response = Response::new(Body::new(ChannelBody::from(receiver)));
        let response = compressor(&ByteBudget::new(ENCODER_BYTES)).compress(response).await;
        assert!(response.into_body().collect().await.is_err());
    }

    #[tokio::test]
    async fn reader_that_waits_is_woken_at_the_timeout() {
        let (sender, receiver) = mpsc::channel::<Result<Bytes, Infallible>>(1);
        let budget = ByteBudget::new(ENCODER_BYTES);
        let limits = ResponseLimits { time: Duration::from_millis(50), budget };
        let response = Response::new(Body::new(ChannelBody::from(receiver)));
        let response = ResponseCompressor::new(limits, 1).compress(response).await;
        let reading = tokio::spawn(response.into_body().collect());
        let read = tokio::time::timeout(Duration::from_secs(60), reading).await;
        assert!(read.unwrap().unwrap().is_err());
        drop(sender);
    }

    #[tokio::test]
    async fn unread_response_releases_its_memory_and_fails() {
        let budget = ByteBudget::new(ENCODER_BYTES);
        let limits = ResponseLimits { time: Duration::from_millis(50), budget: budget.clone() };
        let compressor = ResponseCompressor::new(limits, 1);
        let response = compressor.compress(text(INLINE + 1).into_response()).await;
        assert!(budget.reserve().extend(1).is_err());
        while budget.reserve().extend(ENCODER_BYTES).is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(response.into_body().collect().await.is_err());
    }
}
