//! Several senders at once, whose requests are made to meet: known series, new series all the time, series that they share, late samples,
//! native histograms.
//!
//! A sender writes until it gets no answer, then keeps the unanswered request: in its next life it may repeat it, which must be
//! taken whether or not it was stored.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::data::BEGIN;
use super::ledger::Ledger;
use super::points::made;
use super::remote::Remote;
use super::wire::{Label, Sample, TimeSeries, WriteRequest};

/// Milliseconds of data from one request of a sender to its next.
const ROUND: i64 = 4_000;

/// Series that belong to one sender alone, and their samples in one request.
const OWN_SERIES: usize = 12;
const OWN_SAMPLES: i64 = 4;

/// Late samples of one request, and how late they are at most, milliseconds.
const LATE_SAMPLES: usize = 6;
const LATEST: i64 = 5_400_000;

/// Rounds by which a sender may be behind the first one. A sender that the machine starves longer skips rounds, so that its
/// late samples stay within the window.
const MAX_ROUNDS_BEHIND: i64 = 100;

/// What the senders of one data directory share.
#[derive(Default)]
pub(crate) struct Traffic {
    /// What was sent and acknowledged.
    pub(crate) ledger: Ledger,
    answered: AtomicUsize,
    generation: AtomicI64,
    contested: AtomicI64,
    newest_round: AtomicI64,
}

impl Traffic {
    /// How many requests were answered so far.
    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }
}

/// One sender.
pub(crate) struct Writer {
    id: usize,
    rng: StdRng,
    round: i64,
    unanswered: Option<Unanswered>,
}

struct Unanswered {
    request: WriteRequest,
    may_be_refused: bool,
    begun: Instant,
}

impl Writer {
    /// A number of senders, their randomness drawn from `rng`.
    pub(crate) fn several(number: usize, rng: &mut StdRng) -> Vec<Writer> {
        let writer = |id| Writer {
            id,
            rng: StdRng::seed_from_u64(rng.random()),
            round: 0,
            unanswered: None,
        };
        (0..number).map(writer).collect()
    }

    /// Brings senders that got ahead of each other back to the same time.
    pub(crate) fn align(writers: &mut [Writer]) {
        let newest = writers.iter().map(|writer| writer.round).max().unwrap_or(0);
        writers.iter_mut().for_each(|writer| writer.round = newest);
    }

    /// Whether its last request was under way at that moment, and got no answer.
    pub(crate) fn was_in_flight(&self, at: Instant) -> bool {
        self.unanswered.as_ref().is_some_and(|unanswered| unanswered.begun < at)
    }

    /// Writes until no answer comes; panics at an answer that the request did not deserve.
    pub(crate) fn run(&mut self, remote: &Remote, traffic: &Traffic) {
        loop {
            let (request, may_be_refused) = self.next(traffic);
            traffic.ledger.sending(&request);
            let begun = Instant::now();
            let Ok(answer) = remote.try_write(&request) else {
                self.unanswered = Some(Unanswered { request, may_be_refused, begun });
                return;
            };
            match answer.status {
                204 => traffic.ledger.acknowledged(&request),
                400 if may_be_refused => traffic.ledger.refused(&request),
                status => panic!("a good write was answered {status}: {}", answer.text()),
            }
            traffic.answered.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The next request, and whether the race for its timestamp may make it too late.
    fn next(&mut self, traffic: &Traffic) -> (WriteRequest, bool) {
        if let Some(before) = self.unanswered.take()
            && self.rng.random_bool(0.5)
        {
            return (before.request, before.may_be_refused);
        }
        match self.rng.random_range(0..10) {
            0 => return (self.contested(traffic), true),
            1 | 2 => {
                return (
                    WriteRequest { timeseries: vec![shared(traffic)], ..WriteRequest::default() },
                    false,
                );
            }
            _ => {}
        }
        let newest = traffic.newest_round.fetch_max(self.round + 1, Ordering::SeqCst);
        self.round = (self.round + 1).max(newest - MAX_ROUNDS_BEHIND);
        let mut timeseries: Vec<TimeSeries> =
            (0..OWN_SERIES).map(|number| self.own(number)).collect();
        timeseries.extend([self.fresh("a"), self.fresh("b"), shared(traffic)]);
        timeseries.extend([
            self.late(),
            self.histograms("in order", 0),
            self.histograms("late", LATEST),
        ]);
        (WriteRequest { timeseries, ..WriteRequest::default() }, false)
    }

    fn now(&self) -> i64 {
        BEGIN + self.round * ROUND
    }

    /// Random bits, any but those of -0, which the answer to a read cannot carry.
    fn bits(&mut self) -> u64 {
        self.rng.random::<u64>() & !(1 << 63) | 1
    }

    /// A series of this sender's own.
    fn own(&mut self, number: usize) -> TimeSeries {
        let step = ROUND / OWN_SAMPLES;
        let begin = self.now();
        let samples = (0..OWN_SAMPLES)
            .map(|sample| Sample { bits: Some(self.bits()), timestamp: begin + sample * step });
        let samples = samples.collect();
        series(
            &[
                ("__name__", "own"),
                ("number", &number.to_string()),
                ("writer", &self.id.to_string()),
            ],
            samples,
        )
    }

    /// A series that nobody has seen before.
    fn fresh(&mut self, which: &str) -> TimeSeries {
        let sample = Sample { bits: Some(self.bits()), timestamp: self.now() };
        let (round, writer) = (self.round.to_string(), self.id.to_string());
        series(
            &[("__name__", "fresh"), ("round", &round), ("which", which), ("writer", &writer)],
            vec![sample],
        )
    }

    /// One sample in time and, before and behind it, others that are late.
    fn late(&mut self) -> TimeSeries {
        let now = self.now();
        let times = [now]
            .into_iter()
            .chain((0..LATE_SAMPLES).map(|_| now - self.rng.random_range(1..LATEST)));
        let mut times: Vec<i64> = times.collect();
        times.rotate_left(self.rng.random_range(0..3));
        let bits = |t: i64| (t as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) & !(1 << 63) | 1;
        let samples = times.into_iter().map(|t| Sample { bits: Some(bits(t)), timestamp: t });
        series(&[("__name__", "late"), ("writer", &self.id.to_string())], samples.collect())
    }

    /// Histograms of this time, or up to `latest` ms before.
    fn histograms(&mut self, which: &str, latest: i64) -> TimeSeries {
        let (id, now) = (self.id, self.now());
        let mut times = vec![now];
        if latest > 0 {
            times.extend((0..2).map(|_| now - self.rng.random_range(1..latest)));
        }
        let labels = [("__name__", "histograms"), ("which", which), ("writer", &id.to_string())];
        let histograms = times.into_iter().map(|t| made(id as u64, t).to_wire(t)).collect();
        TimeSeries { histograms, ..series(&labels, Vec::new()) }
    }

    /// One sample of a series that all senders append to; who comes late is refused.
    fn contested(&mut self, traffic: &Traffic) -> WriteRequest {
        let timestamp = BEGIN + traffic.contested.fetch_add(1, Ordering::SeqCst) * 10;
        let sample = Sample { bits: Some(self.bits()), timestamp };
        WriteRequest {
            timeseries: vec![series(&[("__name__", "contested")], vec![sample])],
            ..WriteRequest::default()
        }
    }
}

/// A new series with the same sample from several senders at once: whoever is second is answered for what the first one wrote.
fn shared(traffic: &Traffic) -> TimeSeries {
    let generation = traffic.generation.fetch_add(1, Ordering::SeqCst) / 4;
    let bits = u64::try_from(generation).expect("a count").wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let sample = Sample { bits: Some(bits), timestamp: BEGIN + generation * ROUND };
    series(&[("__name__", "shared"), ("generation", &generation.to_string())], vec![sample])
}

/// A series with its labels in sorted order.
fn series(labels: &[(&str, &str)], samples: Vec<Sample>) -> TimeSeries {
    let mut labels: Vec<Label> = labels
        .iter()
        .map(|(name, value)| Label { name: (*name).to_owned(), value: (*value).to_owned() })
        .collect();
    labels.sort_by(|a, b| a.name.cmp(&b.name));
    TimeSeries { labels, samples, ..TimeSeries::default() }
}
