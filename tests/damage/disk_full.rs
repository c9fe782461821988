//! A full disk, on a small file system that the test mounts. Mounting requires root; without it,
//! these tests fail.
//!
//! Each case is the same scenario:
//! 1. Senders write, and the disk becomes full.
//! 2. Writes get 503 with `Retry-After`; reads work and the server stays ready.
//! 3. Space is freed, and writes succeed without a restart.
//! 4. The server is killed and restarted. Every acknowledged sample is stored once.
//!
//! A [`Case`] sets the flags, the remaining space and the fail point at which the disk becomes
//! full.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::data::{BEGIN, HOUR};
use crate::support::dir;
use crate::support::launch::{Launch, Server};
use crate::support::ledger::Ledger;
use crate::support::metrics::Metrics;
use crate::support::wait::wait_until;
use crate::support::wire::{Label, Sample, TimeSeries, WriteRequest};

const SENDERS: usize = 3;
const SERIES: usize = 60;
/// Interval of the samples of a series, ms. A chunk is full after half an hour of data.
const STEP: i64 = 15_000;
const SAMPLES: i64 = 10;
/// Maximum lead of a sender over another, in steps: samples that are an hour older are rejected.
const LEAD: i64 = 100;
/// Pause after each request, so that a case ends long before the samples fill the disk.
const PACE: Duration = Duration::from_millis(25);

/// A small file system, unmounted when dropped.
struct SmallDisk {
    temp_dir: TempDir,
}

impl SmallDisk {
    fn mount(size: &str) -> Self {
        let temp_dir = dir::temp();
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(temp_dir.path())
            .status();
        let mounted = mounted.expect("a mount command");
        assert!(mounted.success(), "cannot mount a tmpfs: these tests need root");
        SmallDisk { temp_dir }
    }

    fn data(&self) -> PathBuf {
        self.temp_dir.path().join("data")
    }

    fn free(&self) -> u64 {
        let found = rustix::fs::statvfs(self.temp_dir.path())
            .expect("a mounted file system has statistics");
        found.f_bavail * found.f_frsize
    }

    /// Writes a file until `leave` bytes are free; with 0, until a write fails.
    fn fill(&self, leave: u64) -> Filler {
        let path = self.temp_dir.path().join("filler");
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .expect("a filler can be created");
        let block = [1; 4096];
        while self.free() > leave {
            if file.write_all(&block).is_err() {
                break;
            }
        }
        Filler { path }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazy: a process of a failed test may still have files open.
        let unmounted = Command::new("umount").arg("-l").arg(self.temp_dir.path()).status();
        assert!(
            std::thread::panicking() || unmounted.is_ok_and(|status| status.success()),
            "the tmpfs is still mounted"
        );
    }
}

/// File that fills the disk until it is removed.
struct Filler {
    path: PathBuf,
}

impl Filler {
    fn remove(self) {
        std::fs::remove_file(&self.path).expect("the filler can be removed");
    }
}

/// State that the senders share.
#[derive(Default)]
struct Ingest {
    ledger: Ledger,
    /// Time of the next request of each sender, in steps.
    at: [AtomicI64; SENDERS],
    stored: AtomicUsize,
    rejected: AtomicUsize,
    stop: AtomicBool,
}

impl Ingest {
    /// Runs a sender that retries rejected requests until `stop` is set or the server is gone.
    fn send(&self, sender: usize, server: &crate::support::remote::Remote) {
        while !self.stop.load(Ordering::SeqCst) {
            let at = self.at[sender].load(Ordering::SeqCst);
            if self.at.iter().any(|other| other.load(Ordering::SeqCst) + LEAD < at) {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            let request = request(sender, at);
            self.ledger.sending(&request);
            let Ok(response) = server.try_write(&request) else { return };
            match response.status {
                204 => {
                    self.ledger.acknowledged(&request);
                    self.at[sender].fetch_add(SAMPLES, Ordering::SeqCst);
                    self.stored.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(PACE);
                }
                503 => {
                    let seconds: u64 = response
                        .header("retry-after")
                        .and_then(|seconds| seconds.parse().ok())
                        .unwrap_or_else(|| panic!("503 without Retry-After: {}", response.text()));
                    assert!((1..=5).contains(&seconds));
                    self.rejected.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(20));
                }
                status => panic!("status {status} for a valid write: {}", response.text()),
            }
        }
    }

    /// Waits until `more` further requests are stored.
    fn await_stored(&self, more: usize) {
        let before = self.stored.load(Ordering::SeqCst);
        wait_until("successful writes", || self.stored.load(Ordering::SeqCst) >= before + more);
    }

    fn await_rejected(&self, more: usize) {
        let before = self.rejected.load(Ordering::SeqCst);
        wait_until("rejected writes", || self.rejected.load(Ordering::SeqCst) >= before + more);
    }
}

/// Returns a request with [`SAMPLES`] samples of each series of the sender.
fn request(sender: usize, at: i64) -> WriteRequest {
    let series = |number: usize| {
        let pair = |name: &str, value: String| Label { name: name.to_owned(), value };
        let bits = |step: i64| {
            (step as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number as u64) >> 2
        };
        let sample = |step: i64| Sample { bits: Some(bits(step)), timestamp: BEGIN + step * STEP };
        TimeSeries {
            labels: vec![
                pair("__name__", "full".to_owned()),
                pair("number", number.to_string()),
                pair("sender", sender.to_string()),
            ],
            samples: (at..at + SAMPLES).map(sample).collect(),
            ..TimeSeries::default()
        }
    };
    WriteRequest { timeseries: (0..SERIES).map(series).collect(), ..WriteRequest::default() }
}

/// Scenario of a full disk.
struct Case {
    /// Flags in addition to the common ones.
    flags: &'static [&'static str],
    /// Remaining free space, bytes.
    leave: u64,
    /// Fail point at which the server is paused while the disk is filled; `None` = no pause.
    at_point: Option<&'static str>,
    /// Preparation of the data directory.
    before: Preparation,
    /// Returns `true` when maintenance has completed the interrupted work.
    achieved: fn(&Server, &Path) -> bool,
}

/// Preparation of the data directory by an earlier process.
enum Preparation {
    /// No earlier process.
    Nothing,
    /// Number of blocks of an hour that the next process merges.
    Blocks(i64),
}

const USUAL: Case = Case {
    flags: &[],
    leave: 0,
    at_point: None,
    before: Preparation::Nothing,
    achieved: |_, _| true,
};

/// Flag for head compaction every hour of data.
const HOURLY: &str = "--storage.tsdb.min-block-duration=1h";

impl Case {
    fn launch(&self, disk: &SmallDisk) -> Launch {
        let flags = ["--storage.tsdb.wal-segment-size=1MB"];
        flags
            .iter()
            .chain(self.flags)
            .fold(Launch::narthex(&disk.data()), |launch, flag| launch.flag(*flag))
    }

    /// Runs the scenario.
    fn run(&self) {
        let disk = SmallDisk::mount("64m");
        let ingest = Ingest::default();
        self.prepare(&disk, &ingest);
        let mut server = match self.at_point {
            None => self.launch(&disk).start(),
            Some(point) => {
                let setting = format!("{point}=pause:{}", marker(&disk).display());
                self.launch(&disk).env("NARTHEX_FAULT_POINTS", setting).start()
            }
        };
        let remote = server.remote();
        std::thread::scope(|scope| {
            // The senders end even if an assertion fails.
            let _stop = StopOnDrop(&ingest.stop);
            for sender in 0..SENDERS {
                let (ingest, remote) = (&ingest, remote.clone());
                scope.spawn(move || ingest.send(sender, &remote));
            }
            let filler = self.fill(&disk, &ingest);
            ingest.await_rejected(2 * SENDERS);
            assert_read_only(&server, &ingest);
            filler.remove();
            ingest.await_stored(10 * SENDERS);
            wait_until("the server to be writable", || {
                Metrics::of(&server.http).sum("narthex_tsdb_writable") == Some(1.0)
            });
            wait_until("completion of the interrupted work", || {
                (self.achieved)(&server, &disk.data())
            });
            let lost =
                ingest.ledger.acknowledged_so_far().beyond(&server.remote().read_all_points());
            assert!(lost.count() == 0, "acknowledged samples are lost: {lost:?}");
            server.program.kill();
        });
        let server = self.launch(&disk).start();
        ingest.ledger.check(&server.remote().read_all_points(), "after a full disk and a kill");
        assert_no_leftovers(&disk.data());
        server.stop();
    }

    /// Runs the earlier process.
    fn prepare(&self, disk: &SmallDisk, ingest: &Ingest) {
        let Preparation::Blocks(blocks) = self.before else { return };
        let server = self.launch(disk).flag("--storage.tsdb.max-block-duration=1h").start();
        let remote = server.remote();
        // One and a half hours stay in the head.
        let end = (blocks * HOUR + 3 * HOUR / 2) / STEP;
        for at in (0..end).step_by(SAMPLES as usize) {
            for sender in 0..SENDERS {
                let request = request(sender, at);
                ingest.ledger.sending(&request);
                remote.write_ok(&request);
                ingest.ledger.acknowledged(&request);
                ingest.at[sender].store(at + SAMPLES, Ordering::SeqCst);
            }
        }
        wait_until("head compaction", || {
            Metrics::of(&server.http).sum("prometheus_tsdb_blocks_loaded") >= Some(blocks as f64)
        });
        server.stop();
    }

    /// Fills the disk, at the fail point if there is one.
    fn fill(&self, disk: &SmallDisk, ingest: &Ingest) -> Filler {
        if self.at_point.is_none() {
            ingest.await_stored(20 * SENDERS);
            return disk.fill(self.leave);
        }
        let marker = marker(disk);
        wait_until("the fail point", || marker.exists());
        let filler = disk.fill(self.leave);
        std::fs::remove_file(&marker).expect("the marker can be removed");
        filler
    }
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn marker(disk: &SmallDisk) -> PathBuf {
    disk.temp_dir.path().join("held")
}

/// Asserts that no unfinished files exist.
fn assert_no_leftovers(data: &Path) {
    for dir in [data.to_owned(), data.join("wal")] {
        let names = std::fs::read_dir(&dir).expect("the directory can be listed");
        let names = names.map(|entry| {
            entry.expect("an entry can be read").file_name().into_string().expect("UTF-8")
        });
        let leftovers: Vec<String> = names.filter(|name| name.contains(".tmp")).collect();
        assert!(leftovers.is_empty(), "{}: {leftovers:?}", dir.display());
    }
}

/// Returns the levels of the blocks in a directory.
fn levels(data: &Path) -> Vec<u64> {
    let entries = std::fs::read_dir(data).expect("the directory can be listed");
    let metas = entries.map(|entry| entry.expect("an entry can be read").path().join("meta.json"));
    // Skips unfinished blocks, and blocks that are deleted at the same time.
    let metas = metas.filter(|path| !path.to_string_lossy().contains(".tmp"));
    let texts = metas.filter_map(|path| std::fs::read_to_string(path).ok());
    texts
        .filter_map(|text| {
            let meta: serde_json::Value = serde_json::from_str(&text).expect("a meta.json is JSON");
            meta["compaction"]["level"].as_u64()
        })
        .collect()
}

/// Asserts that the server rejects writes, is healthy and ready, returns its samples and reports
/// the cause.
fn assert_read_only(server: &Server, ingest: &Ingest) {
    assert_eq!(server.http.get("/-/ready").status, 200);
    let healthy = server.http.get("/-/healthy");
    assert_eq!(healthy.status, 200);
    assert!(
        healthy.text().contains("read-only") && healthy.text().contains("space"),
        "{}",
        healthy.text()
    );
    assert_eq!(Metrics::of(&server.http).sum("narthex_tsdb_writable"), Some(0.0));
    // Taken before the read begins.
    let acknowledged = ingest.ledger.acknowledged_so_far();
    let lost = acknowledged.beyond(&server.remote().read_all_points());
    assert!(lost.count() == 0, "acknowledged samples are lost: {lost:?}");
}

#[test]
fn below_reserve_writes_wait_and_reads_succeed() {
    Case { flags: &["--storage.tsdb.disk-reserve=16MB"], leave: 12 << 20, ..USUAL }.run();
}

#[test]
fn on_full_disk_writes_wait_and_reads_succeed() {
    Case { flags: &["--storage.tsdb.disk-reserve=0"], ..USUAL }.run();
}

#[test]
fn on_full_disk_writes_with_sync_wait_and_reads_succeed() {
    Case { flags: &["--storage.tsdb.disk-reserve=0", "--storage.tsdb.wal-sync=always"], ..USUAL }
        .run();
}

#[test]
fn disk_full_during_segment_cut_recovers() {
    Case { flags: &["--storage.tsdb.disk-reserve=0"], at_point: Some("wal.segment_roll"), ..USUAL }
        .run();
}

#[test]
fn disk_full_during_head_chunk_write_recovers() {
    Case {
        flags: &["--storage.tsdb.disk-reserve=0"],
        at_point: Some("head_chunks.write"),
        ..USUAL
    }
    .run();
}

#[test]
fn disk_full_during_head_compaction_recovers() {
    Case {
        flags: &["--storage.tsdb.disk-reserve=0", HOURLY],
        at_point: Some("block.write"),
        achieved: |_, data| !levels(data).is_empty(),
        ..USUAL
    }
    .run();
}

#[test]
fn disk_full_during_checkpoint_recovers() {
    Case {
        flags: &["--storage.tsdb.disk-reserve=0", HOURLY],
        at_point: Some("checkpoint.write"),
        achieved: |server, _| {
            let metrics = Metrics::of(&server.http);
            let started = metrics.sum("prometheus_tsdb_checkpoint_creations_total");
            let failed = metrics.sum("prometheus_tsdb_checkpoint_creations_failed_total");
            started > failed
        },
        ..USUAL
    }
    .run();
}

#[test]
fn disk_full_during_block_compaction_recovers() {
    Case {
        flags: &["--storage.tsdb.disk-reserve=0", HOURLY],
        at_point: Some("compact.write"),
        before: Preparation::Blocks(4),
        achieved: |_, data| levels(data).into_iter().any(|level| level > 1),
        ..USUAL
    }
    .run();
}

#[test]
fn start_below_reserve_reads_and_becomes_writable() {
    let disk = SmallDisk::mount("64m");
    let launch = || Launch::narthex(&disk.data()).flag("--storage.tsdb.disk-reserve=16MB");
    let ingest = Ingest::default();
    let server = launch().start();
    let first = request(0, 0);
    ingest.ledger.sending(&first);
    server.remote().write_ok(&first);
    ingest.ledger.acknowledged(&first);
    server.kill();
    let filler = disk.fill(8 << 20);
    let server = launch().start();
    let rejected = server.remote().write(&request(0, SAMPLES));
    assert_eq!(rejected.status, 503, "{}", rejected.text());
    assert_read_only(&server, &ingest);
    filler.remove();
    wait_until("a successful write", || server.remote().write(&request(0, SAMPLES)).status == 204);
    server.stop();
}

/// After a commit that failed on a full disk, the samples are in the head and in the commit queue.
/// None of them may be stored twice, and no acknowledged sample may be lost.
#[test]
fn rejected_write_is_stored_at_most_once() {
    for is_retried in [false, true] {
        let when = if is_retried {
            "acknowledged on retry, then killed"
        } else {
            "killed while the disk was full"
        };
        let disk = SmallDisk::mount("64m");
        let launch = || Launch::narthex(&disk.data()).flag("--storage.tsdb.disk-reserve=0");
        let ledger = Ledger::default();
        let server = launch().start();
        let write = |server: &Server, request: &WriteRequest| {
            ledger.sending(request);
            let response = server.remote().write(request);
            if response.status == 204 {
                ledger.acknowledged(request);
            }
            response
        };
        assert_eq!(write(&server, &request(0, 0)).status, 204);
        let filler = disk.fill(0);
        // The file system may have space in the last page of the WAL.
        let mut at = 0;
        let rejected = loop {
            at += SAMPLES;
            let response = write(&server, &request(0, at));
            if response.status != 204 {
                break response;
            }
        };
        assert_eq!(rejected.status, 503, "{}", rejected.text());
        assert!(
            rejected.header("retry-after").is_some(),
            "503 without Retry-After: {}",
            rejected.text()
        );
        assert_eq!(write(&server, &request(0, at)).status, 503, "a retry while the disk is full");
        let lost = ledger.acknowledged_so_far().beyond(&server.remote().read_all_points());
        assert!(lost.count() == 0, "{when}: acknowledged samples are lost: {lost:?}");
        if is_retried {
            filler.remove();
            wait_until("a successful retry", || write(&server, &request(0, at)).status == 204);
        }
        server.kill();
        // Ignored: the filler may be removed already.
        let _ = std::fs::remove_file(disk.temp_dir.path().join("filler"));
        let server = launch().start();
        ledger.check(&server.remote().read_all_points(), when);
        assert_eq!(
            write(&server, &request(0, at)).status,
            204,
            "{when}: a retry after the restart"
        );
        server.kill();
        let server = launch().start();
        let read = server.remote().read_all_points();
        ledger.check(&read, when);
        assert_eq!(read.count(), ledger.acknowledged_count(), "{when}");
        server.stop();
    }
}

/// Tests the helper of these tests.
#[test]
fn filled_disk_rejects_writes() {
    let disk = SmallDisk::mount("4m");
    let filler = disk.fill(1 << 20);
    assert!(disk.free() <= 1 << 20 && disk.free() > 0);
    let path: &Path = &disk.temp_dir.path().join("more");
    assert!(File::create(path).and_then(|mut file| file.write_all(&[0; 2 << 20])).is_err());
    filler.remove();
}
