//! How long it takes to read a write request in place, against decoding it with prost.
//!
//! The request is like those of a Prometheus server with default settings: 2000 series, one sample each, a dozen labels.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use narthex::remote::pb::prometheus as pb;
use narthex::remote::reader::{CountLimits, RequestIndex};
use prost::Message;
use std::hint::black_box;

const SERIES: usize = 2000;
const LIMITS: CountLimits = CountLimits { series: u64::MAX, samples: u64::MAX };

fn request() -> Vec<u8> {
    let label = |name: &str, value: String| pb::Label { name: name.to_owned(), value };
    let timeseries = (0..SERIES).map(|i| pb::TimeSeries {
        labels: vec![
            label("__name__", format!("container_network_receive_bytes_total_{}", i % 50)),
            label("cluster", "eu-west-1-production".into()),
            label("container", "application".into()),
            label("endpoint", "https-metrics".into()),
            label("id", format!("/kubepods/burstable/pod{i:032x}")),
            label("instance", format!("10.0.{}.{}:10250", i / 250, i % 250)),
            label("interface", "eth0".into()),
            label("job", "kubelet".into()),
            label("namespace", "monitoring".into()),
            label("node", format!("ip-10-0-{}-{}.internal", i / 250, i % 250)),
            label("pod", format!("application-7d9c5b8f6d-{i:05}")),
            label("service", "kubelet".into()),
        ],
        samples: vec![pb::Sample { value: i as f64 * 1.5, timestamp: 1_762_300_800_000 }],
        ..Default::default()
    });
    pb::WriteRequest { timeseries: timeseries.collect(), metadata: Vec::new() }.encode_to_vec()
}

fn write_request(c: &mut Criterion) {
    let body = request();
    let mut group = c.benchmark_group("write_request");
    group.throughput(Throughput::Elements(SERIES as u64));
    let mut index = RequestIndex::new();
    group.bench_function("check", |b| b.iter(|| index.read(black_box(&body), LIMITS)));
    group.bench_function("check and walk", |b| {
        b.iter(|| {
            let mut sum = 0;
            if index.read(black_box(&body), LIMITS).is_ok() {
                for series in index.series(&body) {
                    sum += series.packed_labels().map_or(0, <[u8]>::len) as i64;
                    sum += series.samples().map(|sample| sample.t).sum::<i64>();
                }
            }
            sum
        });
    });
    group.bench_function("prost", |b| b.iter(|| pb::WriteRequest::decode(black_box(&body[..]))));
    group.finish();
}

criterion_group!(benches, write_request);
criterion_main!(benches);
