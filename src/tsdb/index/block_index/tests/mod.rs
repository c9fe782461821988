//! Tests of a written index against a simple model.
//!
//! | module | contents |
//! |--------|----------|
//! | `damage` | corrupted files |
//! | `v1` | files of version 1 |

mod damage;
mod v1;

use super::entry::{ChunkMeta, SeriesEntry};
use super::error::{IndexError, IndexInputError};
use super::reader::IndexReader;
use super::verify::{verify, verify_while};
use super::writer::IndexWriter;
use crate::model::labels::{Labels, LabelsBuilder};
use crate::model::matcher::{MatchType, Matcher};
use crate::model::refs::BlockChunkRef;
use crate::tsdb::fs::os_disk::OsDisk;
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Temporary directory with an index file.
struct IndexDir(tempfile::TempDir);

impl IndexDir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("index")
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect::<LabelsBuilder<'_>>().build().unwrap()
}

fn matcher(kind: MatchType, name: &str, value: &str) -> Matcher {
    Matcher::new(kind, name, value).unwrap()
}

fn chunk(at: u64, mint: i64, maxt: i64) -> ChunkMeta {
    ChunkMeta { chunk_ref: BlockChunkRef(at), mint, maxt }
}

fn symbols(series: &[SeriesEntry]) -> BTreeSet<String> {
    let labels = series.iter().flat_map(|entry| entry.labels.iter());
    labels.flat_map(|(name, value)| [name.to_owned(), value.to_owned()]).collect()
}

fn write(path: &Path, series: &[SeriesEntry]) {
    let mut writer = IndexWriter::create(&OsDisk, path).unwrap();
    let symbols = symbols(series);
    symbols.iter().for_each(|symbol| writer.add_symbol(symbol).unwrap());
    series.iter().for_each(|entry| writer.add_series(&entry.labels, &entry.chunks).unwrap());
    let size = writer.finish().unwrap();
    assert_eq!(size.bytes, std::fs::metadata(path).unwrap().len());
    assert_eq!((size.symbols, size.series), (symbols.len() as u64, series.len() as u64));
    assert_eq!(size.chunks, series.iter().map(|entry| entry.chunks.len() as u64).sum::<u64>());
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

/// Returns a function that returns `true` `times` times, then `false`.
fn countdown(times: u32) -> impl Fn() -> bool {
    let left = Cell::new(times);
    move || left.replace(left.get().saturating_sub(1)) > 0
}

#[test]
fn finish_and_verify_can_be_cancelled_at_every_step() {
    let entry = |name: &str, at| SeriesEntry {
        labels: labels(&[("a", name), ("b", "x")]),
        chunks: vec![chunk(at, 0, 1)],
    };
    let series: Vec<SeriesEntry> = (10..30).map(|at| entry(&at.to_string(), at)).collect();
    let dir = IndexDir::new();
    let mut stops = 0;
    loop {
        let mut writer = IndexWriter::create(&OsDisk, &dir.file()).unwrap();
        symbols(&series).iter().for_each(|symbol| writer.add_symbol(symbol).unwrap());
        series.iter().for_each(|entry| writer.add_series(&entry.labels, &entry.chunks).unwrap());
        match writer.finish_while(&countdown(stops)) {
            Err(IndexError::Stopped) => stops += 1,
            finished => {
                finished.unwrap();
                break;
            }
        }
    }
    // `go_on` is called for each series of the list of all series and of each batch of names, for
    // each list, and before the sync.
    assert!(stops > 3 * 20, "{stops}");
    let index = IndexReader::open(&dir.file()).unwrap();
    let stopped = (0..).take_while(|times| {
        matches!(verify_while(&index, &countdown(*times)), Err(IndexError::Stopped))
    });
    assert!(stopped.count() > 2 * 20);
    assert_holds(&index, &series);
}

/// Asserts that every query of the index agrees with `series`.
fn assert_holds(index: &IndexReader, series: &[SeriesEntry]) {
    let refs = index.all_series().unwrap();
    let read: Vec<SeriesEntry> = refs.iter().map(|series| index.series(*series).unwrap()).collect();
    assert_eq!(read, series);
    assert!(refs.is_sorted_by(|a, b| a < b));
    let read: Vec<&str> = index.symbols().map(Result::unwrap).collect();
    assert_eq!(read, symbols(series).iter().map(String::as_str).collect::<Vec<_>>());
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in series.iter().flat_map(|entry| entry.labels.iter()) {
        values.entry(name).or_default().insert(value);
    }
    assert_eq!(index.label_names(), values.keys().copied().collect::<Vec<_>>());
    for (name, values) in &values {
        assert_eq!(index.label_values(name).unwrap(), values.iter().copied().collect::<Vec<_>>());
        for value in values {
            let expected =
                series.iter().zip(&refs).filter(|(entry, _)| entry.labels.get(name) == Some(value));
            assert_eq!(
                index.postings(name, value).unwrap(),
                expected.map(|(_, series)| *series).collect::<Vec<_>>()
            );
        }
    }
    let report = verify(index).unwrap();
    assert_eq!(
        (report.series, report.symbols),
        (series.len() as u64, symbols(series).len() as u64)
    );
    let chunks = || series.iter().flat_map(|entry| &entry.chunks);
    assert_eq!(report.chunks, chunks().count() as u64);
    assert_eq!(report.labels, series.iter().map(|entry| entry.labels.len() as u64).sum::<u64>());
    assert_eq!(report.mint, chunks().map(|chunk| chunk.mint).min().unwrap_or(i64::MAX));
    assert_eq!(report.maxt, chunks().map(|chunk| chunk.maxt).max().unwrap_or(i64::MIN));
}

fn assert_selects(index: &IndexReader, series: &[SeriesEntry], matchers: &[Matcher]) {
    let satisfied = |labels: &Labels| {
        matchers
            .iter()
            .all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default()))
    };
    let expected: Vec<Labels> = series
        .iter()
        .map(|entry| entry.labels.clone())
        .filter(|labels| !matchers.is_empty() && satisfied(labels))
        .collect();
    let selected = index.select(matchers).unwrap();
    let found: Vec<Labels> =
        selected.iter().map(|series| index.series(*series).unwrap().labels).collect();
    assert_eq!(found, expected, "{matchers:?}");
}

fn cause(result: Result<(), IndexError>) -> IndexInputError {
    match result {
        Err(IndexError::InvalidInput { cause, .. }) => cause,
        other => panic!("{other:?}"),
    }
}

fn any_matcher() -> impl Strategy<Value = Matcher> {
    let kind = prop_oneof![
        Just(MatchType::Equal),
        Just(MatchType::NotEqual),
        Just(MatchType::Regex),
        Just(MatchType::NotRegex)
    ];
    let values = [
        "", "v1", "v2", "w1", "zz", ".*", ".+", "v.*", "v.+", "v1|w2", "|v1", "|v.*", "v[0-9]*",
        "(v1)?", "(?i)V1", ".*2",
    ];
    (kind, "[abcz]|", proptest::sample::select(values.to_vec()))
        .prop_map(|(kind, name, value)| matcher(kind, &name, value))
}

fn any_series() -> impl Strategy<Value = Vec<SeriesEntry>> {
    let labels =
        proptest::collection::btree_map("[abc]", "[vw][1-3]{1,3}|é", 1..4).prop_map(|map| {
            map.iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect::<LabelsBuilder<'_>>()
                .build()
                .unwrap()
        });
    let times = proptest::collection::btree_set(any::<i64>(), 0..9);
    let series = proptest::collection::btree_map(labels, (times, 0..1u64 << 33), 0..90);
    series.prop_map(|map| {
        let mut chunk_ref = 0;
        let entry = |(labels, (times, chunk_step)): (Labels, (BTreeSet<i64>, u64))| {
            let times: Vec<i64> = times.into_iter().collect();
            let chunks = times.chunks_exact(2).map(|times| {
                chunk_ref += chunk_step;
                chunk(chunk_ref, times[0], times[1])
            });
            SeriesEntry { labels, chunks: chunks.collect() }
        };
        map.into_iter().map(entry).collect()
    })
}

proptest! {
    #[test]
    fn written_index_agrees_with_model(
        series in any_series(),
        selections in proptest::collection::vec(
            proptest::collection::vec(any_matcher(), 0..4),
            1..10,
        ),
    ) {
        let dir = IndexDir::new();
        write(&dir.file(), &series);
        let index = IndexReader::open(&dir.file()).unwrap();
        assert_holds(&index, &series);
        selections.iter().for_each(|matchers| assert_selects(&index, &series, matchers));
        prop_assert_eq!(index.size(), std::fs::metadata(dir.file()).unwrap().len());
    }
}

#[test]
fn empty_index_is_readable() {
    let dir = IndexDir::new();
    IndexWriter::create(&OsDisk, &dir.file()).unwrap().finish().unwrap();
    let index = IndexReader::open(&dir.file()).unwrap();
    assert_holds(&index, &[]);
    assert_selects(&index, &[], &[matcher(MatchType::NotEqual, "a", "b")]);
    assert_eq!(
        (index.label_values("a").unwrap().len(), index.postings("", "").unwrap().len()),
        (0, 0)
    );
}

#[test]
fn values_are_found_between_sampled_offsets() {
    let dir = IndexDir::new();
    let series = |nth: usize| SeriesEntry {
        labels: labels(&[
            ("job", "x"),
            ("pod", &format!("p{nth:04}")),
            (if nth.is_multiple_of(2) { "even" } else { "odd" }, "1"),
        ]),
        chunks: vec![chunk(nth as u64, 0, nth as i64)],
    };
    let mut series: Vec<SeriesEntry> = (0..400).map(series).collect();
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    let entries = series.iter_mut().enumerate();
    entries.for_each(|(nth, entry)| entry.chunks[0].chunk_ref = BlockChunkRef(nth as u64));
    write(&dir.file(), &series);
    let index = IndexReader::open(&dir.file()).unwrap();
    assert_holds(&index, &series);
    for (kind, name, value) in [
        (MatchType::Regex, "pod", "p00(01|32|63|64|99)"),
        (MatchType::Regex, "pod", "p01.*"),
        (MatchType::Regex, "pod", "p.*7"),
        (MatchType::NotRegex, "pod", "p.*7"),
        (MatchType::Equal, "pod", "p0400"),
        (MatchType::Equal, "pod", "a"),
        (MatchType::NotEqual, "even", ""),
    ] {
        assert_selects(&index, &series, &[matcher(kind, name, value)]);
        assert_selects(
            &index,
            &series,
            &[matcher(kind, name, value), matcher(MatchType::Equal, "odd", "1")],
        );
    }
}

#[test]
fn rejected_input_leaves_writer_usable() {
    let dir = IndexDir::new();
    let mut writer = IndexWriter::create(&OsDisk, &dir.file()).unwrap();
    ["", "a", "b", "c"].iter().for_each(|symbol| writer.add_symbol(symbol).unwrap());
    assert_eq!(cause(writer.add_symbol("c")), IndexInputError::SymbolOrder { symbol: "c".into() });
    assert_eq!(cause(writer.add_symbol("")), IndexInputError::SymbolOrder { symbol: "".into() });
    let (first, second) = (labels(&[("a", "b")]), labels(&[("a", "c")]));
    writer.add_series(&first, &[chunk(8, 0, 5), chunk(20, 6, 6)]).unwrap();
    assert_eq!(cause(writer.add_symbol("d")), IndexInputError::LateSymbol { symbol: "d".into() });
    assert_eq!(
        cause(writer.add_series(&first, &[])),
        IndexInputError::SeriesOrder { series: first.clone() }
    );
    assert_eq!(
        cause(writer.add_series(&labels(&[("a", "d")]), &[])),
        IndexInputError::UnknownSymbol { symbol: "d".into() }
    );
    let series = || second.clone();
    let early = IndexInputError::ChunkPlace { series: series(), chunk: 19 };
    assert_eq!(cause(writer.add_series(&second, &[chunk(19, 0, 1)])), early);
    let overlap = IndexInputError::ChunkOrder { series: series(), mint: 1, maxt: 2 };
    assert_eq!(cause(writer.add_series(&second, &[chunk(20, 0, 1), chunk(21, 1, 2)])), overlap);
    let reversed = IndexInputError::ChunkOrder { series: series(), mint: 1, maxt: 0 };
    assert_eq!(cause(writer.add_series(&second, &[chunk(20, 1, 0)])), reversed);
    writer.add_series(&second, &[chunk(20, i64::MIN, i64::MAX)]).unwrap();
    writer.finish().unwrap();
    let index = IndexReader::open(&dir.file()).unwrap();
    let report = verify(&index).unwrap();
    assert_eq!(
        (report.series, report.chunks, report.mint, report.maxt),
        (2, 3, i64::MIN, i64::MAX)
    );
    assert_eq!(index.symbols().map(Result::unwrap).collect::<Vec<_>>(), ["", "a", "b", "c"]);
}
