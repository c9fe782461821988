//! Exemplars in a snapshot: records of type 3 after all series, in the order of arrival.

use crate::tsdb::head::chunk_snapshot::record::EXEMPLARS;
use crate::tsdb::head::exemplars::ExemplarStorage;
use crate::tsdb::head::series::store::SeriesStore;
use crate::tsdb::wal::record::error::DecodeRecordError;
use crate::tsdb::wal::record::exemplars::{RefExemplar, put_exemplars, read_exemplars};

/// Maximum number of exemplars per record, as in Prometheus.
const MAX_PER_RECORD: usize = 10_000;

/// Encodes the exemplars whose series is in the head.
pub(super) fn exemplar_records(series: &SeriesStore, exemplars: &ExemplarStorage) -> Vec<Vec<u8>> {
    let with_ref = exemplars.in_arrival_order().into_iter().filter_map(|item| {
        let series = series.get(item.labels.as_bytes())?.series_ref;
        Some(RefExemplar { series, exemplar: item.exemplar })
    });
    let all: Vec<RefExemplar> = with_ref.collect();
    let record = |chunk: &[RefExemplar]| {
        let mut record = vec![EXEMPLARS];
        put_exemplars(&mut record, chunk);
        record
    };
    all.chunks(MAX_PER_RECORD).map(record).collect()
}

/// Decodes such a record.
pub(super) fn decode_exemplars(record: &[u8]) -> Result<Vec<RefExemplar>, DecodeRecordError> {
    read_exemplars(record.get(1..).unwrap_or_default())
}

/// Adds the exemplars whose series is in the head. Returns the number of stored ones.
pub(super) fn restore_exemplars(
    series: &SeriesStore,
    storage: &ExemplarStorage,
    exemplars: &[RefExemplar],
) -> usize {
    let is_stored = |item: &&RefExemplar| {
        let series = series.get_by_ref(item.series);
        series.is_some_and(|series| storage.add(&series.labels, &item.exemplar).is_ok())
    };
    exemplars.iter().filter(is_stored).count()
}
