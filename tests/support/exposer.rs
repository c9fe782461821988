//! Scrape target with metrics in protobuf format: native histograms and an exemplar that change
//! with each scrape.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use prost::Message;

use super::wire::{BucketSpan, Label};

/// Message `io.prometheus.client.MetricFamily`, declared by hand.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetricFamily {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    /// 0 counter, 4 histogram, 5 gauge histogram.
    #[prost(int32, optional, tag = "3")]
    pub(crate) kind: Option<i32>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) metrics: Vec<Metric>,
}

/// Message `io.prometheus.client.Metric`, declared by hand.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Metric {
    #[prost(message, optional, tag = "3")]
    pub(crate) counter: Option<Counter>,
    #[prost(message, optional, tag = "7")]
    pub(crate) histogram: Option<ExposedHistogram>,
}

/// Message `io.prometheus.client.Counter`, declared by hand.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Counter {
    #[prost(double, optional, tag = "1")]
    pub(crate) value: Option<f64>,
    #[prost(message, optional, tag = "2")]
    pub(crate) exemplar: Option<ExposedExemplar>,
}

/// Message `io.prometheus.client.Exemplar`, declared by hand.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ExposedExemplar {
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<Label>,
    #[prost(double, optional, tag = "2")]
    pub(crate) value: Option<f64>,
}

/// Native part of `io.prometheus.client.Histogram`. Floats are declared as bits.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ExposedHistogram {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) count: Option<u64>,
    /// The sum of all observations.
    #[prost(fixed64, optional, tag = "2")]
    pub(crate) sum: Option<u64>,
    #[prost(fixed64, optional, tag = "4")]
    pub(crate) count_float: Option<u64>,
    #[prost(sint32, optional, tag = "5")]
    pub(crate) schema: Option<i32>,
    /// Zero threshold, as bits.
    #[prost(fixed64, optional, tag = "6")]
    pub(crate) zero_threshold: Option<u64>,
    #[prost(uint64, optional, tag = "7")]
    pub(crate) zero_count: Option<u64>,
    #[prost(fixed64, optional, tag = "8")]
    pub(crate) zero_count_float: Option<u64>,
    /// Spans of the negative buckets.
    #[prost(message, repeated, tag = "9")]
    pub(crate) negative_spans: Vec<BucketSpan>,
    /// Deltas of integer histograms.
    #[prost(sint64, repeated, packed = "false", tag = "10")]
    pub(crate) negative_deltas: Vec<i64>,
    /// Counts of float histograms, as bits.
    #[prost(fixed64, repeated, packed = "false", tag = "11")]
    pub(crate) negative_counts: Vec<u64>,
    /// Spans of the positive buckets.
    #[prost(message, repeated, tag = "12")]
    pub(crate) positive_spans: Vec<BucketSpan>,
    /// Deltas of integer histograms.
    #[prost(sint64, repeated, packed = "false", tag = "13")]
    pub(crate) positive_deltas: Vec<i64>,
    /// Counts of float histograms, as bits.
    #[prost(fixed64, repeated, packed = "false", tag = "14")]
    pub(crate) positive_counts: Vec<u64>,
}

/// Scrape target on a loopback port.
pub(crate) struct Exposer {
    port: u16,
    scrapes: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Exposer {
    /// Starts a target that responds to scrape n (from 1) with `make(n)`.
    pub(crate) fn start(make: fn(u64) -> Vec<MetricFamily>) -> Exposer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let (scrapes, stopped) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, end) = (Arc::clone(&scrapes), Arc::clone(&stopped));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                // An error is ignored: the client may disconnect.
                let _ = stream.and_then(|stream| answer(stream, make, &count));
            }
        });
        Exposer { port, scrapes, stopped, thread: Some(thread) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Stops the target. Returns the number of scrapes.
    pub(crate) fn stop(mut self) -> u64 {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        self.thread.take().expect("it was started").join().expect("the target did not panic");
        self.scrapes.load(Ordering::SeqCst)
    }
}

fn answer(
    stream: TcpStream,
    make: fn(u64) -> Vec<MetricFamily>,
    scrapes: &AtomicU64,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let number = scrapes.fetch_add(1, Ordering::SeqCst) + 1;
    let body: Vec<u8> =
        make(number).iter().flat_map(Message::encode_length_delimited_to_vec).collect();
    let head = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Type: application/vnd.google.protobuf; \
         proto=io.prometheus.client.MetricFamily; encoding=delimited\r\n\r\n",
        body.len()
    );
    let mut stream = stream;
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)
}
