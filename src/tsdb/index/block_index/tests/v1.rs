//! Tests of version 1, whose bytes are built here because no current program writes it.

use super::{IndexDir, assert_holds, assert_selects, chunk, labels, matcher, symbols};
use crate::model::matcher::MatchType;
use crate::tsdb::encoding::byte_reader::{put_be_u32, put_be_u64, put_uvarint, put_uvarint_bytes};
use crate::tsdb::encoding::checksum::crc32c;
use crate::tsdb::index::block_index::entry::{SeriesEntry, put_chunks};
use crate::tsdb::index::block_index::format::MAGIC;
use crate::tsdb::index::block_index::reader::IndexReader;
use crate::tsdb::index::block_index::verify::verify;
use std::collections::BTreeMap;

fn put_section(file: &mut Vec<u8>, bytes: &[u8]) -> u64 {
    let start = file.len() as u64;
    put_be_u32(file, bytes.len() as u32);
    file.extend_from_slice(bytes);
    put_be_u32(file, crc32c(bytes));
    start
}

/// Encodes a version 1 index with label indices and a postings offset table in reverse order.
fn encode(series: &[SeriesEntry]) -> Vec<u8> {
    let mut file = Vec::new();
    put_be_u32(&mut file, MAGIC);
    file.push(1);
    let mut body = Vec::new();
    let mut symbol_offsets = BTreeMap::new();
    put_be_u32(&mut body, symbols(series).len() as u32);
    for symbol in symbols(series) {
        symbol_offsets.insert(symbol.clone(), 5 + 4 + body.len() as u64);
        put_uvarint_bytes(&mut body, symbol.as_bytes());
    }
    let mut toc = vec![put_section(&mut file, &body), file.len() as u64];
    let mut lists: BTreeMap<(String, String), Vec<u32>> = BTreeMap::new();
    for entry in series {
        let at = file.len() as u32;
        lists.entry(Default::default()).or_default().push(at);
        body.clear();
        put_uvarint(&mut body, entry.labels.len() as u64);
        for (name, value) in entry.labels.iter() {
            put_uvarint(&mut body, symbol_offsets[name]);
            put_uvarint(&mut body, symbol_offsets[value]);
            lists.entry((name.to_owned(), value.to_owned())).or_default().push(at);
        }
        put_chunks(&mut body, &entry.chunks);
        put_uvarint(&mut file, body.len() as u64);
        file.extend_from_slice(&body);
        put_be_u32(&mut file, crc32c(&body));
    }
    toc.push(put_section(&mut file, b"\0\0\0\x01\0\0\0\0"));
    let mut table = Vec::new();
    put_be_u32(&mut table, lists.len() as u32);
    toc.push(file.len() as u64);
    let postings: Vec<u64> = lists
        .values()
        .map(|list| {
            let mut body = Vec::new();
            put_be_u32(&mut body, list.len() as u32);
            list.iter().for_each(|at| put_be_u32(&mut body, *at));
            put_section(&mut file, &body)
        })
        .collect();
    for ((name, value), list) in lists.keys().zip(postings).rev() {
        put_uvarint(&mut table, 2);
        put_uvarint_bytes(&mut table, name.as_bytes());
        put_uvarint_bytes(&mut table, value.as_bytes());
        put_uvarint(&mut table, list);
    }
    let mut indices = b"\0\0\0\x01\x01\x03job".to_vec();
    put_uvarint(&mut indices, toc[2]);
    let indices = put_section(&mut file, &indices);
    toc.insert(3, indices);
    toc.push(put_section(&mut file, &table));
    let start = file.len();
    toc.iter().for_each(|offset| put_be_u64(&mut file, *offset));
    let checksum = crc32c(&file[start..]);
    put_be_u32(&mut file, checksum);
    file
}

#[test]
fn version_1_is_read() {
    let series = |nth: u64| SeriesEntry {
        labels: labels(&[
            ("job", if nth < 30 { "a" } else { "b" }),
            ("pod", &format!("p{nth:02}")),
        ]),
        chunks: vec![chunk(nth, nth as i64, 100), chunk(nth, 101, 200)],
    };
    let series: Vec<SeriesEntry> = (0..70).map(series).collect();
    let dir = IndexDir::new();
    std::fs::write(dir.file(), encode(&series)).unwrap();
    let index = IndexReader::open(&dir.file()).unwrap();
    assert_holds(&index, &series);
    for (kind, name, value) in [
        (MatchType::Regex, "pod", "p1.*"),
        (MatchType::Equal, "job", "b"),
        (MatchType::NotRegex, "pod", ".*(1|2)"),
    ] {
        assert_selects(&index, &series, &[matcher(kind, name, value)]);
        assert_selects(
            &index,
            &series,
            &[matcher(kind, name, value), matcher(MatchType::NotEqual, "job", "a")],
        );
    }
}

#[test]
fn corrupted_label_indices_fail_only_verification() {
    let series = [SeriesEntry { labels: labels(&[("job", "a")]), chunks: vec![] }];
    let dir = IndexDir::new();
    let mut bytes = encode(&series);
    let at = bytes.windows(8).position(|window| window == b"\0\0\0\x01\0\0\0\0").unwrap();
    bytes[at + 7] = 1;
    std::fs::write(dir.file(), bytes).unwrap();
    let index = IndexReader::open(&dir.file()).unwrap();
    assert_eq!(index.series(index.all_series().unwrap()[0]).unwrap(), series[0]);
    assert!(verify(&index).is_err());
}
