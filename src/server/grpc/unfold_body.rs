//! Body from a function that computes the next frame and the next state.

use bytes::Bytes;
use http_body::{Body, Frame};
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Error that ends the body.
pub(crate) type StepError = Box<dyn Error + Send + Sync>;

/// Result of a step. The body ends without a frame or after an error.
pub(crate) struct UnfoldStep<S> {
    pub(crate) state: S,
    pub(crate) frame: Option<Result<Frame<Bytes>, StepError>>,
}

/// Future of a step.
pub(crate) type StepFuture<S> = Pin<Box<dyn Future<Output = UnfoldStep<S>> + Send>>;

/// Body that runs one step per frame.
pub(crate) struct UnfoldBody<S> {
    next: fn(S) -> StepFuture<S>,
    /// Running step; `None` at the end.
    running: Option<StepFuture<S>>,
}

impl<S> UnfoldBody<S> {
    pub(crate) fn new(state: S, next: fn(S) -> StepFuture<S>) -> Self {
        Self { next, running: Some(next(state)) }
    }
}

impl<S> Body for UnfoldBody<S> {
    type Data = Bytes;
    type Error = StepError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StepError>>> {
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
