//! The same requests of remote write 1.0 over HTTP, over unary gRPC and over gRPC streams, each to a narthex of its own.
//!
//! ```text
//! cargo bench --bench grpc_stream -- [--series 100000] [--rounds 40] [--writers 4] [--ahead 16] [--sync interval]
//! ```
//!
//! Each round sends one sample of every series, 2000 series a request, snappy over HTTP and plain over gRPC. A writer over HTTP or unary gRPC
//! waits for each answer; a stream has up to `--ahead` requests without an ack. The first round, which makes the series, is not counted.
//! CPU time is the server's, as the kernel accounts for it; requests per second include the sender, which runs on the same processors.
//!
//! Prints figures; asserts nothing about them.

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

/// `narthex.v1.WriteStreamResponse`, as far as it is looked at.
#[derive(Clone, PartialEq, Message)]
struct Ack {
    #[prost(message, optional, tag = "2")]
    stored: Option<Stored>,
}

/// `narthex.v1.WriteResponse`, as far as it is looked at.
#[derive(Clone, Copy, PartialEq, Message)]
struct Stored {
    #[prost(uint64, tag = "1")]
    samples: u64,
}

/// Messages that are encoded already.
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

/// What the command line asks for.
struct Plan {
    series: usize,
    rounds: usize,
    writers: usize,
    ahead: usize,
    sync: String,
}

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Http,
    Unary,
    Stream,
}

fn main() {
    let plan = Plan::from_args();
    let start =
        SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis()
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
    for way in [Way::Http, Way::Unary, Way::Stream] {
        measure(&plan, way, &rounds);
    }
}

impl Plan {
    fn from_args() -> Self {
        let mut plan =
            Self { series: 100_000, rounds: 40, writers: 4, ahead: 16, sync: "interval".into() };
        let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
        while let Some(flag) = args.next() {
            let value = args.next().unwrap_or_else(|| panic!("{flag} wants a value"));
            match flag.as_str() {
                "--series" => plan.series = value.parse().expect("a number"),
                "--rounds" => plan.rounds = value.parse().expect("a number"),
                "--writers" => plan.writers = value.parse().expect("a number"),
                "--ahead" => plan.ahead = value.parse().expect("a number"),
                "--sync" => plan.sync = value,
                other => panic!("unknown flag {other}"),
            }
        }
        plan
    }
}

fn measure(plan: &Plan, way: Way, rounds: &[Vec<Vec<u8>>]) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let port = free_port();
    let sync = format!("--storage.tsdb.wal-sync={}", plan.sync);
    let flags = [sync.as_str()];
    let target = rig::narthex(&flags);
    let mut server = launch(&target, dir.path(), port);
    wait_until_ready(&target, &mut server, port);
    let (first, rest) = rounds.split_at(1);
    send(plan, way, first, port);
    let before = Usage::of(&server);
    let seconds = send(plan, way, rest, port);
    let after = Usage::of(&server);
    server.kill().expect("the server runs");
    server.wait().expect("the server ends");
    let samples = (plan.series * rest.len()) as f64;
    println!(
        "{:<10}{:>20.0}{:>36.3}{:>24.1}",
        format!("{way:?}").to_lowercase(),
        samples / seconds,
        (after.cpu_seconds - before.cpu_seconds) / samples * 1e6,
        after.rss / 1_048_576.0
    );
}

/// Sends rounds; how many seconds it took, without the encoding.
fn send(plan: &Plan, way: Way, rounds: &[Vec<Vec<u8>>], port: u16) -> f64 {
    if way == Way::Http {
        let begun = Instant::now();
        rig::send(rounds, plan.writers, port);
        return begun.elapsed().as_secs_f64();
    }
    let plain = |body: &Vec<u8>| {
        snap::raw::Decoder::new().decompress_vec(body).expect("it was just compressed")
    };
    let rounds: Vec<Arc<Vec<Bytes>>> = rounds
        .iter()
        .map(|round| {
            let numbered = round.iter().enumerate().map(|(number, body)| match way {
                Way::Stream => enveloped(number as u64, &plain(body)),
                _ => plain(body).into(),
            });
            Arc::new(numbered.collect())
        })
        .collect();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let begun = Instant::now();
        for round in rounds {
            let next = Arc::new(AtomicUsize::new(0));
            let writers: Vec<_> = (0..plan.writers)
                .map(|_| {
                    let (round, next) = (round.clone(), next.clone());
                    let share = Share { round, next };
                    tokio::spawn(write(way, port, share, plan.ahead))
                })
                .collect();
            for writer in writers {
                writer.await.expect("a writer ends");
            }
        }
        begun.elapsed().as_secs_f64()
    })
}

fn enveloped(sequence: u64, request: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(request.len() + 16);
    encode_key(1, WireType::Varint, &mut message);
    encode_varint(sequence, &mut message);
    encode_key(2, WireType::LengthDelimited, &mut message);
    encode_varint(request.len() as u64, &mut message);
    message.put(request);
    message.freeze()
}

/// A round, shared by all writers.
struct Share {
    round: Arc<Vec<Bytes>>,
    next: Arc<AtomicUsize>,
}

impl Share {
    fn take(&self) -> Option<Bytes> {
        self.round.get(self.next.fetch_add(1, Ordering::Relaxed)).cloned()
    }
}

async fn write(way: Way, port: u16, share: Share, ahead: usize) {
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))
        .expect("an address")
        .tcp_nodelay(true);
    let channel = endpoint.connect().await.expect("the server listens");
    let mut client = Grpc::new(channel).max_encoding_message_size(usize::MAX);
    client.ready().await.expect("a connection");
    if way == Way::Unary {
        let path = PathAndQuery::from_static("/narthex.v1.Write/WriteV1");
        while let Some(message) = share.take() {
            client.ready().await.expect("a connection");
            let answer = client
                .unary(Request::new(message), path.clone(), Encoded::<Stored>(PhantomData))
                .await;
            assert_eq!(
                answer.expect("it is stored").into_inner().samples,
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
    let mut acks = streaming.await.expect("a stream").into_inner();
    let room = Arc::new(Semaphore::new(ahead));
    let sending = tokio::spawn({
        let room = room.clone();
        async move {
            while let Some(message) = share.take() {
                room.acquire().await.expect("it stays open").forget();
                messages.send(message).await.expect("the stream goes on");
            }
        }
    });
    while let Some(ack) = acks.message().await.expect("the stream goes on") {
        assert_eq!(ack.stored, Some(Stored { samples: SERIES_PER_REQUEST as u64 }));
        room.add_permits(1);
    }
    sending.await.expect("all was sent");
}
