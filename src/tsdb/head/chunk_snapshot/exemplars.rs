//! The exemplars of a snapshot: records of the type 3, behind all series, in the order in which the exemplars came.

use crate::tsdb::head::Head;
use crate::tsdb::head::chunk_snapshot::record::EXEMPLARS;
use crate::tsdb::wal::record::error::DecodeRecordError;
use crate::tsdb::wal::record::exemplars::{RefExemplar, put_exemplars, read_exemplars};

/// Exemplars in one record; Prometheus puts as many into one.
const MAX_PER_RECORD: usize = 10_000;

/// The records of the exemplars whose series is in the head.
pub(super) fn exemplar_records(head: &Head) -> Vec<Vec<u8>> {
    let with_ref = head.exemplars().in_arrival_order().into_iter().filter_map(|one| {
        let series = head.series.get(one.labels.as_bytes())?.reference;
        Some(RefExemplar { series, exemplar: one.exemplar })
    });
    let all: Vec<RefExemplar> = with_ref.collect();
    let record = |some: &[RefExemplar]| {
        let mut record = vec![EXEMPLARS];
        put_exemplars(&mut record, some);
        record
    };
    all.chunks(MAX_PER_RECORD).map(record).collect()
}

/// The exemplars of such a record.
pub(super) fn decode_exemplars(record: &[u8]) -> Result<Vec<RefExemplar>, DecodeRecordError> {
    read_exemplars(record.get(1..).unwrap_or_default())
}

/// Gives the head the exemplars of series that it has, and says how many are kept.
pub(super) fn restore_exemplars(head: &Head, found: &[RefExemplar]) -> usize {
    let is_kept = |one: &&RefExemplar| {
        let series = head.series.get_by_ref(one.series);
        series.is_some_and(|series| head.exemplars().add(&series.labels, &one.exemplar).is_ok())
    };
    found.iter().filter(is_kept).count()
}
