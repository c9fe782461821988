//! kill -9 while several senders write: what was acknowledged is there after the restart, bit for bit, and nothing that was not sent.
//!
//! At random moments, and at moments that a fault point holds open: in a segment roll, a chunk cut, a write, a replay. A fault
//! point `pause:<file>` makes the file and stops the thread that reached it; the test waits for the file and kills.

mod support;

use std::path::{Path, PathBuf};
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use support::launch::{Launch, Server};
use support::remote::Remote;
use support::seed::seeded;
use support::wait::wait_until;
use support::writers::{Traffic, Writer};
use support::{damage, dir};

const WRITERS: usize = 6;

/// The smallest segment that the flag allows.
const SMALLEST_SEGMENT: &str = "--storage.tsdb.wal-segment-size=10MB";

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

    /// A launch that stops at a fault point, and the file that then appears.
    fn launch_with_fault(&self, point: &str) -> (Launch, PathBuf) {
        let marker = self.place.path().join(format!("{point}.{}", self.kills));
        (self.launch().env("NARTHEX_FAULT_POINTS", format!("{point}=pause:{}", marker.display())), marker)
    }

    /// Everything acknowledged in all lives is there, and nothing that was not sent.
    fn check(&self, remote: &Remote) {
        self.traffic.ledger.check(&remote.read_all(), &format!("after {} kills", self.kills));
    }

    /// Lets all senders write until `moment` returns, then kills; at least one request must have been under way.
    fn write_until(&mut self, mut server: Server, moment: impl FnOnce(&Traffic, &Remote)) {
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
            let killed = Instant::now();
            server.program.kill();
            killed
        });
        let in_flight = self.writers.iter().filter(|writer| writer.was_in_flight(killed)).count();
        assert!(in_flight > 0, "no request was under way at the kill");
        self.kills += 1;
    }

    /// A life that ends at a random moment.
    fn live_until_any_moment(&mut self) {
        let server = self.launch().start();
        self.check(&server.remote());
        let quota = self.traffic.answered() + self.rng.random_range(60..200);
        let reads_too = self.rng.random_bool(0.5);
        self.write_until(server, |traffic, remote| {
            if reads_too {
                see_what_is_acknowledged(traffic, remote);
            }
            wait_until("the senders to be answered", || traffic.answered() >= quota);
        });
    }

    /// A life that ends while a thread stands at a fault point in the middle of a request.
    fn live_until(&mut self, point: &str) {
        let (launch, marker) = self.launch_with_fault(point);
        let server = launch.start();
        self.check(&server.remote());
        self.write_until(server, |_, _| wait_for_file(&marker));
    }

    /// A life that ends before it was ready, at a fault point of the replay.
    fn live_in_replay_until(&mut self, point: &str) {
        let (launch, marker) = self.launch_with_fault(point);
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
    let unseen = acknowledged.beyond(&remote.read_all());
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
    println!("{acknowledged} acknowledged samples were read back");
    assert!(acknowledged >= 100_000, "only {acknowledged} samples were acknowledged");
}

#[test]
fn acknowledged_samples_survive_kills_in_a_segment_roll() {
    let mut rng = seeded("segment roll");
    for (sync, kills) in SYNC_MODES.into_iter().zip([2, 2, 2]) {
        let mut campaign = Campaign::new(&mut rng, sync);
        campaign.writers.iter_mut().for_each(Writer::fill_segments);
        for _ in 0..kills {
            campaign.live_until("wal.segment_roll");
        }
        campaign.finish();
    }
}

#[test]
fn acknowledged_samples_survive_kills_in_a_chunk_cut() {
    let mut rng = seeded("chunk cut");
    for point in ["head.chunk_cut", "head_chunks.write"] {
        let mut campaign = Campaign::new(&mut rng, "os");
        for _ in 0..5 {
            campaign.live_until(point);
            // More than one chunk's worth of samples between two cuts.
            campaign.live_until_any_moment();
        }
        campaign.finish();
    }
}

#[test]
fn acknowledged_samples_survive_kills_around_a_write_of_the_log() {
    let mut rng = seeded("log write");
    for (point, sync) in [("wal.before_write", "always"), ("wal.after_write", "interval")] {
        let mut campaign = Campaign::new(&mut rng, sync);
        for _ in 0..3 {
            campaign.live_until(point);
            campaign.live_until_any_moment();
        }
        campaign.finish();
    }
}

#[test]
fn acknowledged_samples_survive_kills_in_a_replay() {
    let mut rng = seeded("replay");
    let mut campaign = Campaign::new(&mut rng, "interval");
    for _ in 0..5 {
        campaign.live_until_any_moment();
        campaign.live_in_replay_until("replay.record");
    }
    campaign.finish();
}

#[test]
fn acknowledged_samples_survive_kills_in_the_repair_of_a_torn_tail() {
    let mut rng = seeded("repair");
    let mut campaign = Campaign::new(&mut rng, "os");
    for _ in 0..3 {
        campaign.live_until_any_moment();
        // The beginning of a record whose write the kill cut off: nothing in it was acknowledged.
        let newest = dir::segments(&campaign.data()).pop().expect("there is a segment");
        damage::append(&newest, &[1, 0x20, 0x00, 7, 7, 7, 7, 1, 2, 3]);
        campaign.live_in_replay_until("replay.repair");
    }
    campaign.finish();
}
