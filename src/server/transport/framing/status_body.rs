//! Body of a response that is encoded already: its bytes, then the status as trailers.

use axum::http::HeaderMap;
use bytes::Bytes;
use http_body::{Body, Frame};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tonic::Status;

/// Body of complete messages, followed by a status: OK at the end, or the error of the body.
#[derive(Debug)]
pub(crate) struct StatusBody<B> {
    /// `None` after the status was returned.
    body: Option<B>,
}

impl<B> StatusBody<B> {
    pub(crate) fn new(body: B) -> Self {
        Self { body: Some(body) }
    }
}

impl<B> Body for StatusBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Status>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let status = match ready!(Pin::new(body).poll_frame(cx)) {
            Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
            Some(Err(error)) => error.into(),
            None => Status::ok(""),
        };
        self.body = None;
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::StatusBody;
    use crate::testing::channel_body::ChannelBody;
    use bytes::Bytes;
    use http_body_util::BodyExt;
    use tokio::sync::mpsc;
    use tonic::Status;

    async fn status_after(last: Option<Status>) -> String {
        let (sender, receiver) = mpsc::channel(2);
        sender.send(Ok(Bytes::from_static(b"abc"))).await.unwrap();
        if let Some(error) = last {
            sender.send(Err(error)).await.unwrap();
        }
        drop(sender);
        let collected =
            StatusBody::new(ChannelBody::<Status>::from(receiver)).collect().await.unwrap();
        let trailers = collected.trailers().cloned().unwrap();
        assert_eq!(collected.to_bytes(), "abc");
        trailers["grpc-status"].to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn status_is_ok_unless_the_body_fails() {
        assert_eq!(status_after(None).await, "0");
        assert_eq!(status_after(Some(Status::internal("failed"))).await, "13");
    }
}
