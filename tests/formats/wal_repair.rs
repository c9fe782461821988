//! Repair of a corrupted WAL. It keeps the records before the corruption and quarantines the rest,
//! also after a power failure during the repair.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::golden;
use narthex::testing::crash_disk::{CrashDisk, DiskCall};
use narthex::tsdb::fs::os_disk::OsDisk;
use narthex::tsdb::wal::compression::RecordCompression;
use narthex::tsdb::wal::corruption::WalCorruption;
use narthex::tsdb::wal::page::{PAGE_SIZE, append_record};
use narthex::tsdb::wal::reader::{LogSegmentReader, ReadLogError};
use narthex::tsdb::wal::repair::{RepairError, RepairReport, repair};
use narthex::tsdb::wal::segment::list_segments;

/// Data directory with a WAL of four segments with three records each.
struct Log {
    _place: tempfile::TempDir,
    wal: PathBuf,
    quarantine: PathBuf,
}

const RECORD: usize = 20_000;

fn record(segment: usize, number: usize) -> Vec<u8> {
    vec![(segment * 16 + number) as u8; RECORD]
}

impl Log {
    fn new() -> Log {
        let temp_dir = tempfile::tempdir().unwrap();
        let wal = temp_dir.path().join("wal");
        fs::create_dir(&wal).unwrap();
        for segment in 0..4 {
            let mut bytes = Vec::new();
            for number in 0..3 {
                let offset = bytes.len() as u64;
                append_record(
                    &mut bytes,
                    offset,
                    &record(segment, number),
                    RecordCompression::None,
                );
            }
            if segment < 3 {
                bytes.resize(2 * PAGE_SIZE, 0);
            }
            fs::write(wal.join(format!("{segment:08}")), bytes).unwrap();
        }
        Log { wal, quarantine: temp_dir.path().join("quarantine"), _place: temp_dir }
    }

    fn segment(&self, number: usize) -> PathBuf {
        self.wal.join(format!("{number:08}"))
    }

    fn change(&self, number: usize, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.segment(number)).unwrap();
        change(&mut bytes);
        fs::write(self.segment(number), bytes).unwrap();
    }

    /// Returns the records up to the first corruption.
    fn read(&self) -> (Vec<Vec<u8>>, Option<Box<WalCorruption>>) {
        let mut records = Vec::new();
        for segment in list_segments(&self.wal).unwrap() {
            let mut reader = LogSegmentReader::open(segment).unwrap();
            loop {
                match reader.next_record() {
                    Ok(Some(record)) => records.push(record.to_vec()),
                    Ok(None) => break,
                    Err(ReadLogError::Corrupted(corruption)) => return (records, Some(corruption)),
                    Err(error) => panic!("{error}"),
                }
            }
        }
        (records, None)
    }

    fn repair(&self) -> RepairReport {
        let corruption = self.read().1.expect("a corrupted WAL");
        repair(&OsDisk, &self.wal, &self.quarantine, &corruption).unwrap()
    }

    /// Returns the files in quarantine by name.
    fn quarantined(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        for dir in fs::read_dir(&self.quarantine).into_iter().flatten() {
            for file in fs::read_dir(dir.unwrap().path()).unwrap() {
                let file = file.unwrap();
                files.push((
                    file.file_name().into_string().unwrap(),
                    fs::read(file.path()).unwrap(),
                ));
            }
        }
        files.sort();
        files
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[test]
fn torn_tail_of_last_segment_is_truncated() {
    let log = Log::new();
    let end = fs::metadata(log.segment(3)).unwrap().len();
    log.change(3, |bytes| bytes.truncate(bytes.len() - 10));
    let repaired = log.repair();
    let kept = (2 * RECORD + 3 * 7) as u64;
    assert_eq!(
        (repaired.corruption.segment, repaired.retained_bytes, repaired.removed_bytes),
        (3, kept, end - 10 - kept)
    );
    assert_eq!(repaired.quarantined, None);
    let (records, corruption) = log.read();
    assert_eq!((records.len(), corruption.is_none()), (11, true));
    assert!(!log.quarantine.exists());
    assert!(
        repaired.to_string().contains(&format!("retained the first {kept} bytes of the file")),
        "{repaired}"
    );
}

#[test]
fn empty_segment_after_torn_tail_is_kept() {
    let log = Log::new();
    log.change(3, |bytes| bytes.truncate(bytes.len() - 10));
    fs::write(log.segment(4), b"").unwrap();
    assert_eq!(log.repair().quarantined, None);
    assert!(log.read().1.is_none());
    assert_eq!(list_segments(&log.wal).unwrap().len(), 5);
}

#[test]
fn corrupted_segment_rest_and_later_segments_are_quarantined() {
    let log = Log::new();
    log.change(1, |bytes| bytes[RECORD + 100] ^= 4);
    let later = [fs::read(log.segment(2)).unwrap(), fs::read(log.segment(3)).unwrap()];
    let tail = fs::read(log.segment(1)).unwrap()[RECORD + 7..].to_vec();
    let repaired = log.repair();
    let (records, corruption) = log.read();
    assert!(corruption.is_none());
    assert_eq!(records, [record(0, 0), record(0, 1), record(0, 2), record(1, 0)]);
    let quarantined = repaired.quarantined.unwrap();
    assert_eq!(quarantined.folder, log.quarantine.join("wal-00000001-at-20007"));
    assert_eq!(
        (quarantined.segments, quarantined.bytes),
        (vec![2, 3], (tail.len() + later[0].len() + later[1].len()) as u64)
    );
    let [two, three] = later;
    let expected = [
        ("00000001.from-20007".to_owned(), tail),
        ("00000002".to_owned(), two),
        ("00000003".to_owned(), three),
    ];
    assert_eq!(log.quarantined(), expected);
    // The same corruption again gets another directory.
    log.change(1, |bytes| bytes.extend_from_slice(b"\x05 not a fragment"));
    write_later_segment(&log);
    assert_eq!(
        log.repair().quarantined.unwrap().folder,
        log.quarantine.join("wal-00000001-at-20007-2")
    );
}

fn write_later_segment(log: &Log) {
    fs::write(log.segment(2), b"\x01\0\x01\0\0\0\0x").unwrap();
}

#[test]
fn segments_after_torn_one_are_quarantined() {
    let log = Log::new();
    log.change(2, |bytes| bytes.truncate(PAGE_SIZE + 10));
    assert_eq!(log.repair().quarantined.unwrap().segments, [3]);
    assert_eq!(log.read().0.len(), 7);
    assert!(log.read().1.is_none());
}

#[test]
fn corruption_outside_of_wal_is_not_repaired() {
    let log = Log::new();
    log.change(3, |bytes| bytes.truncate(100));
    let mut corruption = log.read().1.unwrap();
    corruption.path = log.wal.join("checkpoint.00000001/00000003");
    let result = repair(&OsDisk, &log.wal, &log.quarantine, &corruption);
    assert!(matches!(result, Err(RepairError::Foreign { .. })), "{result:?}");
    assert_eq!(fs::metadata(log.segment(3)).unwrap().len(), 100);
}

/// Corrupts a WAL.
type Corrupt = fn(&Log);

#[test]
fn power_failure_at_any_step_is_completed_by_next_repair() {
    let cases: [(&str, Corrupt); 3] = [
        ("middle", |log| log.change(1, |bytes| bytes[RECORD + 100] ^= 4)),
        ("torn with later segments", |log| log.change(1, |bytes| bytes.truncate(PAGE_SIZE + 10))),
        ("torn", |log| log.change(3, |bytes| bytes.truncate(bytes.len() - 10))),
    ];
    for (context, corrupt) in cases {
        let mut steps = 0;
        loop {
            let log = Log::new();
            corrupt(&log);
            let good = log.read().0;
            let before: BTreeMap<_, _> =
                (0..4).map(|n| (format!("{n:08}"), fs::read(log.segment(n)).unwrap())).collect();
            let disk = CrashDisk::new();
            disk.set_power(steps);
            let found = log.read().1.unwrap();
            let first = repair(&disk, &log.wal, &log.quarantine, &found);
            disk.crash().unwrap();
            let (records, remaining) = log.read();
            assert!(
                records.starts_with(&good) && records.len() == good.len(),
                "{context}, step {steps}"
            );
            assert_eq!(first.is_ok(), remaining.is_none(), "{context}, step {steps}");
            if remaining.is_some() {
                log.repair();
            }
            let (records, remaining) = log.read();
            assert!(remaining.is_none() && records == good, "{context}, step {steps}");
            if context != "torn" {
                assert_nothing_lost(&log, &before, steps);
            }
            if first.is_ok() {
                break;
            }
            steps += 1;
        }
        assert!(steps >= if context == "torn" { 1 } else { 8 }, "{context}: {steps} steps");
    }
}

/// Asserts that the quarantine has all later segments and the removed tail of the corrupted one.
fn assert_nothing_lost(log: &Log, before: &BTreeMap<String, Vec<u8>>, steps: u64) {
    let files = log.quarantined();
    for number in [2, 3] {
        let name = format!("{number:08}");
        assert!(files.contains(&(name.clone(), before[&name].clone())), "{name}, step {steps}");
    }
    let kept = fs::read(log.segment(1)).unwrap();
    let tail = &before["00000001"][kept.len()..];
    let is_torn = tail.len() < RECORD;
    assert!(is_torn || files.iter().any(|(_, bytes)| bytes == tail), "tail, step {steps}");
}

#[test]
fn failed_repair_is_completed_by_next_repair() {
    for call in
        [DiskCall::Sync, DiskCall::Truncate, DiskCall::SyncDir, DiskCall::Create, DiskCall::Append]
    {
        let log = Log::new();
        log.change(1, |bytes| bytes[RECORD + 100] ^= 4);
        let (good, corruption) = log.read();
        let disk = CrashDisk::new();
        disk.fail_with_no_space(call, 1);
        let failed = repair(&disk, &log.wal, &log.quarantine, &corruption.unwrap());
        assert!(matches!(failed, Err(RepairError::File(_))), "{call:?}");
        assert!(log.read().1.is_some(), "{call:?}");
        log.repair();
        assert_eq!(log.read().0, good, "{call:?}");
    }
}

#[test]
fn corrupted_wal_of_prometheus_is_repaired_as_by_it() {
    for (case, records) in [
        ("torn-tail", 19),
        ("torn-zeroed-tail", 19),
        ("torn-bitflip-last-segment", 16),
        ("torn-bitflip-first-segment", 5),
    ] {
        let temp_dir = tempfile::tempdir().unwrap();
        let data = golden::unpack(case, temp_dir.path());
        let log =
            Log { wal: data.join("wal"), quarantine: data.join("quarantine"), _place: temp_dir };
        let before = tempfile::tempdir().unwrap();
        copy(&log.wal, before.path());
        let repaired = log.repair();
        let (kept, corruption) = log.read();
        assert!(corruption.is_none(), "{case}");
        assert_eq!(kept.len(), records, "{case}");
        assert_eq!(repaired.quarantined.is_some(), case.contains("bitflip"), "{case}");
        let file = repaired.corruption.path.file_name().unwrap();
        let (old, new) = (
            fs::read(before.path().join(file)).unwrap(),
            fs::read(&repaired.corruption.path).unwrap(),
        );
        assert_eq!(old[..new.len()], new, "{case}");
    }
}
