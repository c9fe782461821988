//! Pool of log batches, so that a request encodes its records into memory of an earlier one.

use crate::tsdb::wal::batch::LogBatch;
use crate::tsdb::wal::record::builder::RecordVersion;
use parking_lot::Mutex;

/// Maximum number of idle log batches that are kept for later requests.
const MAX_SPARE_BATCHES: usize = 64;

/// Size above which a log batch is freed instead of kept, bytes.
const MAX_SPARE_BATCH_BYTES: usize = 2 << 20;

/// Empty log batches of one record version.
#[derive(Debug)]
pub struct LogBatchPool {
    record_version: RecordVersion,
    spare: Mutex<Vec<LogBatch>>,
}

impl LogBatchPool {
    /// Creates a pool whose batches have sample records of this version.
    #[must_use]
    pub fn new(record_version: RecordVersion) -> Self {
        Self { record_version, spare: Mutex::default() }
    }

    /// Version of the sample records.
    #[inline]
    #[must_use]
    pub fn record_version(&self) -> RecordVersion {
        self.record_version
    }

    /// Returns an empty batch.
    #[must_use]
    pub fn take(&self) -> LogBatch {
        self.spare.lock().pop().unwrap_or_else(|| {
            let mut batch = LogBatch::default();
            batch.set_record_version(self.record_version);
            batch
        })
    }

    /// Keeps a batch, whose records are enqueued, for a later request.
    pub fn recycle(&self, batch: LogBatch) {
        let mut spare = self.spare.lock();
        if spare.len() < MAX_SPARE_BATCHES && batch.allocated_bytes() <= MAX_SPARE_BATCH_BYTES {
            spare.push(batch);
        }
    }
}
