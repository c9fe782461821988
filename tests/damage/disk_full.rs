//! A disk that fills up, for real: a small file system of the test's own, mounted for it. Only root
//! may mount; without that these tests fail.
//!
//! Each case is the same story: senders write; the disk fills; writes are answered 503 with
//! `Retry-After` while reads go on and the server stays ready; space comes back and writes with it,
//! without a restart; kill -9; after the restart every acknowledged sample is there, once. A new
//! case is a [`Case`]: flags, how much the filler leaves, and at which fault point it fills the
//! disk.

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
/// Between two samples of a series, ms: a chunk is full after half an hour of data.
const STEP: i64 = 15_000;
const SAMPLES: i64 = 10;
/// No sender gets further ahead of another, in steps: what is an hour late is refused.
const LEAD: i64 = 100;
/// After each request, so that a case ends long before the disk is full by itself.
const PACE: Duration = Duration::from_millis(25);

/// A small file system, unmounted when dropped.
struct SmallDisk {
    place: TempDir,
}

impl SmallDisk {
    fn mount(size: &str) -> Self {
        let place = dir::temp();
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(place.path())
            .status();
        let mounted = mounted.expect("there is a command to mount");
        assert!(mounted.success(), "a tmpfs can't be mounted: these tests need root");
        SmallDisk { place }
    }

    fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }

    fn free(&self) -> u64 {
        let found =
            rustix::fs::statvfs(self.place.path()).expect("a mounted file system has figures");
        found.f_bavail * found.f_frsize
    }

    /// Writes a file until so many bytes are left; with 0 until not one more is taken.
    fn fill(&self, leave: u64) -> Filler {
        let path = self.place.path().join("filler");
        let mut file =
            OpenOptions::new().create(true).append(true).open(&path).expect("a filler can be made");
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
        // Also where a process that the failed test left behind still has files open there.
        let unmounted = Command::new("umount").arg("-l").arg(self.place.path()).status();
        assert!(
            std::thread::panicking() || unmounted.is_ok_and(|status| status.success()),
            "the tmpfs is still mounted"
        );
    }
}

/// What takes the space, until it is removed.
struct Filler {
    path: PathBuf,
}

impl Filler {
    fn remove(self) {
        std::fs::remove_file(&self.path).expect("the filler can be removed");
    }
}

/// What the senders share.
#[derive(Default)]
struct Ingest {
    ledger: Ledger,
    /// Time of the next request of each sender, in steps.
    at: [AtomicI64; SENDERS],
    taken: AtomicUsize,
    refused: AtomicUsize,
    stop: AtomicBool,
}

impl Ingest {
    /// One sender: repeats what is refused, until it is told to stop or the server is gone.
    fn send(&self, sender: usize, server: &crate::support::remote::Remote) {
        while !self.stop.load(Ordering::SeqCst) {
            let at = self.at[sender].load(Ordering::SeqCst);
            if self.at.iter().any(|other| other.load(Ordering::SeqCst) + LEAD < at) {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            let request = request(sender, at);
            self.ledger.sending(&request);
            let Ok(answer) = server.try_write(&request) else { return };
            match answer.status {
                204 => {
                    self.ledger.acknowledged(&request);
                    self.at[sender].fetch_add(SAMPLES, Ordering::SeqCst);
                    self.taken.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(PACE);
                }
                503 => {
                    let seconds: u64 = answer
                        .header("retry-after")
                        .and_then(|seconds| seconds.parse().ok())
                        .unwrap_or_else(|| panic!("a 503 without Retry-After: {}", answer.text()));
                    assert!((1..=5).contains(&seconds));
                    self.refused.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(20));
                }
                status => panic!("a good write was answered {status}: {}", answer.text()),
            }
        }
    }

    /// Waits until so many more requests were taken.
    fn await_taken(&self, more: usize) {
        let before = self.taken.load(Ordering::SeqCst);
        wait_until("writes to be taken", || self.taken.load(Ordering::SeqCst) >= before + more);
    }

    fn await_refused(&self, more: usize) {
        let before = self.refused.load(Ordering::SeqCst);
        wait_until("writes to be refused", || self.refused.load(Ordering::SeqCst) >= before + more);
    }
}

/// Some samples of each of the sender's series.
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

/// How a disk fills.
struct Case {
    /// Beside those that every case has.
    flags: &'static [&'static str],
    /// Bytes that are left free.
    leave: u64,
    /// The disk fills while the server is held there; by default whenever it comes.
    at_point: Option<&'static str>,
    /// What an earlier life does, before anything goes wrong.
    before: Before,
    /// What the upkeep must have brought about in the end, beside the samples.
    achieved: fn(&Server, &Path) -> bool,
}

/// What an earlier life does.
enum Before {
    /// There is none.
    Nothing,
    /// It makes this many blocks of the head, each of an hour, that the next life merges.
    Blocks(i64),
}

const USUAL: Case =
    Case { flags: &[], leave: 0, at_point: None, before: Before::Nothing, achieved: |_, _| true };

/// The head becomes a block every hour of data.
const HOURLY: &str = "--storage.tsdb.min-block-duration=1h";

impl Case {
    fn launch(&self, disk: &SmallDisk) -> Launch {
        let flags = ["--storage.tsdb.wal-segment-size=1MB"];
        flags
            .iter()
            .chain(self.flags)
            .fold(Launch::narthex(&disk.data()), |launch, flag| launch.flag(*flag))
    }

    /// The whole story.
    fn run(&self) {
        let disk = SmallDisk::mount("64m");
        let ingest = Ingest::default();
        self.live_before(&disk, &ingest);
        let mut server = match self.at_point {
            None => self.launch(&disk).start(),
            Some(point) => {
                let setting = format!("{point}=pause:{}", marker(&disk).display());
                self.launch(&disk).env("NARTHEX_FAULT_POINTS", setting).start()
            }
        };
        let remote = server.remote();
        std::thread::scope(|scope| {
            // Also where an assertion fails, so that the senders end.
            let _stop = StopAtEnd(&ingest.stop);
            for sender in 0..SENDERS {
                let (ingest, remote) = (&ingest, remote.clone());
                scope.spawn(move || ingest.send(sender, &remote));
            }
            let filler = self.fill(&disk, &ingest);
            ingest.await_refused(2 * SENDERS);
            read_only(&server, &ingest);
            filler.remove();
            ingest.await_taken(10 * SENDERS);
            wait_until("the server to be writable", || {
                Metrics::of(&server.http).sum("narthex_tsdb_writable") == Some(1.0)
            });
            wait_until("what was interrupted to be completed", || {
                (self.achieved)(&server, &disk.data())
            });
            let lost =
                ingest.ledger.acknowledged_so_far().beyond(&server.remote().read_all_points());
            assert!(lost.count() == 0, "acknowledged and not read: {lost:?}");
            server.program.kill();
        });
        let server = self.launch(&disk).start();
        ingest.ledger.check(&server.remote().read_all_points(), "after a full disk and a kill");
        assert_no_leftovers(&disk.data());
        server.stop();
    }

    /// The life before the story.
    fn live_before(&self, disk: &SmallDisk, ingest: &Ingest) {
        let Before::Blocks(blocks) = self.before else { return };
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
        wait_until("blocks of the head", || {
            Metrics::of(&server.http).sum("prometheus_tsdb_blocks_loaded") >= Some(blocks as f64)
        });
        server.stop();
    }

    /// Fills the disk when the time has come.
    fn fill(&self, disk: &SmallDisk, ingest: &Ingest) -> Filler {
        if self.at_point.is_none() {
            ingest.await_taken(20 * SENDERS);
            return disk.fill(self.leave);
        }
        let marker = marker(disk);
        wait_until("the fault point to be reached", || marker.exists());
        let filler = disk.fill(self.leave);
        std::fs::remove_file(&marker).expect("the marker can be removed");
        filler
    }
}

struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn marker(disk: &SmallDisk) -> PathBuf {
    disk.place.path().join("held")
}

/// What was not finished is gone.
fn assert_no_leftovers(data: &Path) {
    for folder in [data.to_owned(), data.join("wal")] {
        let names = std::fs::read_dir(&folder).expect("the folder can be listed");
        let names = names.map(|entry| {
            entry.expect("an entry can be read").file_name().into_string().expect("UTF-8")
        });
        let left: Vec<String> = names.filter(|name| name.contains(".tmp")).collect();
        assert!(left.is_empty(), "{}: {left:?}", folder.display());
    }
}

/// Levels of the blocks in a directory.
fn levels(data: &Path) -> Vec<u64> {
    let entries = std::fs::read_dir(data).expect("the directory can be listed");
    let metas = entries.map(|entry| entry.expect("an entry can be read").path().join("meta.json"));
    // A block that goes meanwhile is none; nor is one that is not finished.
    let metas = metas.filter(|path| !path.to_string_lossy().contains(".tmp"));
    let texts = metas.filter_map(|path| std::fs::read_to_string(path).ok());
    texts
        .filter_map(|text| {
            let meta: serde_json::Value = serde_json::from_str(&text).expect("a meta.json is JSON");
            meta["compaction"]["level"].as_u64()
        })
        .collect()
}

/// Takes no writes, but is alive and ready, answers what it has, and says why.
fn read_only(server: &Server, ingest: &Ingest) {
    assert_eq!(server.http.get("/-/ready").status, 200);
    let healthy = server.http.get("/-/healthy");
    assert_eq!(healthy.status, 200);
    assert!(
        healthy.text().contains("read-only") && healthy.text().contains("space"),
        "{}",
        healthy.text()
    );
    assert_eq!(Metrics::of(&server.http).sum("narthex_tsdb_writable"), Some(0.0));
    // What was acknowledged before the read began.
    let acknowledged = ingest.ledger.acknowledged_so_far();
    let lost = acknowledged.beyond(&server.remote().read_all_points());
    assert!(lost.count() == 0, "acknowledged and not read: {lost:?}");
}

#[test]
fn below_the_reserve_writes_wait_and_reads_go_on() {
    Case { flags: &["--storage.tsdb.disk-reserve=16MB"], leave: 12 << 20, ..USUAL }.run();
}

#[test]
fn with_the_last_byte_taken_writes_wait_and_reads_go_on() {
    Case { flags: &["--storage.tsdb.disk-reserve=0"], ..USUAL }.run();
}

#[test]
fn with_the_last_byte_taken_and_each_write_synced_as_well() {
    Case { flags: &["--storage.tsdb.disk-reserve=0", "--storage.tsdb.wal-sync=always"], ..USUAL }
        .run();
}

#[test]
fn a_disk_that_fills_while_the_log_begins_a_new_segment() {
    Case { flags: &["--storage.tsdb.disk-reserve=0"], at_point: Some("wal.segment_roll"), ..USUAL }
        .run();
}

#[test]
fn a_disk_that_fills_while_full_chunks_are_written() {
    Case {
        flags: &["--storage.tsdb.disk-reserve=0"],
        at_point: Some("head_chunks.write"),
        ..USUAL
    }
    .run();
}

#[test]
fn a_disk_that_fills_while_the_head_becomes_a_block() {
    Case {
        flags: &["--storage.tsdb.disk-reserve=0", HOURLY],
        at_point: Some("block.write"),
        achieved: |_, data| !levels(data).is_empty(),
        ..USUAL
    }
    .run();
}

#[test]
fn a_disk_that_fills_while_a_checkpoint_is_written() {
    Case {
        flags: &["--storage.tsdb.disk-reserve=0", HOURLY],
        at_point: Some("checkpoint.write"),
        achieved: |server, _| {
            let metrics = Metrics::of(&server.http);
            let begun = metrics.sum("prometheus_tsdb_checkpoint_creations_total");
            let failed = metrics.sum("prometheus_tsdb_checkpoint_creations_failed_total");
            begun > failed
        },
        ..USUAL
    }
    .run();
}

#[test]
fn a_disk_that_fills_while_blocks_are_merged() {
    Case {
        flags: &["--storage.tsdb.disk-reserve=0", HOURLY],
        at_point: Some("compact.write"),
        before: Before::Blocks(4),
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
    let refused = server.remote().write(&request(0, SAMPLES));
    assert_eq!(refused.status, 503, "{}", refused.text());
    read_only(&server, &ingest);
    filler.remove();
    wait_until("writes to be taken", || server.remote().write(&request(0, SAMPLES)).status == 204);
    server.stop();
}

/// A 503 of a commit that met the full disk: the samples are in the head and in the WAL's queue.
/// Whatever comes next, none is there twice, and what was acknowledged is there.
#[test]
fn refused_write_is_stored_at_most_once() {
    for is_repeated in [false, true] {
        let when = if is_repeated {
            "acknowledged on repeat, then killed"
        } else {
            "killed while the disk was full"
        };
        let disk = SmallDisk::mount("64m");
        let launch = || Launch::narthex(&disk.data()).flag("--storage.tsdb.disk-reserve=0");
        let ledger = Ledger::default();
        let server = launch().start();
        let write = |server: &Server, request: &WriteRequest| {
            ledger.sending(request);
            let answer = server.remote().write(request);
            if answer.status == 204 {
                ledger.acknowledged(request);
            }
            answer
        };
        assert_eq!(write(&server, &request(0, 0)).status, 204);
        let filler = disk.fill(0);
        // The file system may have room in the last page of the WAL.
        let mut at = 0;
        let refused = loop {
            at += SAMPLES;
            let answer = write(&server, &request(0, at));
            if answer.status != 204 {
                break answer;
            }
        };
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert!(
            refused.header("retry-after").is_some(),
            "a 503 without Retry-After: {}",
            refused.text()
        );
        assert_eq!(write(&server, &request(0, at)).status, 503, "a repeat while the disk is full");
        let lost = ledger.acknowledged_so_far().beyond(&server.remote().read_all_points());
        assert!(lost.count() == 0, "{when}: acknowledged and not read: {lost:?}");
        if is_repeated {
            filler.remove();
            wait_until("the repeat to be taken", || write(&server, &request(0, at)).status == 204);
        }
        server.kill();
        // Frees the space where that has not happened yet.
        let _ = std::fs::remove_file(disk.place.path().join("filler"));
        let server = launch().start();
        ledger.check(&server.remote().read_all_points(), when);
        assert_eq!(
            write(&server, &request(0, at)).status,
            204,
            "{when}: a repeat after the restart"
        );
        server.kill();
        let server = launch().start();
        let read = server.remote().read_all_points();
        ledger.check(&read, when);
        assert_eq!(read.count(), ledger.acknowledged_count(), "{when}");
        server.stop();
    }
}

/// That the helper of these tests does what it says.
#[test]
fn a_filled_disk_takes_not_one_more_byte() {
    let disk = SmallDisk::mount("4m");
    let filler = disk.fill(1 << 20);
    assert!(disk.free() <= 1 << 20 && disk.free() > 0);
    let path: &Path = &disk.place.path().join("more");
    assert!(File::create(path).and_then(|mut file| file.write_all(&[0; 2 << 20])).is_err());
    filler.remove();
}
