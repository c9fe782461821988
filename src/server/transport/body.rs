//! Request bodies with limits for size, time and memory, and response bodies made of pieces.

use crate::server::transport::admission::{BudgetExhausted, ByteBudget, Reservation};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Sleep;

/// Maximum memory that is allocated from the declared length alone, bytes. The rest is allocated as
/// bytes arrive.
const EAGER_BYTES: u64 = 1 << 20;

/// Error of reading a request body.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The body exceeds the limit.
    #[error("request body exceeds {0}")]
    TooLarge(SizeLimit),
    /// The body did not arrive within this time.
    #[error("request body did not arrive within {0:?}")]
    TooSlow(Duration),
    /// The byte budget is exhausted.
    #[error(transparent)]
    NoMemory(#[from] BudgetExhausted),
    /// The connection failed.
    #[error("cannot read request body: {0}")]
    Broken(Box<dyn std::error::Error + Send + Sync>),
}

/// Maximum size of a body or message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeLimit {
    /// Number of bytes.
    pub bytes: usize,
    /// Flag that sets the limit; `None` for a fixed limit.
    pub flag: Option<&'static str>,
}

impl SizeLimit {
    /// Returns a limit that no flag sets.
    pub(crate) const fn fixed(bytes: usize) -> Self {
        Self { bytes, flag: None }
    }

    /// Returns a limit that `flag` sets.
    pub(crate) const fn set_by(flag: &'static str, bytes: usize) -> Self {
        Self { bytes, flag: Some(flag) }
    }
}

impl fmt::Display for SizeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes)?;
        self.flag.map_or(Ok(()), |flag| write!(f, " ({flag})"))
    }
}

/// Limits of a request body.
#[derive(Debug, Clone)]
pub struct BodyLimits {
    /// Maximum size.
    pub size: SizeLimit,
    /// Maximum time from the head of the request to the last byte.
    pub time: Duration,
    /// Budget for the memory of the body.
    pub budget: ByteBudget,
}

/// Limits of a response.
#[derive(Debug, Clone)]
pub struct ResponseLimits {
    /// Maximum time for the client to read the response.
    pub time: Duration,
    /// Budget for the memory of responses.
    pub budget: ByteBudget,
}

/// Complete request body and its memory reservation.
#[derive(Debug)]
pub struct BufferedRequest {
    /// Bytes of the body.
    pub bytes: Bytes,
    /// Reservation for `bytes`.
    pub reservation: Reservation,
}

/// Reads a complete body.
///
/// # Errors
/// [`BodyError`]. A body with a declared length over the limit is rejected before it is read.
pub async fn collect<B>(body: B, limits: BodyLimits) -> Result<BufferedRequest, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let declared = body.size_hint().lower();
    if declared > limits.size.bytes as u64 {
        return Err(BodyError::TooLarge(limits.size));
    }
    let mut body = LimitedBody::new(body, limits);
    let mut bytes = BytesMut::with_capacity(declared.min(EAGER_BYTES) as usize);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            // Reserve all declared bytes at once: untouched pages cost nothing, and growing copies.
            if data.len() > bytes.capacity() - bytes.len() {
                bytes.reserve((declared as usize).saturating_sub(bytes.len()).max(data.len()));
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(BufferedRequest { bytes: bytes.freeze(), reservation: body.reservation })
}

/// Body that fails when it exceeds a limit. It reserves its memory as bytes arrive and holds the
/// reservation until it is dropped.
#[derive(Debug)]
pub(crate) struct LimitedBody<B> {
    body: B,
    remaining: usize,
    size: SizeLimit,
    time: Duration,
    timer: Pin<Box<Sleep>>,
    reservation: Reservation,
}

impl<B> LimitedBody<B> {
    pub(crate) fn new(body: B, limits: BodyLimits) -> Self {
        Self {
            body,
            remaining: limits.size.bytes,
            size: limits.size,
            time: limits.time,
            timer: Box::pin(tokio::time::sleep(limits.time)),
            reservation: limits.budget.reserve(),
        }
    }

    fn reserve_frame(&mut self, bytes: usize) -> Result<(), BodyError> {
        self.remaining = self.remaining.checked_sub(bytes).ok_or(BodyError::TooLarge(self.size))?;
        Ok(self.reservation.extend(bytes)?)
    }
}

impl<B> Body for LimitedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(Some(Err(error))) => {
                return Poll::Ready(Some(Err(BodyError::Broken(error.into()))));
            }
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {
                ready!(self.timer.as_mut().poll(cx));
                return Poll::Ready(Some(Err(BodyError::TooSlow(self.time))));
            }
        };
        let reserved = frame.data_ref().map_or(Ok(()), |data| self.reserve_frame(data.len()));
        Poll::Ready(Some(reserved.map(|()| frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Error of a response that the client did not read in time.
#[derive(Debug, thiserror::Error)]
#[error("the client did not read the response within {0:?}")]
pub(crate) struct ResponseTimeout(pub(crate) Duration);

/// Body of pieces. It releases its memory when it is dropped or when its time is over.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    /// `None` after the timeout. The lock is held only to take a piece or all pieces.
    unsent: Arc<Mutex<Option<UnsentPieces>>>,
    remaining: u64,
    time: Duration,
    /// A task, because nothing polls the body while the client does not read.
    timer: JoinHandle<()>,
}

#[derive(Debug)]
struct UnsentPieces {
    pieces: VecDeque<Bytes>,
    _reservation: Reservation,
}

impl ResponseBody {
    /// Starts the timer. Needs a tokio runtime.
    pub(crate) fn new(pieces: Vec<Bytes>, reservation: Reservation, time: Duration) -> Self {
        let remaining = pieces.iter().map(|piece| piece.len() as u64).sum();
        let unsent = UnsentPieces { pieces: pieces.into(), _reservation: reservation };
        let unsent = Arc::new(Mutex::new(Some(unsent)));
        let timer = tokio::spawn({
            let unsent = unsent.clone();
            async move {
                tokio::time::sleep(time).await;
                drop(unsent.lock().take());
            }
        });
        Self { unsent, remaining, time, timer }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.timer.abort();
        // An aborted task keeps its clone until it is scheduled, so release the memory here.
        drop(self.unsent.lock().take());
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ResponseTimeout;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseTimeout>>> {
        if self.remaining == 0 {
            return Poll::Ready(None);
        }
        let piece =
            self.unsent.lock().as_mut().map(|unsent| unsent.pieces.pop_front().unwrap_or_default());
        self.remaining -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(Some(piece.map(Frame::data).ok_or(ResponseTimeout(self.time))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

#[cfg(test)]
mod tests {
    use super::{BodyError, BodyLimits, ResponseBody, SizeLimit, collect};
    use crate::server::transport::admission::ByteBudget;
    use crate::testing::channel_body::ChannelBody;
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use std::convert::Infallible;
    use std::time::Duration;
    use tokio::sync::mpsc;

    fn limits(size: usize, budget: usize) -> BodyLimits {
        let size = SizeLimit::set_by("--max", size);
        BodyLimits { size, time: Duration::from_millis(50), budget: ByteBudget::new(budget) }
    }

    fn in_pieces(pieces: &[&'static str]) -> ResponseBody {
        ResponseBody::new(
            pieces.iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect(),
            ByteBudget::new(0).reserve(),
            Duration::from_secs(60),
        )
    }

    #[tokio::test]
    async fn body_within_its_limits_arrives_complete() {
        let collected = collect(in_pieces(&["ab", "", "cde"]), limits(5, 5)).await.unwrap();
        assert_eq!(collected.bytes, "abcde");
    }

    #[tokio::test]
    async fn body_beyond_a_limit_is_rejected() {
        let error = collect(Full::from("abc"), limits(2, 9)).await.unwrap_err();
        assert_eq!(error.to_string(), "request body exceeds 2 bytes (--max)");
        assert!(matches!(
            collect(in_pieces(&["ab", "c"]), limits(9, 2)).await,
            Err(BodyError::NoMemory(_))
        ));
        // A sender that stays silent.
        let (_sender, silent) = mpsc::channel::<Result<Bytes, Infallible>>(1);
        assert!(matches!(
            collect(ChannelBody::from(silent), limits(9, 9)).await,
            Err(BodyError::TooSlow(_))
        ));
    }

    #[tokio::test]
    async fn body_without_a_length_is_limited() {
        let (sender, receiver) = mpsc::channel::<Result<Bytes, Infallible>>(4);
        for _ in 0..3 {
            sender.send(Ok(Bytes::from_static(b"ab"))).await.unwrap();
        }
        drop(sender);
        assert!(matches!(
            collect(ChannelBody::from(receiver), limits(5, 9)).await,
            Err(BodyError::TooLarge(SizeLimit { bytes: 5, .. }))
        ));
    }

    #[tokio::test]
    async fn pieces_are_sent_in_order_with_their_length() {
        let pieces = in_pieces(&["ab", "cde"]);
        assert_eq!(http_body::Body::size_hint(&pieces).exact(), Some(5));
        assert_eq!(pieces.collect().await.unwrap().to_bytes(), "abcde");
    }

    #[tokio::test]
    async fn unread_response_releases_its_memory_and_fails() {
        let budget = ByteBudget::new(6);
        let mut reservation = budget.reserve();
        reservation.extend(6).unwrap();
        let bytes = vec![Bytes::from_static(b"abc"), Bytes::from_static(b"def")];
        let mut pieces = ResponseBody::new(bytes, reservation, Duration::from_millis(500));
        assert_eq!(pieces.frame().await.unwrap().unwrap().into_data().unwrap(), "abc");
        assert!(budget.reserve().extend(1).is_err());
        while budget.reserve().extend(6).is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(pieces.frame().await.unwrap().is_err());
    }
}
