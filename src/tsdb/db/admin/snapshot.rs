//! Snapshot of the whole database below `snapshots/`: hard links to the files of the blocks, and
//! the head as further blocks.
//!
//! ```text
//! snapshots/20251105T000000Z-3f7a92c41b08d65e/            complete, returned by `Admin::snapshot`
//! snapshots/20251105T000000Z-3f7a92c41b08d65e.tmp/        incomplete: removed at the next startup
//! ```
//!
//! A snapshot is a data directory for narthex or Prometheus, in place or copied elsewhere. It has
//! each request completely or not at all.

use crate::model::time::TimeRange;
use crate::tsdb::block::hard_link::hard_link_to;
use crate::tsdb::block::ulid::RandomSource;
use crate::tsdb::compact::block_summary::CompactionHints;
use crate::tsdb::compact::lineage::Lineage;
use crate::tsdb::compact::stats::CompactStats;
use crate::tsdb::compact::write::{BlockSpec, WriteObserver, write_block};
use crate::tsdb::db::blocks::BlockSet;
use crate::tsdb::db::error::{MaintenanceError, MaintenanceFailure};
use crate::tsdb::db::new_block::{head_source, is_cancelled};
use crate::tsdb::db::state::shared::DbShared;
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::durable::{FileError, sync_dir};
use crate::tsdb::fs::fail_point;
use crate::tsdb::head::Head;
use crate::tsdb::head::read::compaction_source::{InOrderSource, OutOfOrderSource};
use crate::tsdb::head::read::snapshot::HeadSnapshot;
use crate::tsdb::query::source::BlockSource;
use std::fs;
use std::path::Path;

const FOLDER: &str = "snapshots";
const TEMPORARY_SUFFIX: &str = ".tmp";

/// Contents of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotContents {
    /// The blocks, and the head as further blocks.
    BlocksAndHead,
    /// The blocks without the head.
    Blocks,
}

/// Snapshot of head and blocks. Requires the maintenance lock.
pub(super) struct Snapshot<'a> {
    pub(super) shared: &'a DbShared,
    pub(super) head: &'a Head,
    pub(super) blocks: &'a BlockSet,
    pub(super) compact_stats: &'a CompactStats,
    /// Time by which the snapshot and its blocks are named, ms.
    pub(super) now_ms: i64,
}

impl Snapshot<'_> {
    /// Writes the snapshot and returns the name of its directory.
    pub(super) fn create(&self, contents: SnapshotContents) -> Result<String, MaintenanceError> {
        let shared = self.shared;
        let disk = &*shared.options().disk;
        let name = snapshot_name(self.now_ms, shared.options().random);
        let name = name.map_err(|error| shared.report_failure("name a snapshot", error))?;
        let snapshots = shared.options().dir.join(FOLDER);
        let unfinished = snapshots.join(format!("{name}{TEMPORARY_SUFFIX}"));
        let written = self.write(contents, &unfinished).and_then(|()| {
            disk.rename(&unfinished, &snapshots.join(&name))
                .map_err(FileError::for_step("rename", &unfinished))
                .and_then(|()| sync_dir(disk, &snapshots))
                .map_err(|error| self.failure(error))
        });
        if written.is_err()
            && let Err(error) = disk.remove_dir_all(&unfinished)
        {
            let path = unfinished.display();
            tracing::warn!(%path, %error, "cannot remove unfinished snapshot");
        }
        written.map(|()| name)
    }

    fn failure(&self, error: impl Into<MaintenanceFailure>) -> MaintenanceError {
        self.shared.report_failure("write a snapshot", error)
    }

    fn write(&self, contents: SnapshotContents, dir: &Path) -> Result<(), MaintenanceError> {
        let disk = &*self.shared.options().disk;
        disk.create_dir_all(dir)
            .map_err(FileError::for_step("create", dir))
            .map_err(|error| self.failure(error))?;
        for block in self.blocks.list().iter() {
            fail_point::hit("snapshot.write");
            self.shared.check_stop()?;
            hard_link_to(block, disk, dir).map_err(|error| self.failure(error))?;
        }
        // After the blocks were listed: it sees all their samples. The times contain its samples.
        let requests = self.head.snapshot();
        let times = self.head.times();
        let (SnapshotContents::BlocksAndHead, Some(begin), Some(end)) =
            (contents, times.min(), times.max())
        else {
            return sync_dir(disk, dir).map_err(|error| self.failure(error));
        };
        fail_point::hit("snapshot.write");
        self.shared.check_stop()?;
        let range = TimeRange::new(begin, end);
        let in_order = InOrderSource::new(self.head).as_of(requests.clone());
        self.write_block(dir, range, CompactionHints::default(), &in_order)?;
        self.write_ooo_blocks(dir, requests)
    }

    /// Writes out-of-order samples to blocks of their own, as OOO compaction does.
    fn write_ooo_blocks(
        &self,
        dir: &Path,
        requests: HeadSnapshot<'_>,
    ) -> Result<(), MaintenanceError> {
        let shared = self.shared;
        let late = OutOfOrderSource::prepare_while(self.head, &|| !shared.is_stopping())
            .map_err(|error| self.failure(error))?
            .ok_or(MaintenanceError::Cancelled)?
            .as_of(requests);
        let hints = CompactionHints { out_of_order: true, ..CompactionHints::default() };
        let ranges = late.ranges(shared.options().chunk_range_ms);
        for range in ranges.map_err(|error| self.failure(error))? {
            shared.check_stop()?;
            self.write_block(dir, range, hints, &late)?;
        }
        Ok(())
    }

    fn write_block(
        &self,
        dir: &Path,
        range: TimeRange,
        hints: CompactionHints,
        series: &dyn BlockSource,
    ) -> Result<(), MaintenanceError> {
        let shared = self.shared;
        let ulid = shared.new_ulid(self.now_ms)?;
        let lineage = Lineage::for_head(ulid, range.mint, range.maxt.saturating_add(1), hints);
        let floats = shared.settings().float_encoding;
        let disk = &*shared.options().disk;
        let spec = BlockSpec { disk, dir, ulid, lineage: &lineage, floats };
        let source = head_source(self.head, series).map_err(|error| self.failure(error))?;
        let cancel = shared.stop_flag();
        let observer = WriteObserver { stats: self.compact_stats, cancel, on_chunk: &|_| {} };
        match write_block(spec, vec![source], &observer) {
            Ok(_) => Ok(()),
            Err(error) if is_cancelled(&error) => Err(MaintenanceError::Cancelled),
            Err(error) => Err(self.failure(error)),
        }
    }
}

/// Removes unfinished snapshots of the data directory `dir`.
pub(crate) fn remove_unfinished(disk: &dyn Disk, dir: &Path) {
    let Ok(entries) = fs::read_dir(dir.join(FOLDER)) else { return };
    let unfinished = entries.flatten().map(|entry| entry.path());
    for path in
        unfinished.filter(|path| path.to_str().is_some_and(|path| path.ends_with(TEMPORARY_SUFFIX)))
    {
        match disk.remove_dir_all(&path) {
            Ok(()) => tracing::info!(path = %path.display(), "removed unfinished snapshot"),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot remove unfinished snapshot")
            }
        }
    }
}

/// Returns the name of a snapshot, as in Prometheus: the UTC time and a random number.
fn snapshot_name(now_ms: i64, source: RandomSource) -> std::io::Result<String> {
    let mut random = [0; 8];
    source(&mut random)?;
    Ok(format!("{}-{:016x}", compact_utc(now_ms.div_euclid(1000)), u64::from_be_bytes(random) >> 1))
}

/// Formats seconds since the epoch as `YYYYMMDDThhmmssZ`.
fn compact_utc(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years are counted from March, so that the leap day is the last day. 400 years have 146,097
    // days. Day 0 is 0000-03-01.
    let day = days + 719_468;
    let (era, day_of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let (month, year) =
        if month_from_march < 10 { (month_from_march + 3, 0) } else { (month_from_march - 9, 1) };
    let (year, date) =
        (era * 400 + year_of_era + year, day_of_year - (153 * month_from_march + 2) / 5 + 1);
    format!(
        "{year:04}{month:02}{date:02}T{:02}{:02}{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::{compact_utc, snapshot_name};
    use crate::tsdb::block::ulid::system_random;

    #[test]
    fn snapshot_times_are_formatted_in_utc() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (-1, "19691231T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (951_868_799, "20000229T235959Z"),
            (1_762_300_800, "20251105T000000Z"),
            (1_798_761_599, "20261231T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(compact_utc(seconds), text, "{seconds}");
        }
        assert_eq!(
            snapshot_name(1_762_300_800_999, system_random).unwrap().len(),
            "20251105T000000Z-".len() + 16
        );
    }
}
