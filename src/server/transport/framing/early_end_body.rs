//! Body that a future can end early, with or without trailers.

use axum::body::Body;
use axum::http::HeaderMap;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

type EndFuture = Pin<Box<dyn Future<Output = Option<HeaderMap>> + Send>>;

/// Body with a future that ends it.
pub(crate) struct EarlyEndBody {
    /// `None` after an early end.
    body: Option<Body>,
    end: EndFuture,
}

impl EarlyEndBody {
    pub(crate) fn new(
        body: Body,
        end: impl Future<Output = Option<HeaderMap>> + Send + 'static,
    ) -> Self {
        Self { body: Some(body), end: Box::pin(end) }
    }
}

impl HttpBody for EarlyEndBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        // Poll the body first: a frame that is ready must not be lost, even at the end.
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        self.end.as_mut().poll(cx).map(|trailers| {
            self.body = None;
            trailers.map(|trailers| Ok(Frame::trailers(trailers)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        // The body may end early, so its lower bound does not hold.
        let mut hint = SizeHint::new();
        if let Some(upper) = self.body.as_ref().map_or(Some(0), |body| body.size_hint().upper()) {
            hint.set_upper(upper);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::EarlyEndBody;
    use crate::testing::channel_body::ChannelBody;
    use axum::body::Body;
    use axum::http::HeaderMap;
    use bytes::Bytes;
    use http_body_util::BodyExt;
    use tokio::sync::{mpsc, oneshot};

    #[tokio::test]
    async fn future_ends_the_body_after_ready_frames() {
        let (sender, receiver) = mpsc::channel::<Result<Bytes, std::io::Error>>(4);
        let (end, ended) = oneshot::channel();
        let mut body =
            EarlyEndBody::new(
                Body::new(ChannelBody::from(receiver)),
                async move { ended.await.ok() },
            );
        sender.send(Ok(Bytes::from_static(b"one"))).await.unwrap();
        let trailers =
            HeaderMap::from_iter([("grpc-status".parse().unwrap(), "4".parse().unwrap())]);
        end.send(trailers.clone()).unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
        assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap(), trailers);
        assert!(body.frame().await.is_none());
    }
}
