//! Remote reads with chunk responses: frames over HTTP, messages over gRPC. A blocking thread
//! encodes them while the client reads, and holds the read permit until the last one is encoded.

use crate::remote::pb::prometheus as pb;
use crate::remote::read::chunked;
use crate::remote::read::chunked::{FrameSink, ReadFrame};
use crate::remote::read::read_request::{ReadAbort, RemoteReadError};
use crate::server::contract::query_error::log_query_error;
use crate::server::requests::read_permit::ReadPermit;
use crate::server::requests::read_state::ReadState;
use crate::server::transport::admission::BudgetExhausted;
use crate::server::transport::framing::messages;
use crate::server::transport::piece_stream::StreamError;
use crate::server::transport::piece_writer::{
    PieceLimits, PieceWriter, StreamedResponse, max_pieces, stream_response,
};
use std::sync::Arc;

/// Size up to which small frames are collected into one piece, bytes.
const PIECE_BYTES: usize = 128 << 10;
/// Maximum number of queued pieces.
const MAX_QUEUED: usize = 3;

/// Framing of messages; a piece may hold several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Length and checksum, as over HTTP.
    Delimited,
    /// Flag and length of gRPC messages.
    Grpc,
}

/// Starts the response and returns the stream of its pieces. Needs a tokio runtime.
///
/// # Errors
/// [`BudgetExhausted`] if the memory of the pieces cannot be reserved.
pub(crate) fn frames(
    reads: &Arc<ReadState>,
    request: pb::ReadRequest,
    permit: ReadPermit,
    framing: Framing,
) -> Result<StreamedResponse<RemoteReadError>, BudgetExhausted> {
    let limits = PieceLimits {
        piece_bytes: PIECE_BYTES,
        max_queued: MAX_QUEUED,
        total_timeout: reads.responses.time,
    };
    let mut memory = reads.responses.budget.reserve();
    memory.extend(max_pieces(MAX_QUEUED) * (reads.limits.frame_bytes + PIECE_BYTES))?;
    let reads = reads.clone();
    Ok(stream_response(limits, memory, move |out| {
        let _held = permit;
        write_frames(&reads, &request, &mut FrameWriter { framing, out }).inspect_err(log_failure)
    }))
}

fn write_frames(
    reads: &ReadState,
    request: &pb::ReadRequest,
    out: &mut FrameWriter<'_, '_>,
) -> Result<(), RemoteReadError> {
    let sent = chunked::read_chunks(reads.source()?, request, out)?;
    reads.metrics.count(sent);
    Ok(())
}

/// Logs an error that the client did not cause.
fn log_failure(error: &RemoteReadError) {
    if let RemoteReadError::Query(error) = error {
        log_query_error("read chunks", error);
    }
}

/// Writer of frames.
struct FrameWriter<'a, 'b> {
    framing: Framing,
    out: &'a mut PieceWriter<'b, RemoteReadError>,
}

impl FrameSink for FrameWriter<'_, '_> {
    fn check(&mut self) -> Result<(), ReadAbort> {
        self.out.check().map_err(read_abort)
    }

    fn frame(&mut self, frame: &ReadFrame<'_>) -> Result<(), ReadAbort> {
        let framing = self.framing;
        let pushed = self.out.push(|buffer| match framing {
            Framing::Delimited => frame.encode_delimited(buffer),
            Framing::Grpc => {
                buffer.extend_from_slice(&messages::frame_header(frame.encoded_len()));
                frame.encode(buffer);
            }
        });
        pushed.map_err(read_abort)
    }
}

/// Returns the reason for a producer to stop. The stream reports the actual error.
pub(crate) fn read_abort(error: StreamError) -> ReadAbort {
    match error {
        StreamError::SlowClient => ReadAbort::SlowClient,
        StreamError::ClientGone | StreamError::Panicked => ReadAbort::ClientGone,
    }
}
