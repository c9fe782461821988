//! Records on their way to one write, in their order, each as it will stand in the log: compressed or not.

use crate::tsdb::wal::compression::{Compressor, RecordCompression};

/// Records that wait for their write.
#[derive(Debug, Default)]
pub struct WriteGroup {
    bytes: Vec<u8>,
    records: Vec<RecordSpan>,
    /// How many of `records` are in completed writes, and how many of `bytes` they have.
    written_records: usize,
    written_bytes: usize,
}

#[derive(Debug, Clone, Copy)]
struct RecordSpan {
    compression: RecordCompression,
    len: usize,
}

/// A record of a group.
#[derive(Debug, Clone, Copy)]
pub struct GroupRecord<'a> {
    /// How `data` are compressed.
    pub compression: RecordCompression,
    /// The record as it stands in the log.
    pub data: &'a [u8],
}

impl WriteGroup {
    /// Adds a record, compressed if that makes it smaller.
    pub fn push(&mut self, compressor: &mut Compressor, record: &[u8]) {
        let start = self.bytes.len();
        let compression = compressor.append(record, &mut self.bytes);
        self.records.push(RecordSpan { compression, len: self.bytes.len() - start });
    }

    /// Moves the records of `later` behind its own.
    pub fn append(&mut self, later: &mut Self) {
        self.bytes.append(&mut later.bytes);
        self.records.append(&mut later.records);
    }

    /// Whether all of it is written.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.written_records == self.records.len()
    }

    /// The records that are not in a completed write.
    pub fn unwritten(&self) -> impl ExactSizeIterator<Item = GroupRecord<'_>> {
        let mut rest = &self.bytes[self.written_bytes..];
        self.records[self.written_records..].iter().map(move |span| {
            let (data, after) = rest.split_at(span.len);
            rest = after;
            GroupRecord { compression: span.compression, data }
        })
    }

    /// Notes that the next `count` records are written.
    pub fn mark_written(&mut self, count: usize) {
        let end = self.written_records + count;
        self.written_bytes +=
            self.records[self.written_records..end].iter().map(|span| span.len).sum::<usize>();
        self.written_records = end;
    }

    /// How many records it has.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.records.len()
    }

    /// Bytes of its records.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// How much memory its buffers take, in bytes.
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        self.bytes.capacity() + self.records.capacity() * size_of::<RecordSpan>()
    }

    /// Empties it; buffers are kept up to `keep` bytes.
    pub fn clear(&mut self, keep: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(keep);
        self.records.clear();
        self.written_records = 0;
        self.written_bytes = 0;
    }
}
