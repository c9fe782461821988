//! Reading the head: a [`BlockSource`] over its series.
//!
//! The matching series are picked and sorted first; each is looked into when its turn comes, under its own mutex, for as long as it takes
//! to note its chunks and to copy the open one (at most a kilobyte or so). Mapped chunks are pinned, not copied. So a
//! read sees of every series a prefix in the order of time, all that was acknowledged before it began included.

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::Encoding;
use crate::tsdb::chunk::head_chunks::error::HeadChunksError;
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::head::Head;
use crate::tsdb::head::series::Series;
use crate::tsdb::query::source::{BlockSource, Chunk, ChunkData, ChunkSeries, ChunkSeriesSet, QueryError};
use std::sync::Arc;

/// The chunks of a series as they were at one moment.
struct Snapshot {
    mapped: Vec<MappedChunk>,
    in_memory: Vec<Chunk>,
}

impl BlockSource for Head {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<ChunkSeriesSet<'_>, QueryError> {
        let refs = self.postings.select(matchers);
        let mut series: Vec<_> = refs.into_iter().filter_map(|one| self.series.get_by_ref(one)).collect();
        series.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        Ok(Box::new(series.into_iter().filter_map(move |series| self.chunks_of(&series, range).transpose())))
    }
}

impl Head {
    /// The chunks of a series that overlap `range`; `None` where there are none.
    fn chunks_of(&self, series: &Arc<Series>, range: TimeRange) -> Result<Option<ChunkSeries>, QueryError> {
        let snapshot = snapshot(series, range);
        let mut chunks = Vec::with_capacity(snapshot.mapped.len() + snapshot.in_memory.len());
        for mapped in &snapshot.mapped {
            chunks.push(self.pin(mapped).map_err(|error| QueryError::Damaged(error.to_string()))?);
        }
        chunks.extend(snapshot.in_memory);
        Ok((!chunks.is_empty()).then(|| ChunkSeries { labels: series.labels.clone(), chunks }))
    }

    fn pin(&self, mapped: &MappedChunk) -> Result<Chunk, HeadChunksError> {
        let data = self.mapping.read(mapped)?;
        let encoding = data.encoding();
        Ok(Chunk { mint: mapped.mint(), maxt: mapped.maxt(), encoding, data: ChunkData::new(data), deleted: None })
    }
}

fn snapshot(series: &Series, range: TimeRange) -> Snapshot {
    let state = series.state.lock();
    let wanted = |mint, maxt| range.overlaps(TimeRange::new(mint, maxt));
    let mapped = state.mapped.iter().filter(|chunk| wanted(chunk.mint(), chunk.maxt())).copied().collect();
    let mut in_memory: Vec<_> = state
        .sealed()
        .iter()
        .filter(|chunk| wanted(chunk.mint, chunk.maxt))
        .map(|chunk| Chunk {
            mint: chunk.mint,
            maxt: chunk.maxt,
            encoding: chunk.encoding,
            data: ChunkData::new(Arc::clone(&chunk.bytes)),
            deleted: None,
        })
        .collect();
    if let (Some(open), Some(maxt)) = (&state.open, state.max_time())
        && wanted(open.mint, maxt)
    {
        let bytes: Arc<[u8]> = open.chunk.bytes().into();
        let data = ChunkData::new(bytes);
        in_memory.push(Chunk { mint: open.mint, maxt, encoding: Encoding::Xor, data, deleted: None });
    }
    Snapshot { mapped, in_memory }
}

#[cfg(test)]
mod tests {
    use crate::model::labels::{Labels, LabelsBuilder};
    use crate::model::sample::Sample;
    use crate::tsdb::chunk::cut::CutPolicy;
    use crate::tsdb::chunk::head_chunks::HeadChunks;
    use crate::tsdb::fs::os_disk::OsDisk;
    use crate::tsdb::head::append::HeadAppender;
    use crate::tsdb::head::{Head, HeadOptions};
    use crate::tsdb::query::conformance;
    use crate::tsdb::wal::commit::{SyncMode, Wal, WalOptions};
    use crate::tsdb::wal::compression::Compression;
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::Arc;

    fn head_and_log(dir: &Path) -> (Head, Wal) {
        let policy = CutPolicy { chunk_range_ms: 7_200_000, samples_per_chunk: 10 };
        let (files, _) = HeadChunks::open(&dir.join("chunks_head")).unwrap();
        let head = Head::new(HeadOptions { policy, max_series: usize::MAX, min_valid_time: i64::MIN }, files);
        let wal = Wal::open(WalOptions {
            dir: dir.join("wal"),
            segment_size: 1 << 20,
            compression: Compression::None,
            sync: SyncMode::Os,
            disk: Arc::new(OsDisk),
        });
        (head, wal.unwrap())
    }

    fn labels(name: &str, zone: &str) -> Labels {
        LabelsBuilder::from_iter([("__name__", name), ("zone", zone)]).build().unwrap()
    }

    #[test]
    fn the_head_answers_as_every_source_must() {
        let dir = tempfile::tempdir().unwrap();
        let (head, wal) = head_and_log(dir.path());
        let mut expected: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
        for (name, zone, count) in [("up", "a", 1), ("up", "b", 35), ("down", "", 12), ("other", "a", 100)] {
            let samples: Vec<_> = (0..count).map(|i| Sample::new(1_000_000 + i * 15_000, i as f64)).collect();
            let mut appender = HeadAppender::new(&head, &wal);
            appender.append(&labels(name, zone), samples.iter().copied(), |_, _| panic!("refused")).unwrap();
            appender.commit().unwrap();
            expected.insert(labels(name, zone), samples);
        }
        conformance::check(&head, &expected);
    }
}
