//! Addresses from which a right password came within a day.
//!
//! Their checks have precedence in the queue, so that wrong passwords from many other addresses do
//! not delay a sender whose result is not cached, for example after a change of its password. Only
//! a right password adds an address, so nobody else can displace one. The set survives a change of
//! the users and is lost at a restart.

use crate::server::transport::client_limit::Client;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Maximum number of addresses. The oldest one is removed first.
const MAX_CLIENTS: usize = 4096;
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// Age at which an entry is renewed, so that most requests only read.
const RENEWAL_AGE: Duration = Duration::from_secs(60);

/// Times of the last right password, by client.
#[derive(Debug, Default)]
pub(super) struct KnownClients(RwLock<HashMap<Client, Instant>>);

impl KnownClients {
    pub(super) fn contains(&self, client: Client, now: Instant) -> bool {
        self.is_younger(client, now, MAX_AGE)
    }

    /// Adds a client that sent a right password.
    pub(super) fn record(&self, client: Client, now: Instant) {
        if self.is_younger(client, now, RENEWAL_AGE) {
            return;
        }
        let mut clients = self.0.write();
        if clients.len() >= MAX_CLIENTS && !clients.contains_key(&client) {
            let oldest = clients.iter().min_by_key(|(_, at)| **at).map(|(oldest, _)| *oldest);
            if let Some(oldest) = oldest {
                clients.remove(&oldest);
            }
        }
        clients.insert(client, now);
    }

    fn is_younger(&self, client: Client, now: Instant, age: Duration) -> bool {
        self.0.read().get(&client).is_some_and(|at| now.saturating_duration_since(*at) < age)
    }
}

#[cfg(test)]
mod tests {
    use super::{KnownClients, MAX_AGE, MAX_CLIENTS, RENEWAL_AGE};
    use crate::server::transport::client_limit::Client;
    use std::time::{Duration, Instant};

    #[test]
    fn known_clients_are_bounded_in_number_and_age() {
        let (known, start) = (KnownClients::default(), Instant::now());
        let at = |number: u64| start + Duration::from_millis(number);
        for number in 0..=MAX_CLIENTS as u64 {
            known.record(Client::Ipv6(number), at(number));
        }
        assert_eq!(known.0.read().len(), MAX_CLIENTS);
        assert!(!known.contains(Client::Ipv6(0), start) && known.contains(Client::Ipv6(1), start));
        let last = MAX_CLIENTS as u64;
        assert!(!known.contains(Client::Ipv6(last), at(last) + MAX_AGE));
        // Each use extends the time.
        known.record(Client::Ipv6(last), at(last) + RENEWAL_AGE);
        assert!(known.contains(Client::Ipv6(last), at(last) + MAX_AGE));
    }
}
