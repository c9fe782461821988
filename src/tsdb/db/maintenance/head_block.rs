//! Block of samples of the head, written and opened for queries.

use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::chunk::chunk_segments::format::num_samples;
use crate::tsdb::compact::lineage::Lineage;
use crate::tsdb::compact::stats::CompactStats;
use crate::tsdb::compact::write::{BlockSpec, WriteObserver, write_block};
use crate::tsdb::db::blocks::BlockSet;
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::new_block::{head_source, is_cancelled, open_written_block};
use crate::tsdb::db::state::shared::DbShared;
use crate::tsdb::db::stats::DbStats;
use crate::tsdb::head::Head;
use crate::tsdb::head::append::wbl_batch::WriteLogs;
use crate::tsdb::query::source::{BlockSource, Chunk};
use std::sync::atomic::{AtomicU64, Ordering};

/// Writer of blocks of the head.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadBlockWriter<'a> {
    pub(super) shared: &'a DbShared,
    pub(super) head: &'a Head,
    pub(super) logs: WriteLogs<'a>,
    pub(super) blocks: &'a BlockSet,
    pub(super) compact_stats: &'a CompactStats,
    /// Time by which blocks are named, ms.
    pub(super) now_ms: i64,
}

impl HeadBlockWriter<'_> {
    /// Writes `series` of the head to a block and opens it for queries. Returns its ULID, or `None`
    /// if there were no samples for it. The samples are those of requests that have begun.
    pub(super) fn write(
        &self,
        lineage: impl FnOnce(BlockUlid) -> Lineage,
        series: &dyn BlockSource,
    ) -> Result<Option<BlockUlid>, MaintenanceError> {
        let shared = self.shared;
        let options = shared.options();
        self.wait_for_requests();
        let ulid = shared.new_ulid(self.now_ms)?;
        let lineage = lineage(ulid);
        let source = head_source(self.head, series)
            .map_err(|error| shared.report_failure("read the head", error))?;
        let spec = BlockSpec {
            disk: &*options.disk,
            dir: &options.dir,
            ulid,
            lineage: &lineage,
            floats: shared.settings().float_encoding,
        };
        let observer = WriteObserver {
            stats: self.compact_stats,
            cancel: shared.stop_flag(),
            on_chunk: &|chunk| observe_chunk(shared.stats(), chunk),
        };
        let populating = Populating::begin(&shared.stats().populating_block);
        let written = write_block(spec, vec![source], &observer);
        drop(populating);
        match written {
            Ok(None) => return Ok(None),
            Ok(Some(_)) => {}
            Err(error) if is_cancelled(&error) => return Err(MaintenanceError::Cancelled),
            Err(error) => return Err(shared.report_failure("write a head block", error)),
        }
        let block = open_written_block(options, ulid)
            .map_err(|error| shared.report_failure("open a head block", error))?;
        self.blocks.add(block);
        Ok(Some(ulid))
    }

    /// Waits until the requests of the samples are visible and logged, so that neither a read nor a
    /// start after a kill finds a part of a request in the block.
    fn wait_for_requests(&self) {
        self.head.wait_for_commits();
        for log in std::iter::once(self.logs.wal).chain(self.logs.wbl) {
            // If the log cannot be written, the requests fail, but the block is still needed: it
            // frees space.
            drop(log.wait(log.position()));
        }
    }
}

/// Records the size of a chunk that is written to a block for the first time.
fn observe_chunk(stats: &DbStats, chunk: &Chunk) {
    let bytes = chunk.data.bytes();
    stats.compaction_chunk_bytes.observe(bytes.len() as f64);
    stats.compaction_chunk_samples.observe(f64::from(num_samples(chunk.encoding, bytes)));
    stats.compaction_chunk_seconds.observe(chunk.maxt.saturating_sub(chunk.mint) as f64 / 1000.0);
}

/// Sets a gauge to 1 while a block is written, and back to 0 even after a panic.
struct Populating<'a>(&'a AtomicU64);

impl<'a> Populating<'a> {
    fn begin(gauge: &'a AtomicU64) -> Self {
        gauge.store(1, Ordering::Relaxed);
        Self(gauge)
    }
}

impl Drop for Populating<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}
