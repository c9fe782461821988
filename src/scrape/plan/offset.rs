//! Position of a target within its scrape interval.
//!
//! The position is a hash of the labels and the URL of the target, combined with a seed of the
//! server. So targets are spread over the interval, a restart does not move them, and two servers
//! with equal configurations do not scrape a target at the same time.
//!
//! Positions are whole milliseconds, the resolution of timestamps: a target whose scrapes are
//! aligned has equal timestamps modulo its interval before and after a restart.

use crate::model::labels::Labels;
use std::time::Duration;

const FNV_OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// Hash by which targets are told apart and spread: FNV-1a, 64 bits.
///
/// It depends on the content only, so it is stable over restarts and versions.
#[must_use]
pub fn target_hash(labels: &Labels, url: &str) -> u64 {
    fnv1a(fnv1a(FNV_OFFSET_BASIS, labels.as_bytes()), url.as_bytes())
}

/// Returns the seed of a server from its host name and its external labels.
#[must_use]
pub fn server_seed(host_name: &str, external_labels: Option<&Labels>) -> u64 {
    let seed = fnv1a(FNV_OFFSET_BASIS, host_name.as_bytes());
    external_labels.map_or(seed, |labels| fnv1a(seed, labels.as_bytes()))
}

/// Returns the position of a target within `interval`, in whole milliseconds.
#[must_use]
pub fn offset(target_hash: u64, server_seed: u64, interval: Duration) -> Duration {
    let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis((target_hash ^ server_seed) % interval_ms)
}

fn fnv1a(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

#[cfg(test)]
mod tests {
    use super::{fnv1a, offset, server_seed, target_hash};
    use crate::model::labels::{Labels, LabelsBuilder};
    use std::time::Duration;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().copied().collect::<LabelsBuilder<'_>>().build().unwrap()
    }

    #[test]
    fn hash_is_fnv1a_of_64_bits() {
        let hash = |bytes: &[u8]| fnv1a(super::FNV_OFFSET_BASIS, bytes);
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn offset_depends_on_labels_url_and_seed_only() {
        let minute = Duration::from_secs(60);
        let node = labels(&[("instance", "a:9100"), ("job", "node")]);
        let hash = target_hash(&node, "http://a:9100/metrics");
        assert_eq!(hash, target_hash(&node.clone(), "http://a:9100/metrics"));
        assert_ne!(hash, target_hash(&node, "http://a:9100/other"));
        let other = labels(&[("instance", "a:9100"), ("job", "nodes")]);
        assert_ne!(hash, target_hash(&other, "http://a:9100/metrics"));
        let seeds = [
            server_seed("one", None),
            server_seed("two", None),
            server_seed("one", Some(&labels(&[("replica", "b")]))),
        ];
        let offsets = seeds.map(|seed| offset(hash, seed, minute));
        assert!(offsets[0] != offsets[1] && offsets[0] != offsets[2], "{offsets:?}");
        assert!(offsets.iter().all(|offset| *offset < minute), "{offsets:?}");
        assert_eq!(offset(hash, seeds[0], Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn targets_are_spread_over_the_interval() {
        let interval = Duration::from_secs(10);
        let mut by_second = [0_u32; 10];
        for i in 0..5000 {
            let address = format!("10.0.{}.{}:9100", i / 250, i % 250);
            let target = labels(&[("instance", &address), ("job", "node")]);
            let hash = target_hash(&target, &format!("http://{address}/metrics"));
            by_second[offset(hash, 17, interval).as_secs() as usize] += 1;
        }
        assert!(by_second.iter().all(|count| (400..600).contains(count)), "{by_second:?}");
    }
}
