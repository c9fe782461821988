//! The body of an answer whose larger messages are compressed, in an encoding that the client takes.
//!
//! Message by message, each with its own flag: what is small, or does not become clearly smaller, goes as it is, and after such a one the next
//! few go as they are without a try (chunks are compressed already). The memory for it comes out of that of answers; where there is none
//! the message goes as it is. What is large is compressed on a blocking thread.

use crate::server::grpc::encoding::GrpcEncoding;
use crate::server::grpc::messages::FRAME_HEADER;
use crate::server::grpc::unfold_body::{StepFuture, UnfoldBody, UnfoldStep};
use crate::server::state::SharedState;
use axum::body::Body;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body::Frame;
use http_body_util::BodyExt;

/// Smaller messages go as they are.
const MIN_MESSAGE: usize = 1 << 10;
/// Larger ones are compressed on a blocking thread.
const INLINE_MESSAGE: usize = 128 << 10;
/// How many messages go as they are after one that did not become smaller by an eighth.
const INCOMPRESSIBLE_SKIP: u32 = 15;

/// A body with messages that are compressed where that helps.
pub(crate) fn compress_body(body: Body, context: SharedState, encoding: GrpcEncoding) -> Body {
    Body::new(UnfoldBody::new(
        CompressBody { body, context, encoding, rest: BytesMut::new(), skip: 0 },
        next,
    ))
}

struct CompressBody {
    body: Body,
    context: SharedState,
    encoding: GrpcEncoding,
    /// What came and was not sent yet.
    rest: BytesMut,
    /// Messages to be sent without a try.
    skip: u32,
}

fn next(mut deflating: CompressBody) -> StepFuture<CompressBody> {
    Box::pin(async move {
        loop {
            if let Some(message) = deflating.message() {
                let data = deflating.compress_message(message).await;
                return UnfoldStep { state: deflating, frame: Some(Ok(Frame::data(data))) };
            }
            let frame = match deflating.body.frame().await {
                None => None,
                Some(Err(error)) => Some(Err(error.into())),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        deflating.rest.put(data);
                        continue;
                    }
                    Err(trailers) => Some(Ok(trailers)),
                },
            };
            return UnfoldStep { state: deflating, frame };
        }
    })
}

impl CompressBody {
    /// The next whole message of what came, with its header.
    fn message(&mut self) -> Option<Bytes> {
        let &[_, a, b, c, d] = self.rest.first_chunk::<FRAME_HEADER>()?;
        let len = (u32::from_be_bytes([a, b, c, d]) as usize).checked_add(FRAME_HEADER)?;
        (self.rest.len() >= len).then(|| self.rest.split_to(len).freeze())
    }

    /// The message as it is sent.
    async fn compress_message(&mut self, message: Bytes) -> Bytes {
        if message.len() < MIN_MESSAGE + FRAME_HEADER || message[0] != 0 {
            return message;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return message;
        }
        let mut reservation = self.context.answer_limits.budget.reserve();
        if reservation.extend(message.len()).is_err() {
            return message;
        }
        let (encoding, plain) = (self.encoding, message.clone());
        let packed = if message.len() <= INLINE_MESSAGE {
            compress_with_header(encoding, plain)
        } else {
            tokio::task::spawn_blocking(move || compress_with_header(encoding, plain))
                .await
                .ok()
                .flatten()
        };
        match packed {
            Some(packed) if packed.len() <= message.len() - message.len() / 8 => packed,
            _ => {
                self.skip = INCOMPRESSIBLE_SKIP;
                message
            }
        }
    }
}

/// The message compressed, with its header.
fn compress_with_header(encoding: GrpcEncoding, mut message: Bytes) -> Option<Bytes> {
    message.advance(FRAME_HEADER);
    let packed = encoding.compress(&message).ok()?;
    let mut framed = BytesMut::with_capacity(FRAME_HEADER + packed.len());
    framed.put_u8(1);
    framed.put_u32(u32::try_from(packed.len()).ok()?);
    framed.put_slice(&packed);
    Some(framed.freeze())
}
