//! Zstandard: data frames and skippable frames in a row.
//!
//! ```text
//! 28 b5 2f fd │ descriptor │ window, 1 byte │ dictionary, 0 to 4 │ content size, 0 to 8 │ blocks …
//!
//! descriptor: bits 6-7 length of the content size, bit 5 single segment (without a window byte:
//!             the window is the content)
//! window:     2^(10 + bits 3-7), plus as many eighths of that as bits 0-2 say
//!
//! 5? 2a 4d 18 │ length, 4 bytes, little endian │ bytes to skip
//! ```
//!
//! A frame that declares its content size is decompressed straight into the output. Any other frame
//! needs a window, which the library allocates, up to [`MAX_WINDOW`].
//!
//! Source: RFC 8878; RFC 9659 for the maximum window.

use crate::remote::body_compression::BodyCompression;
use crate::remote::decompress::output::{
    DecompressBuffer, DecompressError, MAX_WINDOW, MAX_WINDOW_LOG, malformed,
};
use zstd::zstd_safe;
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

/// Maximum content and minimum size of a block, bytes.
const MAX_BLOCK: usize = 128 << 10;
const MIN_BLOCK_BYTES: usize = 4;

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const SKIPPABLE_TAIL: [u8; 3] = [0x2a, 0x4d, 0x18];

/// Decompression context of the library, created on first use.
#[derive(Default)]
pub(super) struct ZstdDecoder(Option<DCtx<'static>>);

impl ZstdDecoder {
    /// Decompresses all frames of a body.
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
                rest.split_at_checked(len).ok_or_else(|| malformed_zstd("truncated frame"))?;
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

    /// Returns the size of the context, bytes; 0 without a context.
    pub(super) fn retained_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, DCtx::sizeof)
    }
}

fn new_context() -> Result<DCtx<'static>, DecompressError> {
    let mut context = DCtx::try_create()
        .ok_or_else(|| malformed_zstd("cannot allocate a decompression context"))?;
    let bounded = context.set_parameter(DParameter::WindowLogMax(MAX_WINDOW_LOG));
    bounded.map_err(|code| malformed_zstd(zstd_safe::get_error_name(code)))?;
    Ok(context)
}

/// Decompresses one frame. `granted` is the largest window granted so far, bytes.
fn decompress_frame(
    context: &mut DCtx<'_>,
    frame: &[u8],
    output: &mut DecompressBuffer<'_, '_>,
    granted: &mut usize,
) -> Result<(), DecompressError> {
    let header = FrameHeader::read(frame).ok_or_else(|| malformed_zstd("truncated frame"))?;
    let max_content = (frame.len() / MIN_BLOCK_BYTES + 1).saturating_mul(MAX_BLOCK);
    let mut input = InBuffer::around(frame);
    if let Some(content) = header.content {
        let size = usize::try_from(content).unwrap_or(usize::MAX);
        if size > max_content && size <= output.budget.limit {
            return Err(malformed_zstd("declared size is larger than the frame can hold"));
        }
        // With space for all of it the library needs no window, and it stops at the declared size.
        let spare = output.spare_capacity(size)?;
        if decompress_step(context, &mut input, spare)?
            != (FrameProgress { written: size, is_done: true })
        {
            return Err(malformed_zstd("content does not have the declared size"));
        }
        output.advance(size);
        return Ok(());
    }
    let window = usize::try_from(header.window).unwrap_or(usize::MAX);
    if window > MAX_WINDOW {
        return Err(DecompressError::Window);
    }
    if window > *granted {
        (output.budget.grant)(window - *granted)?;
        *granted = window;
    }
    loop {
        let spare = output.grow_spare(frame.len().saturating_mul(4).min(max_content))?;
        let progress = decompress_step(context, &mut input, spare)?;
        output.advance(progress.written);
        if progress.is_done {
            return Ok(());
        }
        if progress.written == 0 {
            return Err(malformed_zstd("truncated frame"));
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct FrameProgress {
    written: usize,
    is_done: bool,
}

/// Decompresses until `spare` is full or the frame ends.
fn decompress_step(
    context: &mut DCtx<'_>,
    input: &mut InBuffer<'_>,
    spare: &mut [u8],
) -> Result<FrameProgress, DecompressError> {
    let capacity = spare.len();
    let mut out = OutBuffer::around(spare);
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

/// Returns the content size that the first frame declares, unless a skippable frame comes first.
pub(super) fn declared_size(body: &[u8]) -> Option<usize> {
    FrameHeader::read(body)?.content.map(|content| usize::try_from(content).unwrap_or(usize::MAX))
}

/// Returns `true` if a body named zstd may begin with a skippable frame.
pub(super) fn may_be_skippable(named: BodyCompression, body: &[u8]) -> bool {
    let begins = |first: &u8| first & 0xf0 == 0x50;
    named == BodyCompression::Zstd
        && body.first().is_some_and(begins)
        && SKIPPABLE_TAIL.iter().zip(&body[1..]).all(|(expected, byte)| expected == byte)
}

fn is_skippable(frame: &[u8]) -> bool {
    matches!(frame, [first, tail @ ..] if first & 0xf0 == 0x50 && tail.starts_with(&SKIPPABLE_TAIL))
}

/// Header of a data frame.
#[derive(Debug, PartialEq, Eq)]
struct FrameHeader {
    /// Window size in bytes.
    window: u64,
    /// Declared content size, bytes.
    content: Option<u64>,
}

impl FrameHeader {
    fn read(frame: &[u8]) -> Option<Self> {
        let rest = frame.strip_prefix(&MAGIC)?;
        let (descriptor, mut rest) = rest.split_first()?;
        let is_single_segment = descriptor & 0x20 != 0;
        let mut window = 0;
        if !is_single_segment {
            let (byte, behind) = rest.split_first()?;
            let base = 1u64 << (10 + (byte >> 3));
            window = base + base / 8 * u64::from(byte & 7);
            rest = behind;
        }
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let rest = rest.get(dictionary..)?;
        let content = match (descriptor >> 6, is_single_segment) {
            (0, false) => None,
            (0, true) => Some(u64::from(*rest.first()?)),
            (1, _) => Some(u64::from(u16::from_le_bytes(*rest.first_chunk()?)) + 256),
            (2, _) => Some(u64::from(u32::from_le_bytes(*rest.first_chunk()?))),
            _ => Some(u64::from_le_bytes(*rest.first_chunk()?)),
        };
        Some(Self {
            window: if is_single_segment { content.unwrap_or(0) } else { window },
            content,
        })
    }
}

fn malformed_zstd(why: impl std::fmt::Display) -> DecompressError {
    malformed(BodyCompression::Zstd, why)
}
