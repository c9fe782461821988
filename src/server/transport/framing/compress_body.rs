//! Response body whose larger messages are compressed with an encoding that the client accepts.
//!
//! Each message has its own flag. A message stays plain if it is small, or if compression saves
//! less than an eighth; then the next few are not tried, because chunks are compressed already. The
//! memory comes from the budget of responses; without memory a message stays plain. Large messages
//! are compressed on a blocking thread.

use crate::server::transport::admission::ByteBudget;
use crate::server::transport::blocking::{ClientWatch, run_with_permit};
use crate::server::transport::framing::encoding::GrpcEncoding;
use crate::server::transport::framing::messages::FRAME_HEADER;
use crate::server::transport::framing::unfold_body::{StepFuture, UnfoldBody, UnfoldStep};
use axum::body::Body;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body::Frame;
use http_body_util::BodyExt;

/// Minimum size of a compressed message, bytes.
const MIN_MESSAGE: usize = 1 << 10;
/// Maximum size of a message that is compressed inline, bytes. Larger ones go to a blocking thread.
const INLINE_MESSAGE: usize = 128 << 10;
/// Number of messages left plain after one that compression did not shrink by an eighth.
const INCOMPRESSIBLE_SKIP: u32 = 15;

/// Returns the body with compressed messages. `budget` limits the memory of the compression.
pub(crate) fn compress_body(body: Body, budget: ByteBudget, encoding: GrpcEncoding) -> Body {
    Body::new(UnfoldBody::new(
        CompressBody { body, budget, encoding, rest: BytesMut::new(), skip: 0 },
        next,
    ))
}

struct CompressBody {
    body: Body,
    budget: ByteBudget,
    encoding: GrpcEncoding,
    /// Received bytes that are not sent yet.
    rest: BytesMut,
    /// Number of messages to send without an attempt to compress.
    skip: u32,
}

fn next(mut compressing: CompressBody) -> StepFuture<CompressBody, axum::Error> {
    Box::pin(async move {
        loop {
            if let Some(message) = compressing.message() {
                let data = compressing.compress_message(message).await;
                return UnfoldStep { state: compressing, frame: Some(Ok(Frame::data(data))) };
            }
            let frame = match compressing.body.frame().await {
                None => None,
                Some(Err(error)) => Some(Err(error)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        compressing.rest.put(data);
                        continue;
                    }
                    Err(trailers) => Some(Ok(trailers)),
                },
            };
            return UnfoldStep { state: compressing, frame };
        }
    })
}

impl CompressBody {
    /// Removes the next complete message with its header from `rest`.
    fn message(&mut self) -> Option<Bytes> {
        let &[_, a, b, c, d] = self.rest.first_chunk::<FRAME_HEADER>()?;
        let len = (u32::from_be_bytes([a, b, c, d]) as usize).checked_add(FRAME_HEADER)?;
        (self.rest.len() >= len).then(|| self.rest.split_to(len).freeze())
    }

    /// Returns the message as it is sent.
    async fn compress_message(&mut self, message: Bytes) -> Bytes {
        if message.len() < MIN_MESSAGE + FRAME_HEADER || message[0] != 0 {
            return message;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return message;
        }
        let mut reservation = self.budget.reserve();
        if reservation.extend(message.len()).is_err() {
            return message;
        }
        let (encoding, plain) = (self.encoding, message.clone());
        let compressed = if message.len() <= INLINE_MESSAGE {
            compress_with_header(encoding, plain)
        } else {
            let work = move |_: ClientWatch| compress_with_header(encoding, plain);
            run_with_permit((), "compressing a message", work).await.ok().flatten()
        };
        match compressed {
            Some(compressed) if compressed.len() <= message.len() - message.len() / 8 => compressed,
            _ => {
                self.skip = INCOMPRESSIBLE_SKIP;
                message
            }
        }
    }
}

/// Returns the compressed message with its header.
fn compress_with_header(encoding: GrpcEncoding, mut message: Bytes) -> Option<Bytes> {
    message.advance(FRAME_HEADER);
    let compressed = encoding.compress(&message).ok()?;
    let mut framed = BytesMut::with_capacity(FRAME_HEADER + compressed.len());
    framed.put_u8(1);
    framed.put_u32(u32::try_from(compressed.len()).ok()?);
    framed.put_slice(&compressed);
    Some(framed.freeze())
}
