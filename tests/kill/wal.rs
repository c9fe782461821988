//! Kills with SIGKILL while several senders write. After the restart, every acknowledged sample is
//! stored bit for bit, and nothing else.
//!
//! Kills are at random times, and at fail points: in a segment cut, a chunk cut, a write, a replay.
//! The fail point `name@number=pause:<file>` creates the file and pauses the thread. The test waits
//! for the file and kills the process.

use std::ops::Range;
use std::path::{Path, PathBuf};

use narthex::testing::fail_points::ALL;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use crate::support::launch::{Launch, Server};
use crate::support::remote::Remote;
use crate::support::seed::seeded;
use crate::support::wait::wait_until;
use crate::support::writers::{Traffic, Writer};
use crate::support::{damage, dir};

const WRITERS: usize = 6;

/// Minimum segment size that the flag allows.
const MIN_SEGMENT_SIZE: &str = "--storage.tsdb.wal-segment-size=64KB";

const SYNC_MODES: [&str; 3] = ["os", "interval", "always"];

/// Data directory across server processes: senders write, the server is killed, restarted and read.
struct Campaign {
    temp_dir: TempDir,
    flags: Vec<String>,
    traffic: Traffic,
    writers: Vec<Writer>,
    rng: StdRng,
    kills: usize,
}

impl Campaign {
    fn new(rng: &mut StdRng, sync: &str) -> Campaign {
        let mut rng = StdRng::seed_from_u64(rng.random());
        let writers = Writer::several(WRITERS, &mut rng);
        let flags = vec![MIN_SEGMENT_SIZE.to_owned(), format!("--storage.tsdb.wal-sync={sync}")];
        Campaign {
            temp_dir: dir::temp(),
            flags,
            traffic: Traffic::default(),
            writers,
            rng,
            kills: 0,
        }
    }

    fn data(&self) -> PathBuf {
        self.temp_dir.path().join("data")
    }

    fn launch(&self) -> Launch {
        self.flags.iter().fold(Launch::narthex(&self.data()), |launch, flag| launch.flag(flag))
    }

    /// Returns a launch that pauses at the given hit of a fail point, and the file that it then
    /// creates.
    fn launch_with_pause(&self, point: &str, at: u32) -> (Launch, PathBuf) {
        let marker = self.temp_dir.path().join(format!("{point}.{}", self.kills));
        (
            self.launch()
                .env("NARTHEX_FAULT_POINTS", format!("{point}@{at}=pause:{}", marker.display())),
            marker,
        )
    }

    /// Asserts that all acknowledged samples are stored, and only samples that were sent.
    fn check(&self, remote: &Remote) {
        self.traffic
            .ledger
            .check(&remote.read_all_points(), &format!("after {} kills", self.kills));
    }

    /// Lets all senders write until `wait` returns, then kills the server. Returns `true` if a
    /// request was in flight; only such a kill counts.
    fn write_until(&mut self, mut server: Server, wait: impl FnOnce(&Traffic, &Remote)) -> bool {
        Writer::align(&mut self.writers);
        let remote = server.remote();
        let traffic = &self.traffic;
        let writers = &mut self.writers;
        let killed = std::thread::scope(|scope| {
            for writer in writers.iter_mut() {
                let remote = remote.clone();
                scope.spawn(move || writer.run(&remote, traffic));
            }
            wait(traffic, &remote);
            server.program.kill()
        });
        let counts = self.writers.iter().any(|writer| writer.was_in_flight(killed));
        self.kills += usize::from(counts);
        counts
    }

    /// Runs and kills servers at random times until a kill hits a request.
    fn kill_at_random_time(&mut self) {
        while !self.kill_after_random_count() {}
    }

    /// Runs a server and kills it after a random number of responses.
    fn kill_after_random_count(&mut self) -> bool {
        let server = self.launch().start();
        self.check(&server.remote());
        let end = self.traffic.answered() + self.rng.random_range(60..200);
        let has_reads = self.rng.random_bool(0.5);
        self.write_until(server, |traffic, remote| {
            if has_reads {
                assert_acknowledged_visible(traffic, remote);
            }
            wait_until("responses to the senders", || traffic.answered() >= end);
        })
    }

    /// Runs a server and kills it while a thread is paused at a fail point, within a request.
    fn kill_at(&mut self, point: &str, at: Range<u32>) {
        let at = self.rng.random_range(at);
        let (launch, marker) = self.launch_with_pause(point, at);
        let server = launch.start();
        self.check(&server.remote());
        let counts = self.write_until(server, |_, _| wait_for_file(&marker));
        assert!(counts, "no request was in flight at {point}");
    }

    /// Starts a server and kills it before it is ready, at a fail point of the replay.
    fn kill_in_replay_at(&mut self, point: &str, at: Range<u32>) {
        let at = self.rng.random_range(at);
        let (launch, marker) = self.launch_with_pause(point, at);
        let server = launch.spawn();
        wait_for_file(&marker);
        server.kill();
        self.kills += 1;
    }

    /// Checks the data once more and shuts the server down.
    fn finish(self) -> usize {
        let server = self.launch().start();
        self.check(&server.remote());
        server.stop();
        self.traffic.ledger.acknowledged_count()
    }
}

/// Asserts that a read that begins now returns everything that is acknowledged now.
fn assert_acknowledged_visible(traffic: &Traffic, remote: &Remote) {
    let acknowledged = traffic.ledger.acknowledged_so_far();
    let unseen = acknowledged.beyond(&remote.read_all_points());
    assert!(unseen.count() == 0, "acknowledged but missing from a later read: {unseen:?}");
}

fn wait_for_file(marker: &Path) {
    wait_until(&format!("the fail point {}", marker.display()), || marker.exists());
}

#[test]
fn acknowledged_samples_survive_kills_at_random_times() {
    let mut rng = seeded("random times");
    let mut acknowledged = 0;
    for sync in SYNC_MODES {
        let mut campaign = Campaign::new(&mut rng, sync);
        for _ in 0..10 {
            campaign.kill_at_random_time();
        }
        acknowledged += campaign.finish();
    }
    println!("read back {acknowledged} acknowledged samples");
    assert!(acknowledged >= 100_000, "only {acknowledged} samples were acknowledged");
}

/// Kills a server at a fail point, and the next one at a random time. Each kill has its own
/// directory, because a replay would reach the point, too.
fn survive_kills_at(point: &str, at: Range<u32>) {
    let mut rng = seeded(point);
    for sync in SYNC_MODES.into_iter().cycle().take(6) {
        let mut campaign = Campaign::new(&mut rng, sync);
        campaign.kill_at(point, at.clone());
        campaign.kill_at_random_time();
        campaign.finish();
    }
}

#[test]
fn acknowledged_samples_survive_kills_in_segment_cut() {
    survive_kills_at("wal.segment_roll", 3..12);
}

#[test]
fn acknowledged_samples_survive_kills_in_chunk_cut() {
    survive_kills_at("head.chunk_cut", 1..100);
}

#[test]
fn acknowledged_samples_survive_kills_in_head_chunk_write() {
    survive_kills_at("head_chunks.write", 1..6);
}

#[test]
fn acknowledged_samples_survive_kills_before_wal_write() {
    survive_kills_at("wal.before_write", 2..100);
}

#[test]
fn acknowledged_samples_survive_kills_in_wal_write() {
    survive_kills_at("wal.unfinished_write", 2..30);
}

#[test]
fn acknowledged_samples_survive_kills_after_wal_write() {
    survive_kills_at("wal.after_write", 2..100);
}

#[test]
fn acknowledged_samples_survive_kills_in_replay() {
    let mut rng = seeded("replay");
    let mut campaign = Campaign::new(&mut rng, "interval");
    for _ in 0..5 {
        campaign.kill_at_random_time();
        campaign.kill_in_replay_at("replay.record", 1..30);
        campaign.kill_at_random_time();
        campaign.kill_in_replay_at("replay.late_record", 1..10);
    }
    campaign.finish();
}

#[test]
fn acknowledged_samples_survive_kills_in_torn_tail_repair() {
    let mut rng = seeded("repair");
    let mut campaign = Campaign::new(&mut rng, "os");
    for _ in 0..3 {
        campaign.kill_at_random_time();
        // The start of a torn record: nothing in it was acknowledged.
        let newest = dir::segments(&campaign.data()).pop().expect("a segment exists");
        damage::append(&newest, &[1, 0x20, 0x00, 7, 7, 7, 7, 1, 2, 3]);
        campaign.kill_in_replay_at("replay.repair", 1..2);
    }
    campaign.finish();
}

#[test]
fn every_fail_point_has_a_kill_test() {
    let tests = [include_str!("wal.rs"), include_str!("blocks.rs")];
    let is_unused =
        |point: &&str| !tests.iter().any(|tests| tests.contains(&format!("\"{point}\"")));
    let unused: Vec<&str> = ALL.into_iter().filter(is_unused).collect();
    assert!(unused.is_empty(), "no kill at {unused:?}");
}
