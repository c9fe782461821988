//! Order of password checks that wait, fair between clients.
//!
//! # Invariant
//! Each client with waiting checks is once in the line of its kind. The kinds (known clients and
//! others) have turns, and so have the clients of a line, so one check of each other client at most
//! is ahead of the first check of a client in its line. A client at its limit of running checks is
//! skipped.
//!
//! # Bounds
//! The first check of a client enters a full queue in place of the newest waiting check of the
//! client with the most of them. If every client has only one, a known client takes the place of
//! the newest other client, and any other client is rejected.

use crate::server::transport::client_limit::Client;
use std::collections::{HashMap, VecDeque};
use tokio::sync::oneshot;

/// Maximum number of running checks of one client.
const MAX_RUNNING_PER_CLIENT: usize = 2;
/// Maximum number of checks of one client, and of all clients, that run or wait.
pub(super) const MAX_PER_CLIENT: usize = 128;
pub(super) const MAX_CHECKS: usize = 1024;

/// Identifier of a waiting check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CheckId(u64);

/// Checks that run or wait.
#[derive(Debug)]
pub(super) struct WaitingChecks {
    /// Number of checks that may start.
    free_permits: usize,
    /// Number of checks that run or wait.
    count: usize,
    next_id: u64,
    clients: HashMap<Client, ClientChecks>,
    /// Clients with waiting checks, in order of their turns: others, known ones.
    lines: [VecDeque<Client>; 2],
    /// Index of the line whose turn is next.
    next_line: usize,
}

/// Checks of one client, at least one.
#[derive(Debug, Default)]
struct ClientChecks {
    running: usize,
    /// Oldest first.
    waiting: VecDeque<WaitingCheck>,
    /// Index of the line, if there are waiting checks.
    line: usize,
}

#[derive(Debug)]
struct WaitingCheck {
    id: CheckId,
    /// Is dropped without a message when the check is evicted.
    start: oneshot::Sender<()>,
}

impl WaitingChecks {
    pub(super) fn new(num_permits: usize) -> Self {
        Self {
            free_permits: num_permits,
            count: 0,
            next_id: 0,
            clients: HashMap::new(),
            lines: Default::default(),
            next_line: 0,
        }
    }

    pub(super) fn num_free_permits(&self) -> usize {
        self.free_permits
    }

    /// Returns the number of checks that run or wait.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Adds a check, which starts when the receiver gets a message and ends by [`Self::finish`].
    /// An error of the receiver means that the check was evicted. Returns `None` if the queue is
    /// full.
    pub(super) fn add(
        &mut self,
        client: Client,
        is_known: bool,
    ) -> Option<(CheckId, oneshot::Receiver<()>)> {
        let own = self.clients.get(&client).map_or(0, ClientChecks::count);
        if own >= MAX_PER_CLIENT {
            return None;
        }
        if self.count >= MAX_CHECKS && (own > 0 || !self.evict(is_known)) {
            return None;
        }
        let id = CheckId(self.next_id);
        self.next_id += 1;
        let (start, started) = oneshot::channel();
        let checks = self.clients.entry(client).or_default();
        if checks.waiting.is_empty() {
            checks.line = usize::from(is_known);
            self.lines[checks.line].push_back(client);
        }
        checks.waiting.push_back(WaitingCheck { id, start });
        self.count += 1;
        self.start_checks();
        Some((id, started))
    }

    /// Removes a check if it waits. Returns `false` if it has started or was evicted.
    pub(super) fn remove(&mut self, client: Client, id: CheckId) -> bool {
        let Some(checks) = self.clients.get_mut(&client) else { return false };
        let Some(index) = checks.waiting.iter().position(|check| check.id == id) else {
            return false;
        };
        checks.waiting.remove(index);
        self.count -= 1;
        self.settle(client);
        true
    }

    /// Ends a check that has started.
    pub(super) fn finish(&mut self, client: Client) {
        if let Some(checks) = self.clients.get_mut(&client) {
            checks.running -= 1;
            self.free_permits += 1;
            self.count -= 1;
            self.settle(client);
            self.start_checks();
        }
    }

    /// Removes what a client without waiting, or without any, checks must not have.
    fn settle(&mut self, client: Client) {
        let Some(checks) = self.clients.get(&client) else { return };
        if checks.waiting.is_empty() {
            self.lines[checks.line].retain(|other| *other != client);
            // So the map cannot outgrow the checks.
            if checks.running == 0 {
                self.clients.remove(&client);
            }
        }
    }

    /// Removes a waiting check for the first one of another client.
    fn evict(&mut self, is_known: bool) -> bool {
        let most = self.clients.iter().max_by_key(|(_, checks)| checks.waiting.len());
        let most = most.filter(|(_, checks)| checks.waiting.len() > 1).map(|(client, _)| *client);
        let newest_other = || self.lines[0].back().copied().filter(|_| is_known);
        let Some(client) = most.or_else(newest_other) else { return false };
        let evicted = self.clients.get_mut(&client).and_then(|checks| checks.waiting.pop_back());
        self.count -= usize::from(evicted.is_some());
        self.settle(client);
        evicted.is_some()
    }

    fn start_checks(&mut self) {
        while self.free_permits > 0 && self.start_next() {}
    }

    fn start_next(&mut self) -> bool {
        for line in [self.next_line, 1 - self.next_line] {
            let clients = &self.clients;
            let may_start = |client: &Client| {
                clients.get(client).is_some_and(|found| found.running < MAX_RUNNING_PER_CLIENT)
            };
            let Some(index) = self.lines[line].iter().position(may_start) else { continue };
            let Some(client) = self.lines[line].remove(index) else { continue };
            let Some(checks) = self.clients.get_mut(&client) else { continue };
            let Some(check) = checks.waiting.pop_front() else { continue };
            checks.running += 1;
            self.free_permits -= 1;
            if !checks.waiting.is_empty() {
                self.lines[line].push_back(client);
            }
            self.next_line = 1 - line;
            // The receiver exists: a check is removed before its receiver is dropped.
            let _ = check.start.send(());
            return true;
        }
        false
    }
}

impl ClientChecks {
    fn count(&self) -> usize {
        self.running + self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{CheckId, MAX_CHECKS, MAX_PER_CLIENT, WaitingChecks};
    use crate::server::transport::client_limit::Client;
    use tokio::sync::oneshot::Receiver;
    use tokio::sync::oneshot::error::TryRecvError;

    type Check = (CheckId, Receiver<()>);

    fn add(checks: &mut WaitingChecks, client: u64, is_known: bool) -> Option<Check> {
        checks.add(Client::Ipv6(client), is_known)
    }

    fn has_started((_, started): &mut Check) -> bool {
        started.try_recv().is_ok()
    }

    fn is_evicted((_, started): &mut Check) -> bool {
        started.try_recv() == Err(TryRecvError::Closed)
    }

    #[test]
    fn clients_have_turns_and_known_ones_every_other() {
        let mut checks = WaitingChecks::new(1);
        let running = add(&mut checks, 0, false).unwrap();
        let mut waiting: Vec<_> = [(1, false), (1, false), (2, false), (3, false), (8, true)]
            .into_iter()
            .chain([(8, true), (9, true)])
            .map(|(client, is_known)| (client, add(&mut checks, client, is_known).unwrap()))
            .collect();
        let (mut ended, mut order) = (0, Vec::new());
        for _ in 0..7 {
            checks.finish(Client::Ipv6(ended));
            let found = waiting.iter_mut().position(|(_, check)| has_started(check)).unwrap();
            ended = waiting.remove(found).0;
            order.push(ended);
        }
        assert_eq!(order, [8, 1, 9, 2, 8, 3, 1]);
        checks.finish(Client::Ipv6(1));
        assert!(checks.clients.is_empty() && checks.count == 0 && checks.free_permits == 1);
        assert!(checks.lines.iter().all(|line| line.is_empty()));
        drop(running);
    }

    #[test]
    fn one_client_runs_two_checks_at_most() {
        let mut checks = WaitingChecks::new(4);
        let mut own: Vec<_> = (0..3).map(|_| add(&mut checks, 1, false).unwrap()).collect();
        let started: Vec<_> = own.iter_mut().map(has_started).collect();
        assert_eq!(started, [true, true, false]);
        assert!(has_started(&mut add(&mut checks, 2, false).unwrap()));
        checks.finish(Client::Ipv6(1));
        assert!(has_started(&mut own[2]));
    }

    #[test]
    fn first_check_of_a_client_enters_a_full_queue() {
        let mut checks = WaitingChecks::new(1);
        let mut flood = Vec::new();
        for client in 0..(MAX_CHECKS / MAX_PER_CLIENT) as u64 {
            flood.extend((0..MAX_PER_CLIENT).map(|_| add(&mut checks, client, false).unwrap()));
            assert!(add(&mut checks, client, true).is_none(), "a client is at its limit");
        }
        let mut first = add(&mut checks, 99, false).unwrap();
        assert_eq!(checks.count, MAX_CHECKS);
        assert!(add(&mut checks, 99, true).is_none(), "the second check of a client");
        let evicted = flood.iter_mut().filter_map(|check| is_evicted(check).then_some(check.0.0));
        // The newest check of a client.
        let evicted: Vec<_> = evicted.map(|id| (id + 1) % MAX_PER_CLIENT as u64).collect();
        assert_eq!(evicted, [0]);
        assert!(!has_started(&mut first));
        // The new client has its turn after one check of each other client.
        for ended in [0].into_iter().chain(0..8) {
            assert!(!has_started(&mut first));
            checks.finish(Client::Ipv6(ended));
        }
        assert!(has_started(&mut first));
    }

    #[test]
    fn known_client_enters_a_queue_full_of_single_checks() {
        let mut checks = WaitingChecks::new(1);
        let mut flood: Vec<_> =
            (0..MAX_CHECKS as u64).map(|client| add(&mut checks, client, false).unwrap()).collect();
        assert!(add(&mut checks, 5000, false).is_none());
        let mut known = add(&mut checks, 5001, true).unwrap();
        assert!(is_evicted(flood.last_mut().unwrap()) && !is_evicted(&mut flood[1]));
        checks.finish(Client::Ipv6(0));
        assert!(has_started(&mut known));
        assert!(!checks.remove(Client::Ipv6(5001), known.0), "it has started");
        assert!(checks.remove(Client::Ipv6(1), flood[1].0));
        assert_eq!((checks.count, checks.lines[0].len()), (MAX_CHECKS - 2, MAX_CHECKS - 3));
    }
}
