//! Samples out of chunks that overlap, are damaged, or can't be read by this version. (See also `select::tests`.)

use super::Series;
use crate::model::sample::{STALE_NAN_BITS, Sample};
use crate::model::time::TimeRange;
use crate::tsdb::chunk::Encoding;
use crate::tsdb::chunk::float_chunk::{FloatChunk, FloatEncoding};
use crate::tsdb::query::fixed_source::{chunk, labels};
use crate::tsdb::query::source::{Chunk, ChunkData, ChunkSeries, QueryError};

fn series(chunks: Vec<Chunk>) -> Series {
    Series::new(ChunkSeries { labels: labels("x"), chunks })
}

fn run(samples: &[(i64, f64)]) -> Vec<Sample> {
    samples.iter().map(|(t, v)| Sample::new(*t, *v)).collect()
}

fn read(series: &Series, range: TimeRange) -> Result<Vec<Sample>, QueryError> {
    series.samples(range).collect()
}

#[test]
fn of_two_samples_at_one_time_the_later_sources_stands() {
    let stale = f64::from_bits(STALE_NAN_BITS);
    let mut merged = series(vec![chunk(&run(&[(1, 1.0), (3, 3.0), (5, 5.0)])), chunk(&run(&[(7, 7.0)]))]);
    merged.add_chunks(vec![chunk(&run(&[(0, 0.5), (3, stale), (7, 7.5)]))]);
    let all = run(&[(0, 0.5), (1, 1.0), (3, stale), (5, 5.0), (7, 7.5)]);
    assert_eq!(read(&merged, TimeRange::ALL).unwrap(), all);
    assert_eq!(read(&merged, TimeRange::new(1, 5)).unwrap(), all[1..4]);
    assert_eq!(read(&merged, TimeRange::new(6, 6)).unwrap(), []);
    assert_eq!(read(&merged, TimeRange::new(5, 1)).unwrap(), []);
}

#[test]
fn chunks_of_both_encodings_are_read_with_their_start_times() {
    let mut newer = FloatChunk::new(FloatEncoding::Xor2);
    [(4, 40), (4, 50), (7, 60)].iter().for_each(|&(start, t)| newer.append_with_start(start, t, 1.0));
    let data = ChunkData::new(newer.into_bytes());
    let newer = Chunk { mint: 40, maxt: 60, encoding: Encoding::Xor2, data, deleted: None };
    let mixed = series(vec![chunk(&run(&[(1, 1.0), (55, 2.0)])), newer, chunk(&run(&[(60, 3.0), (61, 3.0)]))]);
    let points = mixed.points(TimeRange::ALL).map(|point| point.unwrap());
    let read: Vec<_> = points.map(|point| (point.t, point.start)).collect();
    assert_eq!(read, [(1, 0), (40, 4), (50, 4), (55, 0), (60, 0), (61, 0)]);
}

#[test]
fn a_damaged_chunk_is_an_error_that_names_the_series_and_ends_the_samples() {
    let whole = chunk(&run(&[(1, 1.5), (2, 2.5), (3, 3.5)]));
    let bytes = whole.data.bytes();
    let torn = ChunkData::new(bytes[..bytes.len() - 3].to_vec());
    let torn = series(vec![Chunk { data: torn, ..whole.clone() }, chunk(&run(&[(9, 9.0)]))]);
    let early = series(vec![Chunk { mint: 2, ..whole }]);
    let falling = series(vec![Chunk { mint: 1, ..chunk(&run(&[(5, 5.0), (4, 4.0)])) }]);
    let none = series(vec![Chunk { data: ChunkData::new([0]), ..chunk(&run(&[(9, 9.0)])) }]);
    for (damaged, right) in [(torn, 2), (early, 0), (falling, 1), (none, 0)] {
        let mut samples = damaged.samples(TimeRange::new(0, 10));
        let before = samples.by_ref().take_while(Result::is_ok).count();
        assert!(before <= right && samples.next().is_none());
        let error = read(&damaged, TimeRange::ALL).unwrap_err().to_string();
        assert!(error.contains(r#"{a="x"}"#), "{error}");
    }
}

#[test]
fn a_chunk_without_samples_is_passed_over() {
    let empty = Chunk { mint: 1, maxt: 9, ..chunk(&[]) };
    let series = series(vec![empty, chunk(&run(&[(3, 3.0)]))]);
    assert_eq!(read(&series, TimeRange::ALL).unwrap(), run(&[(3, 3.0)]));
}
