//! Block index: arbitrary bytes are rejected or readable; an index that verifies is consistent and
//! can be rewritten.

use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::refs::BlockSeriesRef;
use narthex::tsdb::fs::os_disk::OsDisk;
use narthex::tsdb::index::block_index::entry::SeriesEntry;
use narthex::tsdb::index::block_index::reader::IndexReader;
use narthex::tsdb::index::block_index::verify::verify;
use narthex::tsdb::index::block_index::writer::IndexWriter;
use std::path::Path;

/// Panics if an index that verifies contradicts itself or cannot be rewritten.
pub(crate) fn check(bytes: &[u8]) {
    let place = tempfile::tempdir().expect("a temporary directory");
    let path = place.path().join("index");
    std::fs::write(&path, bytes).expect("the file can be written");
    let Ok(index) = IndexReader::open(&path) else { return };
    read_everything(&index);
    let Ok(report) = verify(&index) else { return };
    let series = all_series(&index);
    assert_eq!(series.len() as u64, report.series);
    assert!(series.windows(2).all(|pair| pair[0].labels < pair[1].labels));
    let again = place.path().join("again");
    write(&index, &series, &again);
    let again = IndexReader::open(&again).expect("what was written opens");
    assert_eq!(verify(&again).expect("what was written is sound"), report);
    assert_eq!(all_series(&again), series);
    for matcher in matchers(&index) {
        let matching = |entry: &SeriesEntry| {
            matcher.matches(entry.labels.get(matcher.name()).unwrap_or_default())
        };
        let expected: Vec<&SeriesEntry> = series.iter().filter(|entry| matching(entry)).collect();
        let selected = index.select(std::slice::from_ref(&matcher)).expect("a sound index selects");
        let selected: Vec<SeriesEntry> = selected.iter().map(|at| series_at(&index, *at)).collect();
        assert!(selected.iter().eq(expected), "{matcher:?}");
    }
}

/// Reads everything from an index that may be corrupted. Results are ignored: it must not panic.
fn read_everything(index: &IndexReader) {
    let _ = index.symbols().filter(Result::is_ok).count();
    for name in index.label_names() {
        let _ = index.label_values(&name);
    }
    for matcher in matchers(index) {
        let _ = index.select(&[matcher]);
    }
    for number in
        (0..300).chain(index.all_series().unwrap_or_default().iter().map(|series| series.0))
    {
        if let Ok(entry) = index.series(BlockSeriesRef(number)) {
            assert!(!entry.labels.is_empty());
        }
    }
}

fn matchers(index: &IndexReader) -> Vec<Matcher> {
    let mut names = index.label_names();
    names.truncate(4);
    names.push(String::new());
    let made = names.iter().flat_map(|name| {
        let value = index
            .label_values(name)
            .ok()
            .and_then(|values| values.into_iter().next())
            .unwrap_or_default();
        [
            Matcher::new(MatchType::Equal, name.as_str(), value.as_str()),
            Matcher::new(MatchType::NotEqual, name.as_str(), value.as_str()),
            Matcher::new(MatchType::Regex, name.as_str(), ".+a.*"),
            Matcher::new(MatchType::NotRegex, name.as_str(), "|a.*"),
        ]
    });
    made.filter_map(Result::ok).collect()
}

fn all_series(index: &IndexReader) -> Vec<SeriesEntry> {
    let all = index.all_series().expect("a sound index lists its series");
    all.into_iter().map(|at| series_at(index, at)).collect()
}

fn series_at(index: &IndexReader, at: BlockSeriesRef) -> SeriesEntry {
    index.series(at).expect("a sound index has its series")
}

fn write(index: &IndexReader, series: &[SeriesEntry], path: &Path) {
    let mut writer = IndexWriter::create(&OsDisk, path).expect("the file can be made");
    for symbol in index.symbols() {
        writer
            .add_symbol(symbol.expect("a sound index has its symbols"))
            .expect("a symbol is taken");
    }
    for entry in series {
        writer.add_series(&entry.labels, &entry.chunks).expect("a series is taken");
    }
    writer.finish().expect("the index is finished");
}
