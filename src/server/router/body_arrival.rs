//! Arrival of a request body: its end, its failure, or a handler that reads no further.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;

/// Body that knows whether more of it may arrive.
struct WatchedBody {
    body: Body,
    /// Dropped when the body has arrived. Nothing is sent.
    arriving: Option<oneshot::Sender<Infallible>>,
}

/// Returns the request, and a future that completes when its body has arrived.
pub(super) fn watch(request: Request) -> (Request, impl Future<Output = ()> + Send) {
    let (request, arrival) = if request.body().is_end_stream() {
        (request, None)
    } else {
        let (sender, receiver) = oneshot::channel();
        let watched = |body| Body::new(WatchedBody { body, arriving: Some(sender) });
        (request.map(watched), Some(receiver))
    };
    let arrived = async {
        if let Some(receiver) = arrival {
            // The error is the arrival.
            let _ = receiver.await;
        }
    };
    (request, arrived)
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if !matches!(polled, Some(Ok(_))) || self.body.is_end_stream() {
            self.arriving = None;
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
