//! HTTP body of the items of a channel.

use bytes::Bytes;
use http_body::{Body, Frame};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Body of the items of a channel, an error ends it.
#[derive(Debug)]
pub(crate) struct ChannelBody<E>(mpsc::Receiver<Result<Bytes, E>>);

impl<E> From<mpsc::Receiver<Result<Bytes, E>>> for ChannelBody<E> {
    fn from(receiver: mpsc::Receiver<Result<Bytes, E>>) -> Self {
        Self(receiver)
    }
}

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
