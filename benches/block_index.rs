//! Index of a block with many series: write, open, select, read and verify.
//!
//! ```text
//! cargo bench --bench block_index -- [--series 1000000]
//! ```
//!
//! Prints times and memory and asserts nothing about them.

use narthex::model::labels::{Labels, LabelsBuilder};
use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::refs::BlockChunkRef;
use narthex::tsdb::fs::os_disk::OsDisk;
use narthex::tsdb::index::block_index::entry::ChunkMeta;
use narthex::tsdb::index::block_index::reader::IndexReader;
use narthex::tsdb::index::block_index::verify::verify;
use narthex::tsdb::index::block_index::writer::IndexWriter;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

const MATCHERS: [(MatchType, &str, &str); 5] = [
    (MatchType::Equal, "__name__", "metric_042"),
    (MatchType::Regex, "instance", "10\\.0\\.1.*"),
    (MatchType::Regex, "pod", "pod-00001-.*"),
    (MatchType::Regex, "pod", ".*abc.*"),
    (MatchType::NotEqual, "job", "job-1"),
];

fn main() {
    let series_count = series_count();
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("index");
    write(&path, series_count);
    read(&path);
}

fn series_count() -> usize {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    match (args.next().as_deref(), args.next()) {
        (None, _) => 1_000_000,
        (Some("--series"), Some(count)) => count.parse().expect("value must be a number"),
        (Some(other), _) => panic!("unknown flag or missing value: {other}"),
    }
}

fn write(path: &Path, series_count: usize) {
    let symbols: BTreeSet<String> = (0..series_count)
        .flat_map(label_pairs)
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect();
    let mut series: Vec<Labels> = (0..series_count).map(labels).collect();
    series.sort();
    println!("prepared: {}", memory());
    let start = Instant::now();
    let mut writer = IndexWriter::create(&OsDisk, path).expect("a new file");
    for symbol in &symbols {
        writer.add_symbol(symbol).expect("symbols ascend");
    }
    println!("symbols: {:?}", start.elapsed());
    for (number, labels) in series.iter().enumerate() {
        let chunks = [(0, 9), (10, 19)].map(|(mint, maxt)| ChunkMeta {
            chunk_ref: BlockChunkRef(number as u64),
            mint,
            maxt,
        });
        writer.add_series(labels, &chunks).expect("series ascend");
    }
    println!("series: {:?} {}", start.elapsed(), memory());
    let size = writer.finish().expect("the disk has space");
    println!("finished: {:?} {size:?} {}", start.elapsed(), memory());
}

fn read(path: &Path) {
    let start = Instant::now();
    let index = IndexReader::open(path).expect("a valid index");
    println!("open: {:?}", start.elapsed());
    for (kind, name, value) in MATCHERS {
        let start = Instant::now();
        let matcher = Matcher::new(kind, name, value).expect("a valid matcher");
        let found = index.select(&[matcher]).expect("a valid index");
        println!("{name} {kind:?} {value}: {} in {:?}", found.len(), start.elapsed());
    }
    let start = Instant::now();
    let series = index.all_series().expect("a valid index");
    let chunks: usize = series
        .into_iter()
        .map(|series| index.series(series).expect("a valid index").chunks.len())
        .sum();
    println!("read {chunks} chunks of all series: {:?}", start.elapsed());
    let start = Instant::now();
    let report = verify(&index).expect("a valid index");
    println!("{report:?} in {:?} {}", start.elapsed(), memory());
}

fn labels(number: usize) -> Labels {
    let pairs = label_pairs(number);
    let pairs = pairs.iter().map(|(name, value)| (*name, value.as_str()));
    pairs.collect::<LabelsBuilder<'_>>().build().expect("valid labels")
}

fn label_pairs(number: usize) -> [(&'static str, String); 10] {
    [
        ("__name__", format!("metric_{:03}", number / 10_000)),
        ("cluster", "eu-1".into()),
        ("container", format!("c{}", number % 7)),
        ("env", "production".into()),
        ("instance", format!("10.0.{}.{}:9100", number % 10_000 / 100, number % 100)),
        ("job", format!("job-{}", number % 50)),
        ("namespace", format!("ns-{}", number % 200)),
        ("node", format!("node-{}", number % 1000)),
        (
            "pod",
            format!(
                "pod-{:05}-{:x}",
                number % 10_000,
                number.wrapping_mul(2_654_435_761) & 0xfff_ffff
            ),
        ),
        ("zone", format!("z{}", number % 3)),
    ]
}

/// Returns the peak and the current memory of the process.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .filter(|line| line.starts_with("VmHWM") || line.starts_with("RssAnon"))
        .collect::<Vec<_>>()
        .join(" ")
}
