//! Limit per client, so that no single client holds all permits.
//!
//! A client is an IPv4 address or an IPv6 network of 64 bits: the prefix that a host usually gets.
//! The mutex is held only to count.

use crate::metrics::registry::Registry;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Address of the client of a request, an extension that its connection adds. An IPv4 address that
/// a dual-stack socket reports as an IPv6 address is IPv4 here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub IpAddr);

/// Key of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// The first 64 bits of the address.
    Ipv6(u64),
    /// Requests without an address share one limit.
    Unknown,
}

impl From<Option<PeerAddress>> for Client {
    fn from(address: Option<PeerAddress>) -> Self {
        match address {
            Some(PeerAddress(IpAddr::V4(ip))) => Self::Ipv4(ip),
            Some(PeerAddress(IpAddr::V6(ip))) => Self::Ipv6((ip.to_bits() >> 64) as u64),
            None => Self::Unknown,
        }
    }
}

/// Limit of permits per client. Clones share it.
#[derive(Clone, Debug)]
pub struct ClientLimit {
    max: usize,
    held: Arc<Mutex<HashMap<Client, usize>>>,
    rejected: Arc<AtomicU64>,
}

/// Permit of a client. Dropping it returns the permit.
#[derive(Debug)]
pub(crate) struct ClientPermit {
    client: Client,
    held: Arc<Mutex<HashMap<Client, usize>>>,
}

impl ClientLimit {
    /// Creates a limit of `max` permits per client.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max, held: Arc::default(), rejected: Arc::default() }
    }

    /// Registers the limit and the number of rejections under `name`; `what` names the permits.
    pub fn register(&self, registry: &mut Registry, name: &str, what: &str) {
        let max = self.max;
        let help = format!("Maximum number of {what} per client.");
        registry.gauge_fn(&format!("{name}_per_client_limit"), &help, move || max as f64);
        let rejected = self.rejected.clone();
        let help = format!("Rejected {what} of clients that were at their limit.");
        let name = format!("{name}_per_client_rejected_total");
        registry.counter_fn(&name, &help, move || rejected.load(Ordering::Relaxed) as f64);
    }

    /// Returns the maximum number of permits per client.
    #[must_use]
    pub fn max(&self) -> usize {
        self.max
    }

    /// Returns a permit, or `None` if the client is at its limit.
    pub(crate) fn acquire(&self, address: Option<PeerAddress>) -> Option<ClientPermit> {
        let client = Client::from(address);
        let mut held = self.held.lock();
        let count = held.get(&client).copied().unwrap_or_default();
        if count >= self.max {
            self.rejected.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        held.insert(client, count + 1);
        Some(ClientPermit { client, held: Arc::clone(&self.held) })
    }
}

impl Drop for ClientPermit {
    fn drop(&mut self) {
        let mut held = self.held.lock();
        match held.get_mut(&self.client) {
            Some(count) if *count > 1 => *count -= 1,
            // Remove the entry of a client without permits, so that the map cannot outgrow the
            // permits.
            _ => drop(held.remove(&self.client)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ClientLimit, PeerAddress};

    fn peer(address: &str) -> Option<PeerAddress> {
        Some(PeerAddress(address.parse().unwrap()))
    }

    #[test]
    fn client_beyond_its_limit_gets_no_permit() {
        let limit = ClientLimit::new(2);
        let first = limit.acquire(peer("192.0.2.1")).unwrap();
        let _second = limit.acquire(peer("192.0.2.1")).unwrap();
        assert!(limit.acquire(peer("192.0.2.1")).is_none());
        assert!(limit.acquire(peer("192.0.2.2")).is_some());
        drop(first);
        assert!(limit.acquire(peer("192.0.2.1")).is_some());
    }

    #[test]
    fn addresses_of_an_ipv6_network_share_a_limit() {
        let limit = ClientLimit::new(1);
        let held = limit.acquire(peer("2001:db8::1")).unwrap();
        assert!(limit.acquire(peer("2001:db8::2:3:4:5")).is_none());
        assert!(limit.acquire(peer("2001:db8:0:1::1")).is_some());
        assert!(limit.acquire(None).is_some());
        drop(held);
        assert!(limit.held.lock().is_empty());
    }
}
