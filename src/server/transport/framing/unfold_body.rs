//! Body from a function that computes the next frame and the next state.

use bytes::Bytes;
use http_body::{Body, Frame};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Result of a step. The body ends without a frame or after an error.
pub(crate) struct UnfoldStep<S, E> {
    pub(crate) state: S,
    pub(crate) frame: Option<Result<Frame<Bytes>, E>>,
}

/// Future of a step.
pub(crate) type StepFuture<S, E> = Pin<Box<dyn Future<Output = UnfoldStep<S, E>> + Send>>;

/// Body that runs one step per frame.
pub(crate) struct UnfoldBody<S, E> {
    next: fn(S) -> StepFuture<S, E>,
    /// Running step; `None` at the end.
    running: Option<StepFuture<S, E>>,
}

impl<S, E> UnfoldBody<S, E> {
    pub(crate) fn new(state: S, next: fn(S) -> StepFuture<S, E>) -> Self {
        Self { next, running: Some(next(state)) }
    }
}

impl<S, E> Body for UnfoldBody<S, E> {
    type Data = Bytes;
    type Error = E;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        let Some(running) = &mut self.running else { return Poll::Ready(None) };
        let step = ready!(running.as_mut().poll(cx));
        self.running = match &step.frame {
            Some(Ok(_)) => Some((self.next)(step.state)),
            None | Some(Err(_)) => None,
        };
        Poll::Ready(step.frame)
    }

    fn is_end_stream(&self) -> bool {
        self.running.is_none()
    }
}
