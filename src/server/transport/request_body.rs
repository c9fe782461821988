//! Request body that knows whether the client may still be sending it.
//!
//! A body is *unread* until its end was reached, and after an error. The consequence depends on
//! the protocol:
//!
//! - HTTP/1.1: the connection cannot be used for another request. The response says so, and the
//!   connection lingers.
//! - HTTP/2: the rest is discarded in the background when the body is dropped. Other streams of the
//!   connection continue.

use crate::server::transport::lingering::Lingering;
use crate::server::transport::request_progress::RequestProgress;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Protocol of a request, with the state that tracks or discards its unread body.
#[derive(Debug)]
pub(crate) enum BodyProtocol {
    /// Progress of the connection, which has one request at a time.
    Http1(Arc<RequestProgress>),
    Http2(Arc<Lingering>),
}

/// Body of a request.
#[derive(Debug)]
pub(crate) struct RequestBody<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    /// `None` when nothing is left to read.
    unread: Option<B>,
    protocol: BodyProtocol,
}

impl<B> RequestBody<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    pub(crate) fn new(body: B, protocol: BodyProtocol) -> Self {
        let unread = (!body.is_end_stream()).then_some(body);
        if let BodyProtocol::Http1(progress) = &protocol {
            progress.set_unread_body(unread.is_some());
        }
        Self { unread, protocol }
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Self { unread, protocol } = &mut *self;
        let Some(body) = unread else { return Poll::Ready(None) };
        let polled = ready!(Pin::new(&mut *body).poll_frame(cx));
        match (&polled, protocol) {
            (None, BodyProtocol::Http1(progress)) => {
                progress.set_unread_body(false);
                *unread = None;
            }
            // The last frame of a declared length is the end. A reader may stop there.
            (Some(Ok(_)), BodyProtocol::Http1(progress)) if body.is_end_stream() => {
                progress.set_unread_body(false);
                *unread = None;
            }
            // The client may still be sending.
            (Some(_), BodyProtocol::Http1(_)) | (Some(Ok(_)), BodyProtocol::Http2(_)) => {}
            // An error is the end of the stream.
            (None | Some(Err(_)), BodyProtocol::Http2(_)) => *unread = None,
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.unread.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.unread.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B> Drop for RequestBody<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    fn drop(&mut self) {
        if let BodyProtocol::Http2(lingering) = &self.protocol
            && let Some(body) = self.unread.take()
            && !body.is_end_stream()
        {
            lingering.discard_body(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BodyProtocol, RequestBody};
    use crate::server::transport::lingering::tests::lingering;
    use crate::server::transport::request_progress::RequestProgress;
    use crate::testing::channel_body::ChannelBody;
    use bytes::Bytes;
    use http_body::Body;
    use http_body_util::{BodyExt, Full, Limited};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::sync::mpsc;

    type Sender = mpsc::Sender<Result<Bytes, std::io::Error>>;

    /// Returns a body without a declared length, and its sender.
    fn open_body(protocol: BodyProtocol) -> (Sender, RequestBody<ChannelBody<std::io::Error>>) {
        let (sender, receiver) = mpsc::channel(4);
        (sender, RequestBody::new(ChannelBody::from(receiver), protocol))
    }

    #[tokio::test]
    async fn http_1_body_is_unread_until_its_end() {
        let progress = Arc::new(RequestProgress::default());
        let (sender, mut body) = open_body(BodyProtocol::Http1(progress.clone()));
        assert!(progress.has_unread_body());
        sender.send(Ok(Bytes::from_static(b"data"))).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "data");
        assert!(progress.has_unread_body() && !body.is_end_stream());
        drop(sender);
        assert!(body.frame().await.is_none());
        assert!(!progress.has_unread_body() && body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(0));
    }

    #[tokio::test]
    async fn last_byte_of_a_declared_length_is_the_end() {
        let progress = Arc::new(RequestProgress::default());
        let mut body = RequestBody::new(Full::from("data"), BodyProtocol::Http1(progress.clone()));
        assert_eq!(body.size_hint().exact(), Some(4));
        assert!(progress.has_unread_body());
        body.frame().await.unwrap().unwrap();
        assert!(!progress.has_unread_body());
        let empty = RequestBody::new(Full::from(""), BodyProtocol::Http1(progress.clone()));
        assert!(!progress.has_unread_body() && empty.is_end_stream());
    }

    #[tokio::test]
    async fn dropped_or_failed_http_1_body_stays_unread() {
        let progress = Arc::new(RequestProgress::default());
        drop(open_body(BodyProtocol::Http1(progress.clone())).1);
        assert!(progress.has_unread_body());
        let (sender, mut body) = open_body(BodyProtocol::Http1(progress.clone()));
        sender.send(Err(std::io::Error::other("invalid chunk"))).await.unwrap();
        assert!(body.frame().await.unwrap().is_err());
        assert!(progress.has_unread_body());
    }

    #[tokio::test]
    async fn dropped_http_2_body_is_discarded_in_the_background() {
        let limit = lingering(Duration::from_secs(600));
        let (sender, mut body) = open_body(BodyProtocol::Http2(limit.clone()));
        sender.send(Ok(Bytes::from_static(b"data"))).await.unwrap();
        body.frame().await.unwrap().unwrap();
        drop(body);
        for _ in 0..100 {
            sender.send(Ok(Bytes::from_static(b"more"))).await.unwrap();
        }
        assert_eq!(limit.counts(), (0, 1));
        drop(sender);
        while limit.counts() != (0, 0) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn complete_or_failed_http_2_body_is_not_discarded() {
        let limit = lingering(Duration::from_secs(600));
        let (sender, mut body) = open_body(BodyProtocol::Http2(limit.clone()));
        drop(sender);
        assert!(body.frame().await.is_none());
        drop(body);
        let (sender, mut body) = open_body(BodyProtocol::Http2(limit.clone()));
        sender.send(Err(std::io::Error::other("reset"))).await.unwrap();
        assert!(body.frame().await.unwrap().is_err());
        drop(body);
        assert!(sender.is_closed());
        // A reader in front of the body does not change this.
        let whole = RequestBody::new(Full::from("data"), BodyProtocol::Http2(limit.clone()));
        assert_eq!(Limited::new(whole, 4).collect().await.unwrap().to_bytes(), "data");
        tokio::task::yield_now().await;
        assert_eq!(limit.counts(), (0, 0));
    }
}
