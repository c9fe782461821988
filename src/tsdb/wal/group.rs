//! Write groups: the records of one write, in log order, compressed or not.

use crate::tsdb::wal::compression::{Compressor, RecordCompression};

/// Records queued for the next write.
#[derive(Debug, Default)]
pub struct WriteGroup {
    bytes: Vec<u8>,
    records: Vec<RecordSpan>,
    /// Number of `records` in completed writes, and the length of these in `bytes`.
    written_records: usize,
    written_bytes: usize,
}

#[derive(Debug, Clone, Copy)]
struct RecordSpan {
    compression: RecordCompression,
    len: usize,
    starts_request: bool,
}

/// Record of a group, with its compression.
#[derive(Debug, Clone, Copy)]
pub struct GroupRecord<'a> {
    /// Compression that was applied to `data`.
    pub compression: RecordCompression,
    /// Bytes of the record as stored in the log, without fragment headers.
    pub data: &'a [u8],
    /// Whether this is the first record of a request, which the log keeps together.
    pub starts_request: bool,
}

impl WriteGroup {
    /// Appends a record, compressed if that is smaller.
    pub fn push(&mut self, compressor: &mut Compressor, record: &[u8]) {
        let start = self.bytes.len();
        let compression = compressor.append(record, &mut self.bytes);
        let len = self.bytes.len() - start;
        self.records.push(RecordSpan { compression, len, starts_request: false });
    }

    /// Moves the records of `request` to the end of this group. They are kept together.
    pub fn append_request(&mut self, request: &mut Self) {
        let at = self.records.len();
        self.append(request);
        if let Some(first) = self.records.get_mut(at) {
            first.starts_request = true;
        }
    }

    /// Moves the records of `later` to the end of this group.
    pub fn append(&mut self, later: &mut Self) {
        self.bytes.append(&mut later.bytes);
        self.records.append(&mut later.records);
    }

    /// Returns `true` if all records are written.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.written_records == self.records.len()
    }

    /// Returns the records that are not in a completed write.
    pub fn unwritten(&self) -> impl ExactSizeIterator<Item = GroupRecord<'_>> {
        let mut rest = &self.bytes[self.written_bytes..];
        self.records[self.written_records..].iter().map(move |span| {
            let (data, after) = rest.split_at(span.len);
            rest = after;
            let RecordSpan { compression, starts_request, .. } = *span;
            GroupRecord { compression, data, starts_request }
        })
    }

    /// Marks the next `count` records as written.
    pub fn mark_written(&mut self, count: usize) {
        let end = self.written_records + count;
        self.written_bytes +=
            self.records[self.written_records..end].iter().map(|span| span.len).sum::<usize>();
        self.written_records = end;
    }

    /// Returns the number of records, written or not.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.records.len()
    }

    /// Returns the size of all records, bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the allocated size of the buffers, bytes.
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        self.bytes.capacity() + self.records.capacity() * size_of::<RecordSpan>()
    }

    /// Removes all records. The byte buffer keeps at most `keep` bytes of capacity.
    pub fn clear(&mut self, keep: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(keep);
        self.records.clear();
        self.written_records = 0;
        self.written_bytes = 0;
    }
}
