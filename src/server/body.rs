//! Bodies: one that arrives is bounded in size, time and memory; one that leaves is a list of pieces.

use crate::server::admission::{BudgetExhausted, ByteBudget, Reservation};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
#[cfg(test)]
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Sleep;

/// A body that says its length gets that much memory at once, up to this; beyond, memory comes with the bytes.
const EAGER_BYTES: u64 = 1 << 20;

/// Why a body did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is larger than it may be.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// It took too long.
    #[error("the body did not arrive within {0:?}")]
    TooSlow(Duration),
    /// There is no memory for it now.
    #[error(transparent)]
    NoMemory(#[from] BudgetExhausted),
    /// The connection broke.
    #[error("the body broke off: {0}")]
    Broken(Box<dyn std::error::Error + Send + Sync>),
}

/// The bounds of a body.
#[derive(Debug, Clone)]
pub struct BodyLimits {
    /// Bytes.
    pub size: usize,
    /// Time from the head of the request to the last byte.
    pub time: Duration,
    /// Where its memory comes from.
    pub budget: ByteBudget,
}

/// The bounds of an answer.
#[derive(Debug, Clone)]
pub struct ResponseLimits {
    /// Time from the first to the last byte that the client takes.
    pub time: Duration,
    /// Where its memory comes from.
    pub budget: ByteBudget,
}

/// A whole body and the memory that is reserved for it.
#[derive(Debug)]
pub struct BufferedRequest {
    /// The body.
    pub bytes: Bytes,
    /// Its memory.
    pub reservation: Reservation,
}

/// Reads a whole body.
///
/// # Errors
/// [`BodyError`]; a body that says it is too large is refused before any of it is read.
pub async fn collect<B>(body: B, limits: BodyLimits) -> Result<BufferedRequest, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let declared = body.size_hint().lower();
    if declared > limits.size as u64 {
        return Err(BodyError::TooLarge(limits.size));
    }
    let mut body = LimitedBody::new(body, limits);
    let mut bytes = BytesMut::with_capacity(declared.min(EAGER_BYTES) as usize);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            // Once much has come, all that was declared at once: what is not written to costs nothing, and nothing is copied to grow.
            if data.len() > bytes.capacity() - bytes.len() {
                bytes.reserve((declared as usize).saturating_sub(bytes.len()).max(data.len()));
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(BufferedRequest { bytes: bytes.freeze(), reservation: body.reservation })
}

/// A body that fails where it leaves its bounds. Its memory is reserved as it arrives, as long as this lives.
#[derive(Debug)]
pub(crate) struct LimitedBody<B> {
    body: B,
    left: usize,
    size: usize,
    time: Duration,
    timer: Pin<Box<Sleep>>,
    reservation: Reservation,
}

impl<B> LimitedBody<B> {
    pub(crate) fn new(body: B, limits: BodyLimits) -> Self {
        Self {
            body,
            left: limits.size,
            size: limits.size,
            time: limits.time,
            timer: Box::pin(tokio::time::sleep(limits.time)),
            reservation: limits.budget.reserve(),
        }
    }

    fn reserve_frame(&mut self, bytes: usize) -> Result<(), BodyError> {
        self.left = self.left.checked_sub(bytes).ok_or(BodyError::TooLarge(self.size))?;
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
        let taken = frame.data_ref().map_or(Ok(()), |data| self.reserve_frame(data.len()));
        Poll::Ready(Some(taken.map(|()| frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The client did not take an answer in time.
#[derive(Debug, thiserror::Error)]
#[error("the answer was not taken within {0:?}")]
pub(crate) struct ResponseTimeout(Duration);

/// A body that is a list of pieces; its memory is given back when it is sent or given up, or when its time is over.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    /// `None` when the time is over. The lock is held only to take something out.
    unsent: Arc<Mutex<Option<UnsentPieces>>>,
    left: u64,
    time: Duration,
    /// Nobody asks for the next piece while a client reads nothing, so that the time is kept beside.
    timer: JoinHandle<()>,
}

#[derive(Debug)]
struct UnsentPieces {
    pieces: VecDeque<Bytes>,
    _reservation: Reservation,
}

impl ResponseBody {
    /// To be called on a runtime.
    pub(crate) fn new(pieces: Vec<Bytes>, reservation: Reservation, time: Duration) -> Self {
        let left = pieces.iter().map(|piece| piece.len() as u64).sum();
        let unsent = UnsentPieces { pieces: pieces.into(), _reservation: reservation };
        let unsent = Arc::new(Mutex::new(Some(unsent)));
        let timer = tokio::spawn({
            let unsent = unsent.clone();
            async move {
                tokio::time::sleep(time).await;
                drop(unsent.lock().take());
            }
        });
        Self { unsent, left, time, timer }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.timer.abort();
        // The timer's task has its share until it is next run.
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
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece =
            self.unsent.lock().as_mut().map(|unsent| unsent.pieces.pop_front().unwrap_or_default());
        self.left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(Some(piece.map(Frame::data).ok_or(ResponseTimeout(self.time))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A body of what a channel gives, for tests; an error breaks it off.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct ChannelBody<E>(mpsc::Receiver<Result<Bytes, E>>);

#[cfg(test)]
impl<E> From<mpsc::Receiver<Result<Bytes, E>>> for ChannelBody<E> {
    fn from(receiver: mpsc::Receiver<Result<Bytes, E>>) -> Self {
        Self(receiver)
    }
}

#[cfg(test)]
impl<E> Body for ChannelBody<E> {
    type Data = Bytes;
    type Error = E;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        self.0.poll_recv(cx).map(|received| received.map(|piece| piece.map(Frame::data)))
    }
}

#[cfg(test)]
mod tests {
    use super::{BodyError, BodyLimits, ChannelBody, ResponseBody, collect};
    use crate::server::admission::ByteBudget;
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use std::convert::Infallible;
    use std::time::Duration;
    use tokio::sync::mpsc;

    fn limits(size: usize, budget: usize) -> BodyLimits {
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
    async fn a_body_within_its_bounds_arrives_whole() {
        let collected = collect(in_pieces(&["ab", "", "cde"]), limits(5, 5)).await.unwrap();
        assert_eq!(collected.bytes, "abcde");
    }

    #[tokio::test]
    async fn a_body_beyond_its_bounds_is_refused() {
        assert!(matches!(
            collect(Full::from("abc"), limits(2, 9)).await,
            Err(BodyError::TooLarge(2))
        ));
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
    async fn a_body_without_a_length_is_cut_off_at_its_limit() {
        let (sender, receiver) = mpsc::channel::<Result<Bytes, Infallible>>(4);
        for _ in 0..3 {
            sender.send(Ok(Bytes::from_static(b"ab"))).await.unwrap();
        }
        drop(sender);
        assert!(matches!(
            collect(ChannelBody::from(receiver), limits(5, 9)).await,
            Err(BodyError::TooLarge(5))
        ));
    }

    #[tokio::test]
    async fn pieces_leave_in_order_with_their_length() {
        let pieces = in_pieces(&["ab", "cde"]);
        assert_eq!(http_body::Body::size_hint(&pieces).exact(), Some(5));
        assert_eq!(pieces.collect().await.unwrap().to_bytes(), "abcde");
    }

    #[tokio::test]
    async fn an_answer_that_is_not_taken_in_time_gives_its_memory_back_and_breaks_off() {
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
