//! Remote write 1.0 over HTTP, unary gRPC and gRPC streams, each to its own narthex.
//!
//! ```text
//! cargo bench --bench grpc_stream -- [--series 100000] [--rounds 40] [--writers 4]
//!     [--ahead 16] [--sync interval]
//! ```
//!
//! Each round sends one sample of every series, 2000 series per request, snappy over HTTP and plain
//! over gRPC. HTTP and unary writers wait for each response; a stream has up to `--ahead` requests
//! without an ack. The first round, which creates the series, is not measured. CPU time is that of
//! the server; requests per second include the sender, which shares the CPUs. Prints figures and
//! asserts nothing about them.

mod rig;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use rig::{SERIES_PER_REQUEST, Usage, free_port, launch, requests, time_series, wait_until_ready};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;
use tonic::{Request, Status};
use tonic_prost::{ProstCodec, ProstDecoder};

const SCRAPE_INTERVAL_MS: i64 = 15_000;

/// Used fields of `narthex.v1.WriteStreamResponse`.
#[derive(Clone, PartialEq, Message)]
struct Ack {
    #[prost(message, optional, tag = "2")]
    stored: Option<Stored>,
}

/// Used fields of `narthex.v1.WriteResponse`.
#[derive(Clone, Copy, PartialEq, Message)]
struct Stored {
    #[prost(uint64, tag = "1")]
    samples: u64,
}

/// Codec for messages that are encoded already.
struct Encoded<T>(PhantomData<T>);

impl<T: Message + Default + Send + 'static> Codec for Encoded<T> {
    type Encode = Bytes;
    type Decode = T;
    type Encoder = Self;
    type Decoder = ProstDecoder<T>;

    fn encoder(&mut self) -> Self {
        Self(PhantomData)
    }

    fn decoder(&mut self) -> ProstDecoder<T> {
        ProstCodec::<(), T>::raw_decoder(Default::default())
    }
}

impl<T> Encoder for Encoded<T> {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

/// Options of the command line.
struct Plan {
    series: usize,
    rounds: usize,
    writers: usize,
    ahead: usize,
    sync: String,
}

/// Protocol of a writer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Protocol {
    Http,
    Unary,
    Stream,
}

fn main() {
    let plan = Plan::from_args();
    let start =
        SystemTime::now().duration_since(UNIX_EPOCH).expect("clock must be after 1970").as_millis()
            as i64
            - SCRAPE_INTERVAL_MS * plan.rounds as i64;
    let sample = |round| move |series| time_series(series, round, SCRAPE_INTERVAL_MS, start);
    let rounds: Vec<Vec<Vec<u8>>> =
        (0..plan.rounds).map(|round| requests(plan.series, sample(round))).collect();
    println!(
        "{} series, {} rounds, {} writers, {} requests ahead, sync mode {}",
        plan.series, plan.rounds, plan.writers, plan.ahead, plan.sync
    );
    println!(
        "{:<10}{:>20}{:>36}{:>24}",
        "", "samples per second", "CPU seconds per million samples", "resident memory, MiB"
    );
    for protocol in [Protocol::Http, Protocol::Unary, Protocol::Stream] {
        measure(&plan, protocol, &rounds);
    }
}

impl Plan {
    fn from_args() -> Self {
        let mut plan =
            Self { series: 100_000, rounds: 40, writers: 4, ahead: 16, sync: "interval".into() };
        let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
        while let Some(flag) = args.next() {
            let value = args.next().unwrap_or_else(|| panic!("{flag} needs a value"));
            match flag.as_str() {
                "--series" => plan.series = value.parse().expect("value must be a number"),
                "--rounds" => plan.rounds = value.parse().expect("value must be a number"),
                "--writers" => plan.writers = value.parse().expect("value must be a number"),
                "--ahead" => plan.ahead = value.parse().expect("value must be a number"),
                "--sync" => plan.sync = value,
                other => panic!("unknown flag {other}"),
            }
        }
        plan
    }
}

fn measure(plan: &Plan, protocol: Protocol, rounds: &[Vec<Vec<u8>>]) {
    let dir = tempfile::tempdir().expect("cannot create temporary directory");
    let port = free_port();
    let sync = format!("--storage.tsdb.wal-sync={}", plan.sync);
    let flags = [sync.as_str()];
    let target = rig::narthex(&flags);
    let mut server = launch(&target, dir.path(), port);
    wait_until_ready(&target, &mut server, port);
    let (first, rest) = rounds.split_at(1);
    send(plan, protocol, first, port);
    let before = Usage::of(&server);
    let seconds = send(plan, protocol, rest, port);
    let after = Usage::of(&server);
    server.kill().expect("server must be running");
    server.wait().expect("cannot wait for server");
    let samples = (plan.series * rest.len()) as f64;
    println!(
        "{:<10}{:>20.0}{:>36.3}{:>24.1}",
        format!("{protocol:?}").to_lowercase(),
        samples / seconds,
        (after.cpu_seconds - before.cpu_seconds) / samples * 1e6,
        after.rss / 1_048_576.0
    );
}

/// Sends the rounds. Returns the duration in seconds, without the encoding.
fn send(plan: &Plan, protocol: Protocol, rounds: &[Vec<Vec<u8>>], port: u16) -> f64 {
    if protocol == Protocol::Http {
        let started = Instant::now();
        rig::send(rounds, plan.writers, port);
        return started.elapsed().as_secs_f64();
    }
    let plain = |body: &Vec<u8>| {
        snap::raw::Decoder::new().decompress_vec(body).expect("body must be a snappy block")
    };
    let rounds: Vec<Arc<Vec<Bytes>>> = rounds
        .iter()
        .map(|round| {
            let numbered = round.iter().enumerate().map(|(number, body)| match protocol {
                Protocol::Stream => stream_message(number as u64, &plain(body)),
                _ => plain(body).into(),
            });
            Arc::new(numbered.collect())
        })
        .collect();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("cannot start runtime").block_on(async {
        let started = Instant::now();
        for round in rounds {
            let next = Arc::new(AtomicUsize::new(0));
            let writers: Vec<_> = (0..plan.writers)
                .map(|_| {
                    let (round, next) = (round.clone(), next.clone());
                    let share = Share { round, next };
                    tokio::spawn(write(protocol, port, share, plan.ahead))
                })
                .collect();
            for writer in writers {
                writer.await.expect("writer panicked");
            }
        }
        started.elapsed().as_secs_f64()
    })
}

fn stream_message(sequence: u64, request: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(request.len() + 16);
    encode_key(1, WireType::Varint, &mut message);
    encode_varint(sequence, &mut message);
    encode_key(2, WireType::LengthDelimited, &mut message);
    encode_varint(request.len() as u64, &mut message);
    message.put(request);
    message.freeze()
}

/// Requests of a round, shared by all writers.
struct Share {
    round: Arc<Vec<Bytes>>,
    next: Arc<AtomicUsize>,
}

impl Share {
    fn take(&self) -> Option<Bytes> {
        self.round.get(self.next.fetch_add(1, Ordering::Relaxed)).cloned()
    }
}

async fn write(protocol: Protocol, port: u16, share: Share, ahead: usize) {
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))
        .expect("invalid address")
        .tcp_nodelay(true);
    let channel = endpoint.connect().await.expect("cannot connect to server");
    let mut client = Grpc::new(channel).max_encoding_message_size(usize::MAX);
    client.ready().await.expect("cannot connect to server");
    if protocol == Protocol::Unary {
        let path = PathAndQuery::from_static("/narthex.v1.Write/WriteV1");
        while let Some(message) = share.take() {
            client.ready().await.expect("cannot connect to server");
            let response = client
                .unary(Request::new(message), path.clone(), Encoded::<Stored>(PhantomData))
                .await;
            assert_eq!(
                response.expect("write failed").into_inner().samples,
                SERIES_PER_REQUEST as u64
            );
        }
        return;
    }
    let (messages, receiver) = mpsc::channel(1);
    let path = PathAndQuery::from_static("/narthex.v1.Write/WriteStream");
    let streaming = client.streaming(
        Request::new(ReceiverStream::new(receiver)),
        path,
        Encoded::<Ack>(PhantomData),
    );
    let mut acks = streaming.await.expect("cannot open stream").into_inner();
    let permits = Arc::new(Semaphore::new(ahead));
    let sending = tokio::spawn({
        let permits = permits.clone();
        async move {
            while let Some(message) = share.take() {
                permits.acquire().await.expect("semaphore closed").forget();
                messages.send(message).await.expect("stream ended early");
            }
        }
    });
    while let Some(ack) = acks.message().await.expect("stream ended early") {
        assert_eq!(ack.stored, Some(Stored { samples: SERIES_PER_REQUEST as u64 }));
        permits.add_permits(1);
    }
    sending.await.expect("sender panicked");
}
