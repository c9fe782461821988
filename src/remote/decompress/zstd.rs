//! Zstandard: one frame after another, and frames to be skipped between them.
//!
//! ```text
//! 28 b5 2f fd │ descriptor │ window, 1 byte │ dictionary, 0 to 4 │ content size, 0 to 8 │ blocks … │ checksum
//!
//! descriptor: bits 6-7 how long the content size is, bit 5 single segment (then there is no window byte: the window is the content)
//! window:     2^(10 + bits 3-7), and as many eighths of that as bits 0-2 say
//!
//! 5? 2a 4d 18 │ length, 4 bytes, little endian │ bytes to be skipped
//! ```
//!
//! Source: RFC 8878; the bound of the window is that of RFC 9659. A frame that declares its content is unpacked straight into the output, without a
//! window; any other through a window that the library allocates, bounded by [`MAX_WINDOW`].

use crate::remote::body_compression::BodyCompression;
use crate::remote::decompress::output::{
    DecompressBuffer, DecompressError, MAX_WINDOW, MAX_WINDOW_LOG, malformed,
};
use zstd::zstd_safe;
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

/// What a block holds at most, and the fewest bytes that it takes.
const MAX_BLOCK: usize = 128 << 10;
const MIN_BLOCK_BYTES: usize = 4;

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const SKIPPABLE_TAIL: [u8; 3] = [0x2a, 0x4d, 0x18];

/// The library's context, made when it is first needed.
#[derive(Default)]
pub(super) struct ZstdDecoder(Option<DCtx<'static>>);

impl ZstdDecoder {
    /// Unpacks all frames.
    pub(super) fn decompress(
        &mut self,
        body: &[u8],
        output: &mut DecompressBuffer<'_, '_>,
    ) -> Result<(), DecompressError> {
        let context = match &mut self.0 {
            Some(context) => context,
            none => none.insert(new_context()?),
        };
        let mut rest = body;
        let mut window = 0;
        while !rest.is_empty() {
            let len = zstd_safe::find_frame_compressed_size(rest)
                .map_err(|code| malformed_zstd(zstd_safe::get_error_name(code)))?;
            let (frame, behind) =
                rest.split_at_checked(len).ok_or_else(|| malformed_zstd("it is cut off"))?;
            if !is_skippable(frame) {
                context
                    .reset(ResetDirective::SessionOnly)
                    .map_err(|code| malformed_zstd(zstd_safe::get_error_name(code)))?;
                decompress_frame(context, frame, output, &mut window)?;
            }
            rest = behind;
        }
        output.finish()
    }

    /// Bytes that the context holds; none while there is no context.
    pub(super) fn retained_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, DCtx::sizeof)
    }
}

fn new_context() -> Result<DCtx<'static>, DecompressError> {
    let mut context =
        DCtx::try_create().ok_or_else(|| malformed_zstd("there is no memory for it"))?;
    let bounded = context.set_parameter(DParameter::WindowLogMax(MAX_WINDOW_LOG));
    bounded.map_err(|code| malformed_zstd(zstd_safe::get_error_name(code)))?;
    Ok(context)
}

/// Unpacks a whole frame; `granted` is the largest window so far.
fn decompress_frame(
    context: &mut DCtx<'_>,
    frame: &[u8],
    output: &mut DecompressBuffer<'_, '_>,
    granted: &mut usize,
) -> Result<(), DecompressError> {
    let header = FrameHeader::read(frame).ok_or_else(|| malformed_zstd("it is cut off"))?;
    let most = (frame.len() / MIN_BLOCK_BYTES + 1).saturating_mul(MAX_BLOCK);
    let mut input = InBuffer::around(frame);
    if let Some(content) = header.content {
        let size = usize::try_from(content).unwrap_or(usize::MAX);
        if size > most && size <= output.room.limit {
            return Err(malformed_zstd("it declares more than it can hold"));
        }
        // With room for all of it the library needs no window, and it goes no further than what was declared.
        let place = output.spare_capacity(size)?;
        if decompress_step(context, &mut input, place)?
            != (FrameProgress { written: size, is_done: true })
        {
            return Err(malformed_zstd("it does not hold what it declares"));
        }
        output.advance(size);
        return Ok(());
    }
    let window = usize::try_from(header.window).unwrap_or(usize::MAX);
    if window > MAX_WINDOW {
        return Err(DecompressError::Window);
    }
    if window > *granted {
        (output.room.grant)(window - *granted)?;
        *granted = window;
    }
    loop {
        let place = output.grow_spare(frame.len().saturating_mul(4).min(most))?;
        let progress = decompress_step(context, &mut input, place)?;
        output.advance(progress.written);
        if progress.is_done {
            return Ok(());
        }
        if progress.written == 0 {
            return Err(malformed_zstd("it is cut off"));
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct FrameProgress {
    written: usize,
    is_done: bool,
}

/// Unpacks until the room is full or the frame is at its end.
fn decompress_step(
    context: &mut DCtx<'_>,
    input: &mut InBuffer<'_>,
    place: &mut [u8],
) -> Result<FrameProgress, DecompressError> {
    let capacity = place.len();
    let mut out = OutBuffer::around(place);
    loop {
        let before = (input.pos(), out.pos());
        let hint = context
            .decompress_stream(&mut out, input)
            .map_err(|code| malformed_zstd(zstd_safe::get_error_name(code)))?;
        if hint == 0 {
            return Ok(FrameProgress { written: out.pos(), is_done: true });
        }
        if out.pos() == capacity || before == (input.pos(), out.pos()) {
            return Ok(FrameProgress { written: out.pos(), is_done: false });
        }
    }
}

/// What the first frame that is not skipped says of its content, where the body begins with it.
pub(super) fn declared_size(body: &[u8]) -> Option<usize> {
    FrameHeader::read(body)?.content.map(|content| usize::try_from(content).unwrap_or(usize::MAX))
}

/// Whether a body that is named zstd may begin with a frame to be skipped.
pub(super) fn may_be_skipped(named: BodyCompression, body: &[u8]) -> bool {
    let begins = |first: &u8| first & 0xf0 == 0x50;
    named == BodyCompression::Zstd
        && body.first().is_some_and(begins)
        && SKIPPABLE_TAIL.iter().zip(&body[1..]).all(|(expected, byte)| expected == byte)
}

fn is_skippable(frame: &[u8]) -> bool {
    matches!(frame, [first, tail @ ..] if first & 0xf0 == 0x50 && tail.starts_with(&SKIPPABLE_TAIL))
}

/// The beginning of a frame.
#[derive(Debug, PartialEq, Eq)]
struct FrameHeader {
    /// Bytes.
    window: u64,
    /// Bytes, where they are declared.
    content: Option<u64>,
}

impl FrameHeader {
    fn read(frame: &[u8]) -> Option<Self> {
        let rest = frame.strip_prefix(&MAGIC)?;
        let (descriptor, mut rest) = rest.split_first()?;
        let is_single = descriptor & 0x20 != 0;
        let mut window = 0;
        if !is_single {
            let (byte, behind) = rest.split_first()?;
            let base = 1u64 << (10 + (byte >> 3));
            window = base + base / 8 * u64::from(byte & 7);
            rest = behind;
        }
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let rest = rest.get(dictionary..)?;
        let content = match (descriptor >> 6, is_single) {
            (0, false) => None,
            (0, true) => Some(u64::from(*rest.first()?)),
            (1, _) => Some(u64::from(u16::from_le_bytes(*rest.first_chunk()?)) + 256),
            (2, _) => Some(u64::from(u32::from_le_bytes(*rest.first_chunk()?))),
            _ => Some(u64::from_le_bytes(*rest.first_chunk()?)),
        };
        Some(Self { window: if is_single { content.unwrap_or(0) } else { window }, content })
    }
}

fn malformed_zstd(why: impl std::fmt::Display) -> DecompressError {
    malformed(BodyCompression::Zstd, why)
}
