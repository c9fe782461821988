//! Repair keeps what stands before the damage and loses nothing that stands behind it, also when
//! the power goes in between.

#![expect(clippy::unwrap_used, reason = "a test that can not go on panics")]

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

/// A data directory with a log of four segments of three records each.
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
        let place = tempfile::tempdir().unwrap();
        let wal = place.path().join("wal");
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
        Log { wal, quarantine: place.path().join("quarantine"), _place: place }
    }

    fn segment(&self, number: usize) -> PathBuf {
        self.wal.join(format!("{number:08}"))
    }

    fn change(&self, number: usize, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.segment(number)).unwrap();
        change(&mut bytes);
        fs::write(self.segment(number), bytes).unwrap();
    }

    /// The records up to the first damage.
    fn read(&self) -> (Vec<Vec<u8>>, Option<Box<WalCorruption>>) {
        let mut records = Vec::new();
        for segment in list_segments(&self.wal).unwrap() {
            let mut reader = LogSegmentReader::open(segment).unwrap();
            loop {
                match reader.next_record() {
                    Ok(Some(record)) => records.push(record.to_vec()),
                    Ok(None) => break,
                    Err(ReadLogError::Damaged(damage)) => return (records, Some(damage)),
                    Err(error) => panic!("{error}"),
                }
            }
        }
        (records, None)
    }

    fn repair(&self) -> RepairReport {
        let damage = self.read().1.expect("the log is damaged");
        repair(&OsDisk, &self.wal, &self.quarantine, &damage).unwrap()
    }

    /// The files in quarantine, by the name that says where they come from.
    fn set_aside(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        for folder in fs::read_dir(&self.quarantine).into_iter().flatten() {
            for file in fs::read_dir(folder.unwrap().path()).unwrap() {
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
fn a_torn_tail_of_the_last_segment_is_cut_off() {
    let log = Log::new();
    let end = fs::metadata(log.segment(3)).unwrap().len();
    log.change(3, |bytes| bytes.truncate(bytes.len() - 10));
    let repaired = log.repair();
    let kept = (2 * RECORD + 3 * 7) as u64;
    assert_eq!(
        (repaired.segment, repaired.retained_bytes, repaired.removed_bytes),
        (3, kept, end - 10 - kept)
    );
    assert_eq!(repaired.set_aside, None);
    let (records, damage) = log.read();
    assert_eq!((records.len(), damage.is_none()), (11, true));
    assert!(!log.quarantine.exists());
    assert!(
        repaired.to_string().contains(&format!("retained the first {kept} bytes of the file")),
        "{repaired}"
    );
}

#[test]
fn an_empty_segment_behind_a_torn_one_does_not_make_it_worse() {
    let log = Log::new();
    log.change(3, |bytes| bytes.truncate(bytes.len() - 10));
    fs::write(log.segment(4), b"").unwrap();
    assert_eq!(log.repair().set_aside, None);
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
    let (records, damage) = log.read();
    assert!(damage.is_none());
    assert_eq!(records, [record(0, 0), record(0, 1), record(0, 2), record(1, 0)]);
    let set_aside = repaired.set_aside.unwrap();
    assert_eq!(set_aside.folder, log.quarantine.join("wal-00000001-at-20007"));
    assert_eq!(
        (set_aside.segments, set_aside.bytes),
        (vec![2, 3], (tail.len() + later[0].len() + later[1].len()) as u64)
    );
    let [two, three] = later;
    let expected = [
        ("00000001.from-20007".to_owned(), tail),
        ("00000002".to_owned(), two),
        ("00000003".to_owned(), three),
    ];
    assert_eq!(log.set_aside(), expected);
    // The same damage once more goes to a folder of its own.
    log.change(1, |bytes| bytes.extend_from_slice(b"\x05 not a fragment"));
    append_again(&log);
    assert_eq!(
        log.repair().set_aside.unwrap().folder,
        log.quarantine.join("wal-00000001-at-20007-2")
    );
}

fn append_again(log: &Log) {
    fs::write(log.segment(2), b"\x01\0\x01\0\0\0\0x").unwrap();
}

#[test]
fn a_torn_segment_with_others_behind_it_takes_them_along() {
    let log = Log::new();
    log.change(2, |bytes| bytes.truncate(PAGE_SIZE + 10));
    assert_eq!(log.repair().set_aside.unwrap().segments, [3]);
    assert_eq!(log.read().0.len(), 7);
    assert!(log.read().1.is_none());
}

#[test]
fn damage_elsewhere_is_not_repaired_here() {
    let log = Log::new();
    log.change(3, |bytes| bytes.truncate(100));
    let mut damage = log.read().1.unwrap();
    damage.path = log.wal.join("checkpoint.00000001/00000003");
    let refused = repair(&OsDisk, &log.wal, &log.quarantine, &damage);
    assert!(matches!(refused, Err(RepairError::Foreign { .. })), "{refused:?}");
    assert_eq!(fs::metadata(log.segment(3)).unwrap().len(), 100);
}

/// Does damage.
type Change = fn(&Log);

/// Every way in which the power can go during a repair, with the first and later tries.
#[test]
fn power_cut_at_any_repair_step_is_finished_by_next_repair() {
    let damages: [(&str, Change); 3] = [
        ("middle", |log| log.change(1, |bytes| bytes[RECORD + 100] ^= 4)),
        ("torn with later ones", |log| log.change(1, |bytes| bytes.truncate(PAGE_SIZE + 10))),
        ("torn", |log| log.change(3, |bytes| bytes.truncate(bytes.len() - 10))),
    ];
    for (what, damage) in damages {
        let mut steps = 0;
        loop {
            let log = Log::new();
            damage(&log);
            let good = log.read().0;
            let before: BTreeMap<_, _> =
                (0..4).map(|n| (format!("{n:08}"), fs::read(log.segment(n)).unwrap())).collect();
            let disk = CrashDisk::new();
            disk.set_power(steps);
            let found = log.read().1.unwrap();
            let first = repair(&disk, &log.wal, &log.quarantine, &found);
            disk.crash().unwrap();
            let (records, still) = log.read();
            assert!(
                records.starts_with(&good) && records.len() == good.len(),
                "{what}, step {steps}"
            );
            assert_eq!(first.is_ok(), still.is_none(), "{what}, step {steps}");
            if still.is_some() {
                log.repair();
            }
            let (records, still) = log.read();
            assert!(still.is_none() && records == good, "{what}, step {steps}");
            if what != "torn" {
                assert_nothing_is_lost(&log, &before, steps);
            }
            if first.is_ok() {
                break;
            }
            steps += 1;
        }
        assert!(steps >= if what == "torn" { 1 } else { 8 }, "{what}: {steps} steps");
    }
}

/// Every later segment is whole in quarantine; of the damaged one, what is not in the log is.
fn assert_nothing_is_lost(log: &Log, before: &BTreeMap<String, Vec<u8>>, steps: u64) {
    let set_aside = log.set_aside();
    for number in [2, 3] {
        let name = format!("{number:08}");
        assert!(set_aside.contains(&(name.clone(), before[&name].clone())), "{name}, step {steps}");
    }
    let kept = fs::read(log.segment(1)).unwrap();
    let tail = &before["00000001"][kept.len()..];
    let torn = tail.len() < RECORD;
    assert!(torn || set_aside.iter().any(|(_, bytes)| bytes == tail), "tail, step {steps}");
}

#[test]
fn failed_repair_step_is_named_and_second_repair_finishes() {
    for call in
        [DiskCall::Sync, DiskCall::SetLen, DiskCall::SyncDir, DiskCall::Create, DiskCall::Append]
    {
        let log = Log::new();
        log.change(1, |bytes| bytes[RECORD + 100] ^= 4);
        let (good, damage) = log.read();
        let disk = CrashDisk::new();
        disk.fail_with_no_space(call, 1);
        let failed = repair(&disk, &log.wal, &log.quarantine, &damage.unwrap());
        assert!(matches!(failed, Err(RepairError::File(_))), "{call:?}");
        assert!(log.read().1.is_some(), "{call:?}");
        log.repair();
        assert_eq!(log.read().0, good, "{call:?}");
    }
}

#[test]
fn the_damaged_logs_of_prometheus_are_repaired_to_what_it_keeps() {
    for (case, records) in [
        ("torn-tail", 19),
        ("torn-zeroed-tail", 19),
        ("torn-bitflip-last-segment", 16),
        ("torn-bitflip-first-segment", 5),
    ] {
        let place = tempfile::tempdir().unwrap();
        let data = golden::unpack(case, place.path());
        let log = Log { wal: data.join("wal"), quarantine: data.join("quarantine"), _place: place };
        let before = tempfile::tempdir().unwrap();
        copy(&log.wal, before.path());
        let repaired = log.repair();
        let (kept, damage) = log.read();
        assert!(damage.is_none(), "{case}");
        assert_eq!(kept.len(), records, "{case}");
        assert_eq!(repaired.set_aside.is_some(), case.contains("bitflip"), "{case}");
        let file = repaired.path.file_name().unwrap();
        let (old, new) =
            (fs::read(before.path().join(file)).unwrap(), fs::read(&repaired.path).unwrap());
        assert_eq!(old[..new.len()], new, "{case}");
    }
}
