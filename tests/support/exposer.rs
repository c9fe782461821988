//! A target that a Prometheus scrapes: metrics in the protobuf format, with native histograms and an exemplar, other ones with each scrape.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use prost::Message;

use super::wire::{BucketSpan, Label};

/// `io.prometheus.client.MetricFamily`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetricFamily {
    /// The name.
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    /// 0 counter, 4 histogram, 5 gauge histogram.
    #[prost(int32, optional, tag = "3")]
    pub(crate) kind: Option<i32>,
    /// The series.
    #[prost(message, repeated, tag = "4")]
    pub(crate) metrics: Vec<Metric>,
}

/// `io.prometheus.client.Metric`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Metric {
    /// Of a counter.
    #[prost(message, optional, tag = "3")]
    pub(crate) counter: Option<Counter>,
    /// Of a histogram.
    #[prost(message, optional, tag = "7")]
    pub(crate) histogram: Option<ExposedHistogram>,
}

/// `io.prometheus.client.Counter`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Counter {
    /// The count.
    #[prost(double, optional, tag = "1")]
    pub(crate) value: Option<f64>,
    /// One observation.
    #[prost(message, optional, tag = "2")]
    pub(crate) exemplar: Option<ExposedExemplar>,
}

/// `io.prometheus.client.Exemplar`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ExposedExemplar {
    /// Its labels.
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<Label>,
    /// Its value.
    #[prost(double, optional, tag = "2")]
    pub(crate) value: Option<f64>,
}

/// `io.prometheus.client.Histogram`, the native part. Floats but for counts are declared by their bits.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ExposedHistogram {
    /// Of integer histograms.
    #[prost(uint64, optional, tag = "1")]
    pub(crate) count: Option<u64>,
    /// The sum of all observations.
    #[prost(fixed64, optional, tag = "2")]
    pub(crate) sum: Option<u64>,
    /// Of float histograms.
    #[prost(fixed64, optional, tag = "4")]
    pub(crate) count_float: Option<u64>,
    /// The resolution.
    #[prost(sint32, optional, tag = "5")]
    pub(crate) schema: Option<i32>,
    /// Half the width of the zero bucket.
    #[prost(fixed64, optional, tag = "6")]
    pub(crate) zero_threshold: Option<u64>,
    /// Of integer histograms.
    #[prost(uint64, optional, tag = "7")]
    pub(crate) zero_count: Option<u64>,
    /// Of float histograms.
    #[prost(fixed64, optional, tag = "8")]
    pub(crate) zero_count_float: Option<u64>,
    /// Which negative buckets there are.
    #[prost(message, repeated, tag = "9")]
    pub(crate) negative_spans: Vec<BucketSpan>,
    /// Differences, of integer histograms.
    #[prost(sint64, repeated, packed = "false", tag = "10")]
    pub(crate) negative_deltas: Vec<i64>,
    /// Counts, of float histograms.
    #[prost(fixed64, repeated, packed = "false", tag = "11")]
    pub(crate) negative_counts: Vec<u64>,
    /// Which positive buckets there are.
    #[prost(message, repeated, tag = "12")]
    pub(crate) positive_spans: Vec<BucketSpan>,
    /// Differences, of integer histograms.
    #[prost(sint64, repeated, packed = "false", tag = "13")]
    pub(crate) positive_deltas: Vec<i64>,
    /// Counts, of float histograms.
    #[prost(fixed64, repeated, packed = "false", tag = "14")]
    pub(crate) positive_counts: Vec<u64>,
}

/// A target on a loopback port.
pub(crate) struct Exposer {
    port: u16,
    scrapes: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Exposer {
    /// Answers the n-th scrape (from 1 on) with `make(n)`.
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
                // A client that goes away is none of the test's business.
                let _ = stream.and_then(|stream| answer(stream, make, &count));
            }
        });
        Exposer { port, scrapes, stopped, thread: Some(thread) }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Answers no more; how many scrapes were answered.
    pub(crate) fn stop(mut self) -> u64 {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread up.
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
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\nContent-Type: application/vnd.google.protobuf; \
         proto=io.prometheus.client.MetricFamily; encoding=delimited\r\n\r\n",
        body.len()
    );
    let mut stream = stream;
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)
}
