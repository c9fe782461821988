//! `/api/v1/status/tsdb/blocks` and `/api/v1/status/tsdb` on a directory with blocks.

use crate::support::dir;
use crate::support::golden;
use crate::support::launch::Launch;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Contents of every `meta.json`, by ULID.
fn metas(data: &Path) -> BTreeMap<String, Value> {
    let entries =
        fs::read_dir(data).expect("a data directory").map(|entry| entry.expect("an entry"));
    let files = entries.map(|entry| entry.path().join("meta.json")).filter(|file| file.exists());
    let read = |file| {
        let meta: Value = serde_json::from_slice(&fs::read(file).expect("a file")).expect("JSON");
        (meta["ulid"].as_str().expect("a ULID").to_owned(), meta)
    };
    files.map(read).collect()
}

#[test]
fn blocks_have_the_fields_of_their_meta_files() {
    let temp_dir = dir::temp();
    let data = golden::unpack("blocks-clean", temp_dir.path());
    let expected = metas(&data);
    assert!(expected.len() > 1, "{expected:?}");
    // A field of Thanos, which Prometheus does not know.
    let (ulid, meta) = expected.first_key_value().expect("a block");
    let mut with_thanos = meta.clone();
    with_thanos["thanos"] = json!({"labels": {}});
    fs::write(data.join(ulid).join("meta.json"), with_thanos.to_string()).expect("a file");

    let server = Launch::narthex(&data).flag("--storage.tsdb.retention.time=100y").start();
    let response = server.http.get("/api/v1/status/tsdb/blocks").json();
    assert_eq!(response["status"], "success");
    let blocks = response["data"]["blocks"].as_array().expect("a list").clone();
    assert!(blocks.is_sorted_by_key(|block| block["minTime"].as_i64()), "{blocks:?}");
    let got: BTreeMap<String, Value> = blocks
        .into_iter()
        .map(|block| (block["ulid"].as_str().expect("a ULID").to_owned(), block))
        .collect();
    assert_eq!(got, expected);

    let head = server.http.get("/api/v1/status/tsdb?limit=1").json()["data"]["headStats"].clone();
    let end = expected.values().map(|meta| meta["maxTime"].as_i64()).max().expect("a block");
    assert!(head["numSeries"].as_u64() > Some(0), "{head}");
    assert!(
        head["minTime"].as_i64() >= end && head["maxTime"].as_i64() > head["minTime"].as_i64(),
        "{head}"
    );
}

#[test]
fn empty_head_begins_at_the_end_of_the_blocks() {
    let temp_dir = dir::temp();
    let data = golden::unpack("snapshot-admin", temp_dir.path());
    let end = metas(&data).values().map(|meta| meta["maxTime"].clone()).max_by_key(Value::as_i64);
    let end = end.expect("a block");
    let server = Launch::narthex(&data).flag("--storage.tsdb.retention.time=100y").start();
    let status = server.http.get("/api/v1/status/tsdb").json();
    let head = json!({
        "numSeries": 0, "numLabelPairs": 0, "chunkCount": 0, "minTime": end, "maxTime": end,
    });
    assert_eq!(status["data"]["headStats"], head, "{status}");
    assert_eq!(status["data"]["seriesCountByMetricName"], json!([]), "{status}");
}
