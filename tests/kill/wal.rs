//! kill -9 while several senders write: what was acknowledged is there after the restart, bit for
//! bit, and nothing that was not sent.
//!
//! At random moments, and at moments that a fault point holds open: in a segment roll, a chunk cut,
//! a write, a replay. A fault point `name@number=pause:<file>` makes the file and stops the thread
//! that reaches it for that time; the test waits for the file and kills.

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

/// The smallest segment that the flag allows.
const SMALLEST_SEGMENT: &str = "--storage.tsdb.wal-segment-size=64KB";

const SYNC_MODES: [&str; 3] = ["os", "interval", "always"];

/// A data directory through its lives: senders write to it, it is killed, started again and read.
struct Campaign {
    place: TempDir,
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
        let flags = vec![SMALLEST_SEGMENT.to_owned(), format!("--storage.tsdb.wal-sync={sync}")];
        Campaign { place: dir::temp(), flags, traffic: Traffic::default(), writers, rng, kills: 0 }
    }

    fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }

    fn launch(&self) -> Launch {
        self.flags.iter().fold(Launch::narthex(&self.data()), |launch, flag| launch.flag(flag))
    }

    /// A launch that stops when it reaches a fault point for that time, and the file that then
    /// appears.
    fn launch_with_fault(&self, point: &str, at: u32) -> (Launch, PathBuf) {
        let marker = self.place.path().join(format!("{point}.{}", self.kills));
        (
            self.launch()
                .env("NARTHEX_FAULT_POINTS", format!("{point}@{at}=pause:{}", marker.display())),
            marker,
        )
    }

    /// Everything acknowledged in all lives is there, and nothing that was not sent.
    fn check(&self, remote: &Remote) {
        self.traffic
            .ledger
            .check(&remote.read_all_points(), &format!("after {} kills", self.kills));
    }

    /// Lets all senders write until `moment` returns, then kills. Whether a request was under way:
    /// only then it is a kill that counts.
    fn write_until(&mut self, mut server: Server, moment: impl FnOnce(&Traffic, &Remote)) -> bool {
        Writer::align(&mut self.writers);
        let remote = server.remote();
        let traffic = &self.traffic;
        let writers = &mut self.writers;
        let killed = std::thread::scope(|scope| {
            for writer in writers.iter_mut() {
                let remote = remote.clone();
                scope.spawn(move || writer.run(&remote, traffic));
            }
            moment(traffic, &remote);
            server.program.kill()
        });
        let counts = self.writers.iter().any(|writer| writer.was_in_flight(killed));
        self.kills += usize::from(counts);
        counts
    }

    /// Lives that end at a random moment, until one of these hits a request.
    fn live_until_any_moment(&mut self) {
        while !self.live_for_a_while() {}
    }

    /// A life that ends when a random number of requests has been answered.
    fn live_for_a_while(&mut self) -> bool {
        let server = self.launch().start();
        self.check(&server.remote());
        let quota = self.traffic.answered() + self.rng.random_range(60..200);
        let reads_too = self.rng.random_bool(0.5);
        self.write_until(server, |traffic, remote| {
            if reads_too {
                see_what_is_acknowledged(traffic, remote);
            }
            wait_until("the senders to be answered", || traffic.answered() >= quota);
        })
    }

    /// A life that ends while a thread stands at a fault point, in the middle of a request.
    fn live_until(&mut self, point: &str, at: Range<u32>) {
        let at = self.rng.random_range(at);
        let (launch, marker) = self.launch_with_fault(point, at);
        let server = launch.start();
        self.check(&server.remote());
        let counts = self.write_until(server, |_, _| wait_for_file(&marker));
        assert!(counts, "nobody waited for what was held at {point}");
    }

    /// A life that ends before it was ready, at a fault point of the replay.
    fn live_in_replay_until(&mut self, point: &str, at: Range<u32>) {
        let at = self.rng.random_range(at);
        let (launch, marker) = self.launch_with_fault(point, at);
        let server = launch.spawn();
        wait_for_file(&marker);
        server.kill();
        self.kills += 1;
    }

    /// The last life: everything is there, and a good stop.
    fn finish(self) -> usize {
        let server = self.launch().start();
        self.check(&server.remote());
        server.stop();
        self.traffic.ledger.acknowledged_count()
    }
}

/// A read that begins now sees everything that is acknowledged now.
fn see_what_is_acknowledged(traffic: &Traffic, remote: &Remote) {
    let acknowledged = traffic.ledger.acknowledged_so_far();
    let unseen = acknowledged.beyond(&remote.read_all_points());
    assert!(unseen.count() == 0, "acknowledged and not seen by a later read: {unseen:?}");
}

fn wait_for_file(marker: &Path) {
    wait_until(&format!("the fault point {}", marker.display()), || marker.exists());
}

#[test]
fn acknowledged_samples_survive_kills_at_random_moments() {
    let mut rng = seeded("random moments");
    let mut acknowledged = 0;
    for sync in SYNC_MODES {
        let mut campaign = Campaign::new(&mut rng, sync);
        for _ in 0..10 {
            campaign.live_until_any_moment();
        }
        acknowledged += campaign.finish();
    }
    println!("{acknowledged} acknowledged values were read back");
    assert!(acknowledged >= 100_000, "only {acknowledged} samples were acknowledged");
}

/// Directories that are killed at a fault point, and again at any moment; their replay would reach
/// the point as well, so each kill has a directory of its own.
fn survive_kills_at(point: &str, at: Range<u32>) {
    let mut rng = seeded(point);
    for sync in SYNC_MODES.into_iter().cycle().take(6) {
        let mut campaign = Campaign::new(&mut rng, sync);
        campaign.live_until(point, at.clone());
        campaign.live_until_any_moment();
        campaign.finish();
    }
}

#[test]
fn acknowledged_samples_survive_kills_in_a_segment_roll() {
    survive_kills_at("wal.segment_roll", 3..12);
}

#[test]
fn acknowledged_samples_survive_kills_in_a_chunk_cut() {
    survive_kills_at("head.chunk_cut", 1..100);
}

#[test]
fn acknowledged_samples_survive_kills_in_a_write_of_head_chunks() {
    survive_kills_at("head_chunks.write", 1..6);
}

#[test]
fn acknowledged_samples_survive_kills_before_a_write_of_the_log() {
    survive_kills_at("wal.before_write", 2..100);
}

#[test]
fn acknowledged_samples_survive_kills_after_a_write_of_the_log() {
    survive_kills_at("wal.after_write", 2..100);
}

#[test]
fn acknowledged_samples_survive_kills_in_a_replay() {
    let mut rng = seeded("replay");
    let mut campaign = Campaign::new(&mut rng, "interval");
    for _ in 0..5 {
        campaign.live_until_any_moment();
        campaign.live_in_replay_until("replay.record", 1..30);
        campaign.live_until_any_moment();
        campaign.live_in_replay_until("replay.late_record", 1..10);
    }
    campaign.finish();
}

#[test]
fn acknowledged_samples_survive_kills_in_torn_tail_repair() {
    let mut rng = seeded("repair");
    let mut campaign = Campaign::new(&mut rng, "os");
    for _ in 0..3 {
        campaign.live_until_any_moment();
        // The beginning of a record whose write the kill cut off: nothing in it was acknowledged.
        let newest = dir::segments(&campaign.data()).pop().expect("there is a segment");
        damage::append(&newest, &[1, 0x20, 0x00, 7, 7, 7, 7, 1, 2, 3]);
        campaign.live_in_replay_until("replay.repair", 1..2);
    }
    campaign.finish();
}

#[test]
fn every_fault_point_has_a_kill_here_or_among_those_of_blocks() {
    let tests = [include_str!("wal.rs"), include_str!("blocks.rs")];
    let is_dead = |point: &&str| !tests.iter().any(|tests| tests.contains(&format!("\"{point}\"")));
    let dead: Vec<&str> = ALL.into_iter().filter(is_dead).collect();
    assert!(dead.is_empty(), "nothing is killed at {dead:?}");
}
