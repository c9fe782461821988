//! Tests of XOR chunks: Prometheus's own bytes, and properties.

use super::{ChunkError, XorChunk, XorIter};
use crate::model::float_sample::{FloatSample, STALE_NAN_BITS};
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

/// Chunks written by Prometheus's code. The file says how.
const GOLDEN: &str = include_str!("../../../../tests/golden/xor/chunks.txt");

struct Golden {
    name: &'static str,
    samples: Vec<FloatSample>,
    bytes: Vec<u8>,
}

fn golden() -> Vec<Golden> {
    let mut chunks = Vec::new();
    for line in GOLDEN.lines().filter(|line| !line.starts_with('#')) {
        let (key, value) = line.split_once(' ').unwrap();
        match (key, chunks.last_mut()) {
            ("chunk", _) => {
                chunks.push(Golden { name: value, samples: Vec::new(), bytes: Vec::new() })
            }
            ("bytes", Some(chunk)) => {
                let pairs = (0..value.len()).step_by(2);
                chunk.bytes =
                    pairs.map(|i| u8::from_str_radix(&value[i..i + 2], 16).unwrap()).collect();
            }
            (t, Some(chunk)) => {
                let v = f64::from_bits(u64::from_str_radix(value, 16).unwrap());
                chunk.samples.push(FloatSample::new(t.parse().unwrap(), v));
            }
            _ => panic!("{line}"),
        }
    }
    chunks
}

fn encode(samples: &[FloatSample]) -> XorChunk {
    let mut chunk = XorChunk::new();
    samples.iter().for_each(|sample| chunk.append(sample.t, sample.v));
    chunk
}

fn decode(bytes: &[u8]) -> Result<Vec<FloatSample>, ChunkError> {
    XorIter::new(bytes).collect()
}

/// Samples with regular, jumping and extreme timestamps, and values of every kind.
fn samples(max: usize) -> impl Strategy<Value = Vec<FloatSample>> {
    let step = prop_oneof![
        6 => Just(15_000),
        3 => 14_900..15_100i64,
        2 => -600_000..600_000i64,
        1 => any::<i64>(),
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0), Just(-1)],
    ];
    let value = prop_oneof![
        4 => Just(None),
        3 => (0..1000u32).prop_map(|n| Some(f64::from(n).to_bits())),
        2 => any::<u64>().prop_map(Some),
        2 => (0..64u32).prop_map(|n| Some(1 << n)),
        1 => prop_oneof![
            Just(STALE_NAN_BITS),
            Just(f64::INFINITY.to_bits()),
            Just((-0.0f64).to_bits()),
        ]
        .prop_map(Some),
    ];
    let start = prop_oneof![
        Just(1_762_300_800_000i64),
        any::<i64>(),
        Just(i64::MIN),
        Just(i64::MAX),
        Just(0)
    ];
    (start, proptest::collection::vec((step, value), 0..max)).prop_map(|(start, steps)| {
        let (mut t, mut bits) = (start, 0);
        let mut next = |(step, value): (i64, Option<u64>)| {
            t = t.wrapping_add(step);
            bits = value.unwrap_or(bits);
            FloatSample::new(t, f64::from_bits(bits))
        };
        steps.into_iter().map(&mut next).collect()
    })
}

#[test]
fn golden_chunks_round_trip_byte_for_byte() {
    let chunks = golden();
    assert_eq!(chunks.len(), 25);
    for Golden { name, samples, bytes } in chunks {
        assert_eq!(decode(&bytes).as_ref(), Ok(&samples), "{name}");
        // A reopened appender of Prometheus writes longer windows. Ours continues as if never
        // interrupted.
        if !matches!(name, "resumed-before-any-change" | "resumed-after-one-sample") {
            assert_eq!(encode(&samples).bytes(), bytes, "{name}");
        }
    }
}

#[test]
fn chunk_is_complete_after_every_sample() {
    for Golden { name, samples, .. } in golden() {
        let mut chunk = XorChunk::new();
        assert_eq!((chunk.bytes(), chunk.last()), (&[0, 0][..], None));
        for (i, sample) in samples.iter().enumerate() {
            chunk.append(sample.t, sample.v);
            assert_eq!(decode(chunk.bytes()).as_deref(), Ok(&samples[..=i]), "{name}");
            assert_eq!(chunk.last(), Some(*sample));
            assert_eq!(usize::from(chunk.num_samples()), i + 1);
        }
        assert_eq!(&*chunk.clone().into_bytes(), chunk.bytes());
    }
}

#[test]
fn truncated_chunk_yields_its_samples_then_an_error() {
    for Golden { name, samples, bytes } in
        golden().into_iter().filter(|chunk| !chunk.samples.is_empty())
    {
        for len in 0..bytes.len() {
            let mut iter = XorIter::new(&bytes[..len]);
            let good: Vec<_> =
                iter.by_ref().take_while(Result::is_ok).map(Result::unwrap).collect();
            assert_eq!(good, samples[..good.len()], "{name}");
            assert!(good.len() < samples.len(), "{name}: {len} bytes");
            assert_eq!(iter.next(), None, "{name}");
            assert!(XorChunk::resume(&bytes[..len]).is_err(), "{name}");
        }
    }
}

#[test]
fn malformed_chunks_return_specific_errors() {
    assert_eq!(decode(&[]), Err(ChunkError::Truncated { sample: 0 }));
    assert_eq!(decode(&[0]), Err(ChunkError::Truncated { sample: 0 }));
    assert_eq!(decode(&[0xff; 30]), Err(ChunkError::VarintOverflow { sample: 0 }));
    // Two samples: t = 0, v = 0; step 0 and a new window of 31 leading zeros and 63 bits.
    let window = [0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(
        decode(&window),
        Err(ChunkError::InvalidXorWindow { sample: 1, leading: 31, width: 63 })
    );
}

#[test]
fn open_chunk_has_little_slack() {
    assert_eq!(size_of::<XorChunk>(), 48);
    let mut chunk = XorChunk::new();
    for i in 0..120 {
        chunk.append(i * 15_000, i as f64 * 0.1);
        let slack = chunk.allocated_bytes() - chunk.bytes().len();
        assert!(slack <= 56 + chunk.bytes().len() / 4, "{slack} bytes of slack");
    }
}

#[test]
fn full_chunk_ignores_samples() {
    let mut chunk = XorChunk::new();
    for i in 0..65_536 {
        if chunk.num_samples() < u16::MAX || !cfg!(debug_assertions) {
            chunk.append(i, 1.0);
        }
    }
    assert_eq!(decode(chunk.bytes()).unwrap().len(), 65_535);
}

proptest! {
    #[test]
    fn samples_round_trip_bit_for_bit(samples in samples(300)) {
        let chunk = encode(&samples);
        prop_assert_eq!(decode(chunk.bytes()), Ok(samples));
    }

    #[test]
    fn resumed_chunk_equals_an_uninterrupted_one(
        samples in samples(100), at in any::<proptest::sample::Index>(),
        garbage in any::<[u8; 4]>(),
    ) {
        let whole = encode(&samples);
        let (before, after) = samples.split_at(at.index(samples.len() + 1));
        let mut bytes = encode(before).bytes().to_vec();
        bytes.extend(garbage);
        let mut chunk = XorChunk::resume(&bytes).unwrap();
        prop_assert_eq!(chunk.last(), before.last().copied());
        after.iter().for_each(|sample| chunk.append(sample.t, sample.v));
        prop_assert_eq!(chunk.bytes(), whole.bytes());
    }

    #[test]
    fn arbitrary_bytes_yield_a_bounded_number_of_samples(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let promised =
            bytes.first_chunk().map_or(1, |header| usize::from(u16::from_be_bytes(*header)));
        let items: Vec<_> = XorIter::new(&bytes).collect();
        prop_assert!(items.len() <= promised && items.len() <= bytes.len() * 4 + 1);
        prop_assert!(items.iter().rev().skip(1).all(Result::is_ok));
        if let Ok(chunk) = XorChunk::resume(&bytes) {
            prop_assert_eq!(usize::from(chunk.num_samples()), items.len());
        }
    }

    #[test]
    fn flipped_bit_yields_a_bounded_number_of_samples(
        samples in samples(60), at in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = encode(&samples).bytes().to_vec();
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(XorIter::new(&bytes).count() <= bytes.len() * 4 + 1);
    }
}
