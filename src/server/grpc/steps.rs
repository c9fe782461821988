//! A body that is made step by step: each step is a future that gives the next frame and the state for the step after it.

use bytes::Bytes;
use http_body::{Body, Frame};
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Why there is no next frame.
pub(crate) type Broken = Box<dyn Error + Send + Sync>;

/// What a step gives; without a frame the body ends, and so it does behind an error.
pub(crate) struct Step<S> {
    pub(crate) state: S,
    pub(crate) frame: Option<Result<Frame<Bytes>, Broken>>,
}

/// The future of a step.
pub(crate) type Running<S> = Pin<Box<dyn Future<Output = Step<S>> + Send>>;

/// The body.
pub(crate) struct Steps<S> {
    next: fn(S) -> Running<S>,
    /// `None` at the end.
    running: Option<Running<S>>,
}

impl<S> Steps<S> {
    pub(crate) fn new(state: S, next: fn(S) -> Running<S>) -> Self {
        Self { next, running: Some(next(state)) }
    }
}

impl<S> Body for Steps<S> {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
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
