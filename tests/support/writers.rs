//! Concurrent senders with conflicting requests: existing, new and shared series, out-of-order
//! samples, native histograms.
//!
//! A sender writes until it gets no response, and keeps that request. After a restart it may retry
//! it, which must succeed whether or not it was stored.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::data::BEGIN;
use super::ledger::Ledger;
use super::points::made;
use super::remote::Remote;
use super::wire::{Label, Sample, TimeSeries, WriteRequest};

/// Interval between requests of a sender, ms of data.
const ROUND: i64 = 4_000;

/// Number of series of a single sender, and their samples per request.
const OWN_SERIES: usize = 12;
const OWN_SAMPLES: i64 = 4;

/// Number of out-of-order samples per request, and their maximum age, ms.
const LATE_SAMPLES: usize = 6;
const LATEST: i64 = 5_400_000;

/// Maximum lag behind the first sender, rounds. A slower sender skips rounds, so that its samples
/// stay within the out-of-order window.
const MAX_ROUNDS_BEHIND: i64 = 100;

/// State shared by the senders of a data directory.
#[derive(Default)]
pub(crate) struct Traffic {
    /// Ledger of sent and acknowledged samples.
    pub(crate) ledger: Ledger,
    answered: AtomicUsize,
    generation: AtomicI64,
    contested: AtomicI64,
    newest_round: AtomicI64,
}

impl Traffic {
    /// Number of requests with a response.
    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }
}

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
    /// Creates senders with seeds from `rng`.
    pub(crate) fn several(number: usize, rng: &mut StdRng) -> Vec<Writer> {
        let writer = |id| Writer {
            id,
            rng: StdRng::seed_from_u64(rng.random()),
            round: 0,
            unanswered: None,
        };
        (0..number).map(writer).collect()
    }

    /// Sets all senders to the same time.
    pub(crate) fn align(writers: &mut [Writer]) {
        let newest = writers.iter().map(|writer| writer.round).max().unwrap_or(0);
        writers.iter_mut().for_each(|writer| writer.round = newest);
    }

    /// Returns `true` if the last request was in flight at that moment and got no response.
    pub(crate) fn was_in_flight(&self, at: Instant) -> bool {
        self.unanswered.as_ref().is_some_and(|unanswered| unanswered.begun < at)
    }

    /// Writes until there is no response. Panics on an unexpected status.
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

    /// Returns the next request, and whether a race for its timestamp may get it rejected.
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

    /// Returns random bits except those of -0, which a read response cannot represent.
    fn bits(&mut self) -> u64 {
        self.rng.random::<u64>() & !(1 << 63) | 1
    }

    /// Returns a series of this sender only.
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

    /// Returns a new series.
    fn fresh(&mut self, which: &str) -> TimeSeries {
        let sample = Sample { bits: Some(self.bits()), timestamp: self.now() };
        let (round, writer) = (self.round.to_string(), self.id.to_string());
        series(
            &[("__name__", "fresh"), ("round", &round), ("which", which), ("writer", &writer)],
            vec![sample],
        )
    }

    /// Returns an in-order sample with out-of-order ones before and after it.
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

    /// Returns histograms of this time, or up to `latest` ms earlier.
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

    /// Returns a sample of a series shared by all senders. Later writers are rejected.
    fn contested(&mut self, traffic: &Traffic) -> WriteRequest {
        let timestamp = BEGIN + traffic.contested.fetch_add(1, Ordering::SeqCst) * 10;
        let sample = Sample { bits: Some(self.bits()), timestamp };
        WriteRequest {
            timeseries: vec![series(&[("__name__", "contested")], vec![sample])],
            ..WriteRequest::default()
        }
    }
}

/// Returns a new series with the same sample from several senders: the second write is a duplicate.
fn shared(traffic: &Traffic) -> TimeSeries {
    let generation = traffic.generation.fetch_add(1, Ordering::SeqCst) / 4;
    let bits = u64::try_from(generation).expect("a count").wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let sample = Sample { bits: Some(bits), timestamp: BEGIN + generation * ROUND };
    series(&[("__name__", "shared"), ("generation", &generation.to_string())], vec![sample])
}

/// Returns a series with sorted labels.
fn series(labels: &[(&str, &str)], samples: Vec<Sample>) -> TimeSeries {
    let mut labels: Vec<Label> = labels
        .iter()
        .map(|(name, value)| Label { name: (*name).to_owned(), value: (*value).to_owned() })
        .collect();
    labels.sort_by(|a, b| a.name.cmp(&b.name));
    TimeSeries { labels, samples, ..TimeSeries::default() }
}
