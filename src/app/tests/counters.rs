//! Test that no counter of `/metrics` decreases, before each disk operation of maintenance.

use crate::app::tests::edge::{TestServer, request, series, snappy_block};
use crate::metrics::text::ExpositionFormat;
use crate::server::state::SharedState;
use crate::tsdb::db::{Disk, DiskFile, DiskSpace, OsDisk};
use axum::http::StatusCode;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

const HOUR: i64 = 3_600_000;
/// Start of the test data: 2025-11-05, 00:00 UTC.
const BEGIN: i64 = 1_762_300_800_000;
const CREATIONS: &str = "prometheus_tsdb_checkpoint_creations_total";

/// Last values of all counters, and the counters that decreased.
#[derive(Debug, Default)]
struct CounterWatch {
    context: OnceLock<SharedState>,
    last_values: Mutex<BTreeMap<String, f64>>,
    decreased: Mutex<Vec<String>>,
}

#[derive(Clone, Debug, Default)]
struct WatchedDisk(Arc<CounterWatch>);

impl CounterWatch {
    fn compare(&self) {
        let Some(context) = self.context.get() else { return };
        let mut last_values = self.last_values.lock();
        for (name, value) in counters(&context.process.registry.encode(ExpositionFormat::Classic)) {
            let before = last_values.insert(name.clone(), value).unwrap_or(0.0);
            if value < before {
                self.decreased.lock().push(format!("{name}: {before} to {value}"));
            }
        }
    }
}

/// Parses the values of all counters and histograms.
fn counters(text: &str) -> Vec<(String, f64)> {
    let mut family = None;
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, kind) = declared.split_once(' ').unwrap();
            family = ["counter", "histogram"].contains(&kind).then_some(name);
        } else if let Some(name) = family.filter(|name| line.starts_with(name)) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(series.starts_with(name), "{line}");
            found.push((series.to_owned(), value.parse().unwrap()));
        }
    }
    found
}

impl Disk for WatchedDisk {
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.0.compare();
        OsDisk.create_new(path)
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        OsDisk.open_append(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.compare();
        OsDisk.create_dir(path)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.compare();
        OsDisk.hard_link(from, to)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.compare();
        OsDisk.create_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.compare();
        OsDisk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.compare();
        OsDisk.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.compare();
        OsDisk.remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.compare();
        OsDisk.sync_dir(path)
    }

    fn space(&self, path: &Path) -> io::Result<DiskSpace> {
        OsDisk.space(path)
    }
}

/// Writes ten hours of samples with a maintenance run per hour. Returns the counters.
async fn counters_after_ten_hours(segment_size: &str) -> BTreeMap<String, f64> {
    let disk = WatchedDisk::default();
    let segment_size = format!("--storage.tsdb.wal-segment-size={segment_size}");
    let flags =
        ["--storage.tsdb.min-block-duration=1h", "--storage.tsdb.retention.time=4h", &segment_size];
    let edge = TestServer::ready_on(Arc::new(disk.clone()), &flags).await;
    disk.0.context.set(edge.context.clone()).unwrap();
    for hour in 0..10 {
        for minute in 0..60 {
            let t = BEGIN + hour * HOUR + minute * 60_000;
            let value = |number: i64| {
                f64::from_bits((t as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15 + number as u64) >> 2)
            };
            let all = (0..50)
                .map(|number| series(&format!("s{number}"), &[(t, value(number))]))
                .collect();
            assert_eq!(
                edge.write(snappy_block(&request(all))).await.status,
                StatusCode::NO_CONTENT
            );
        }
        edge.context
            .process
            .db
            .ready()
            .unwrap()
            .maintenance()
            .run_once(BEGIN + hour * HOUR)
            .unwrap();
        disk.0.compare();
    }
    let decreased = disk.0.decreased.lock();
    assert!(decreased.is_empty(), "{decreased:?}");
    disk.0.last_values.lock().clone()
}

#[tokio::test]
async fn counters_do_not_decrease_during_maintenance() {
    let untruncated_wal = counters_after_ten_hours("128MB").await;
    assert!(untruncated_wal["prometheus_tsdb_head_truncations_total"] > 5.0);
    let truncated_wal = counters_after_ten_hours("64KB").await;
    assert!(truncated_wal[CREATIONS] > 0.0);
    assert!(truncated_wal["prometheus_tsdb_time_retentions_total"] > 0.0);
}
