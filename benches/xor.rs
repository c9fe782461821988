//! XOR and XOR2 chunks: append and iterate.
//!
//! Times are per chunk of 120 samples. The throughput line of criterion shows samples per second.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use narthex::model::float_sample::FloatSample;
use narthex::model::sample::Sample;
use narthex::tsdb::chunk::any_chunk::{AnyChunk, EncodingPolicy};
use narthex::tsdb::chunk::cut::{ChunkBoundary, CutPolicy};
use narthex::tsdb::chunk::float_chunk::{FloatEncoding, FloatIter};
use std::hint::black_box;

const SAMPLES: i64 = 120;
const POLICY: CutPolicy = CutPolicy { chunk_range_ms: 7_200_000, samples_per_chunk: 120 };

/// Returns series of different shapes by name: 120 samples at intervals of 15 s.
fn shapes() -> [(&'static str, Vec<FloatSample>); 4] {
    let mut state = 1u64;
    let mut random = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let start = 1_762_300_800_000;
    let series = |value: &mut dyn FnMut(i64) -> f64, jitter: &mut dyn FnMut() -> i64| {
        (0..SAMPLES)
            .map(|i| FloatSample::new(start + i * 15_000 + jitter(), value(i)))
            .collect::<Vec<_>>()
    };
    let constant = series(&mut |_| 1.0, &mut || 0);
    let mut total = 0.0;
    let counter = series(
        &mut |_| {
            total += (random() % 1000) as f64;
            total
        },
        &mut || 0,
    );
    let gauge = series(&mut |i| (i as f64 / 9.0).sin() * 1e3, &mut || 0);
    let jittered = series(&mut |i| (i * 17) as f64, &mut || (random() % 9) as i64);
    [("constant", constant), ("counter", counter), ("gauge", gauge), ("jittered", jittered)]
}

const ENCODINGS: [(&str, FloatEncoding); 2] =
    [("", FloatEncoding::Xor), ("xor2/", FloatEncoding::Xor2)];

fn encode(floats: FloatEncoding, samples: &[FloatSample]) -> AnyChunk {
    let encodings = EncodingPolicy { floats, ..EncodingPolicy::default() };
    let mut chunk = AnyChunk::with_first_sample(encodings, &Sample::from(samples[0]), None);
    for sample in &samples[1..] {
        chunk.append(&Sample::from(*sample));
    }
    chunk
}

fn append(c: &mut Criterion) {
    let mut group = c.benchmark_group("append");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    for (prefix, encoding) in ENCODINGS {
        for (name, samples) in shapes() {
            group.bench_function(format!("{prefix}{name}"), |b| {
                b.iter(|| encode(encoding, black_box(&samples)))
            });
        }
    }
    // One sample per open chunk in turn, like requests, including the decision whether to cut.
    let (_, samples) = shapes().into_iter().nth(1).unwrap_or_default();
    let open = || {
        (
            encode(FloatEncoding::Xor, &samples[..1]),
            ChunkBoundary::starting_at(&POLICY, samples[0].t),
        )
    };
    group.throughput(Throughput::Elements((SAMPLES as u64 - 1) * 10_000));
    group.bench_function("counter, 10000 series in turn", |b| {
        b.iter_batched_ref(
            || (0..10_000).map(|_| open()).collect::<Vec<_>>(),
            |series| {
                for sample in &samples[1..] {
                    for (chunk, window) in &mut *series {
                        black_box(window.must_cut(&POLICY, chunk, samples[0].t, sample.t));
                        chunk.append(&Sample::from(*sample));
                    }
                }
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn iterate(c: &mut Criterion) {
    let mut group = c.benchmark_group("iterate");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    for (prefix, encoding) in ENCODINGS {
        for (name, samples) in shapes() {
            let chunk = encode(encoding, &samples).into_bytes();
            group.bench_function(format!("{prefix}{name}"), |b| {
                b.iter(|| {
                    let samples = FloatIter::new(encoding, black_box(&chunk)).map_while(Result::ok);
                    samples.fold((0, 0.0), |(t, v), sample| (t ^ sample.t, v + sample.v))
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, append, iterate);
criterion_main!(benches);
