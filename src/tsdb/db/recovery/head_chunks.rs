//! Empty head, and the m-mapped chunks in `chunks_head/` to attach to its series.

use crate::tsdb::chunk::any_chunk::EncodingPolicy;
use crate::tsdb::chunk::cut::CutPolicy;
use crate::tsdb::chunk::head_chunks::{HeadChunkMeta, HeadChunkStore, QuarantinedChunkFiles};
use crate::tsdb::db::recovery::error::RecoveryError;
use crate::tsdb::db::recovery::lost_samples::QuarantinedHeadChunks;
use crate::tsdb::db::state::shared::DbShared;
use crate::tsdb::head::{Head, HeadOptions};
use std::path::Path;
use std::sync::Arc;

/// An empty head and the m-mapped chunks to attach to its series.
pub(super) struct EmptyHead {
    pub(super) head: Head,
    pub(super) chunks: Vec<HeadChunkMeta>,
    /// Whether all chunks were readable.
    pub(super) is_whole: bool,
    /// Chunk files that were moved to the quarantine.
    pub(super) quarantined: Option<QuarantinedHeadChunks>,
}

impl EmptyHead {
    /// Opens the chunk files. Corrupted ones are quarantined.
    pub(super) fn open(
        shared: &DbShared,
        min_valid_time: i64,
        quarantine: &Path,
    ) -> Result<Self, RecoveryError> {
        let options = shared.options();
        let (mut files, opened) =
            HeadChunkStore::open(Arc::clone(&options.disk), &options.dir.join("chunks_head"))?;
        if let Some(path) = opened.removed_empty {
            let path = path.display();
            tracing::info!(%path, "removed empty chunk file left by a crash");
        }
        let mut chunks = Vec::new();
        let walked = files.for_each(quarantine, |chunk| chunks.push(chunk))?;
        let is_whole = walked.corruption.is_none() && walked.unknown_encodings == 0;
        let quarantined = walked.corruption.map(|found| {
            let QuarantinedChunkFiles { corruption, moved_to } = found;
            tracing::warn!(
                file = %corruption.path.display(),
                offset = corruption.offset,
                cause = %corruption.cause,
                ?moved_to,
                "quarantined corrupted chunk files, reading their samples from the WAL"
            );
            QuarantinedHeadChunks { moved_to, chunks: files.take_quarantined() }
        });
        if walked.unknown_encodings > 0 {
            tracing::warn!(
                chunks = walked.unknown_encodings,
                "skipped head chunks with unknown encoding"
            );
        }
        let head = Head::new(head_options(shared, min_valid_time), files);
        let settings = shared.settings();
        head.exemplars().configure(settings.exemplars());
        head.set_out_of_order_window(settings.out_of_order_window_ms);
        Ok(Self { head, chunks, is_whole, quarantined })
    }

    /// Returns the chunks with out-of-order samples.
    pub(super) fn out_of_order_chunks(&self) -> Vec<HeadChunkMeta> {
        self.chunks.iter().filter(|chunk| chunk.out_of_order).copied().collect()
    }
}

fn head_options(shared: &DbShared, min_valid_time: i64) -> HeadOptions {
    let options = shared.options();
    HeadOptions {
        policy: CutPolicy {
            chunk_range_ms: options.chunk_range_ms,
            samples_per_chunk: options.samples_per_chunk,
        },
        series_limit: options.series_limit,
        min_valid_time,
        encodings: EncodingPolicy {
            floats: shared.settings().float_encoding,
            histogram_st_mode: options.histogram_st_mode,
        },
        record_version: options.record_version,
    }
}
