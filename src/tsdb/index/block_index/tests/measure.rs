//! What an index of a million series costs: run by hand, with `--ignored --nocapture`.

use super::{Place, chunk, labels, matcher};
use crate::model::matcher::MatchKind;
use crate::tsdb::index::block_index::reader::IndexReader;
use crate::tsdb::index::block_index::writer::IndexWriter;
use std::collections::BTreeSet;
use std::time::Instant;

const SERIES: usize = 1_000_000;

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("RssAnon")).collect::<Vec<_>>().join(" ")
}

fn values(nth: usize) -> [(&'static str, String); 10] {
    [
        ("__name__", format!("metric_{:03}", nth / 10_000)),
        ("cluster", "eu-1".into()),
        ("container", format!("c{}", nth % 7)),
        ("env", "production".into()),
        ("instance", format!("10.0.{}.{}:9100", nth % 10_000 / 100, nth % 100)),
        ("job", format!("job-{}", nth % 50)),
        ("namespace", format!("ns-{}", nth % 200)),
        ("node", format!("node-{}", nth % 1000)),
        ("pod", format!("pod-{:05}-{:x}", nth % 10_000, nth.wrapping_mul(2_654_435_761) & 0xfff_ffff)),
        ("zone", format!("z{}", nth % 3)),
    ]
}

#[test]
#[ignore = "measures"]
fn a_million_series() {
    let place = Place::new();
    let symbols: BTreeSet<String> =
        (0..SERIES).flat_map(values).flat_map(|(name, value)| [name.to_owned(), value]).collect();
    let mut series: Vec<_> =
        (0..SERIES).map(|nth| labels(&values(nth).each_ref().map(|(name, value)| (*name, value.as_str())))).collect();
    series.sort();
    println!("prepared: {}", peak());
    let start = Instant::now();
    let mut writer = IndexWriter::create(&place.file()).unwrap();
    symbols.iter().for_each(|symbol| writer.add_symbol(symbol).unwrap());
    println!("symbols: {:?}", start.elapsed());
    for (nth, labels) in series.iter().enumerate() {
        writer.add_series(labels, &[chunk(nth as u64, 0, 9), chunk(nth as u64, 10, 19)]).unwrap();
    }
    println!("series: {:?} {}", start.elapsed(), peak());
    let size = writer.finish().unwrap();
    println!("finished: {:?} {size:?} {}", start.elapsed(), peak());
    let start = Instant::now();
    let index = IndexReader::open(&place.file()).unwrap();
    println!("open: {:?}", start.elapsed());
    for (kind, name, value) in [
        (MatchKind::Equal, "__name__", "metric_042"),
        (MatchKind::Regex, "instance", "10\\.0\\.1.*"),
        (MatchKind::Regex, "pod", "pod-00001-.*"),
        (MatchKind::Regex, "pod", ".*abc.*"),
        (MatchKind::NotEqual, "job", "job-1"),
    ] {
        let start = Instant::now();
        let found = index.select(&[matcher(kind, name, value)]).unwrap();
        println!("{name} {kind:?} {value}: {} in {:?}", found.len(), start.elapsed());
    }
    let start = Instant::now();
    let all = index.all_series().unwrap();
    let chunks: usize = all.iter().map(|series| index.series(*series).unwrap().chunks.len()).sum();
    println!("read {chunks} chunks of all series: {:?}", start.elapsed());
    let start = Instant::now();
    println!("{:?} in {:?} {}", index.verify().unwrap(), start.elapsed(), peak());
}
