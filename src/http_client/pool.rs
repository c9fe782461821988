//! Connections of a transport that are kept for later requests.
//!
//! # Failure
//! A lease that is dropped before its response was read to the end closes the connection: after a
//! timeout nobody knows its state. Other requests of an HTTP/2 connection may finish, but new ones
//! do not use it.

use crate::http_client::connection::{Connection, Http1Connection, Http2Connection};
use crate::http_client::dial::route::Route;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// Time after which an idle connection is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// Interval at which idle connections are checked.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// Maximum number of idle connections of a pool.
const MAX_IDLE: usize = 20_000;
/// Maximum number of idle connections of a route.
const MAX_IDLE_OF_ROUTE: usize = 1_000;
/// Maximum number of concurrent requests of an HTTP/2 connection. Servers should allow as many.
const MAX_STREAMS: usize = 100;

/// Idle connections by route.
#[derive(Default)]
pub(super) struct Pool {
    connections: Mutex<Connections>,
    has_sweeper: AtomicBool,
}

#[derive(Default)]
struct Connections {
    by_route: HashMap<Route, RouteConnections>,
    /// Number of idle HTTP/1.1 connections.
    idle: usize,
}

#[derive(Default)]
struct RouteConnections {
    /// With the time since when they are idle, the latest last.
    http1: Vec<(Http1Connection, Instant)>,
    /// With the time of the last use.
    http2: Vec<(Arc<Http2Connection>, Instant)>,
}

/// Connection that a request uses.
pub(super) struct Lease {
    /// `None` only while the lease is dropped.
    connection: Option<Connection>,
    route: Route,
    pool: Weak<Pool>,
}

impl Pool {
    /// Returns a connection that is open as far as known.
    pub(super) fn take(self: &Arc<Self>, route: &Route) -> Option<Lease> {
        let connection = self.connections.lock().take(route, Instant::now())?;
        Some(self.lease(connection, route))
    }

    /// Adds a new connection. One of HTTP/2 is available to other requests at once.
    pub(super) fn add(self: &Arc<Self>, connection: Connection, route: &Route) -> Lease {
        if let Connection::Http2(shared) = &connection {
            let mut connections = self.connections.lock();
            let entry = connections.by_route.entry(route.clone()).or_default();
            entry.http2.push((Arc::clone(shared), Instant::now()));
        }
        self.start_sweeper();
        self.lease(connection, route)
    }

    /// Returns the number of open connections.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let connections = self.connections.lock();
        connections.by_route.values().map(|entry| entry.http1.len() + entry.http2.len()).sum()
    }

    /// Closes all idle connections.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn close_idle(&self) {
        self.connections.lock().sweep(|_| false);
    }

    fn lease(self: &Arc<Self>, connection: Connection, route: &Route) -> Lease {
        let pool = Arc::downgrade(self);
        Lease { connection: Some(connection), route: route.clone(), pool }
    }

    fn start_sweeper(self: &Arc<Self>) {
        if self.has_sweeper.swap(true, Ordering::Relaxed) {
            return;
        }
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP_INTERVAL).await;
                let Some(pool) = pool.upgrade() else { return };
                let now = Instant::now();
                let is_recent = |time: Instant| now.duration_since(time) < IDLE_TIMEOUT;
                pool.connections.lock().sweep(is_recent);
            }
        });
    }
}

impl Connections {
    fn take(&mut self, route: &Route, now: Instant) -> Option<Connection> {
        let entry = self.by_route.get_mut(route)?;
        entry.http2.retain(|(connection, _)| !connection.is_closed());
        let free = entry.http2.iter_mut().find(|(connection, _)| {
            // The pool has one reference, each request another one.
            Arc::strong_count(connection) <= MAX_STREAMS
        });
        if let Some((connection, used)) = free {
            *used = now;
            return Some(Connection::Http2(Arc::clone(connection)));
        }
        while let Some((connection, since)) = entry.http1.pop() {
            self.idle -= 1;
            if !connection.is_closed() && now.duration_since(since) < IDLE_TIMEOUT {
                return Some(Connection::Http1(connection));
            }
        }
        None
    }

    fn put(&mut self, connection: Http1Connection, route: Route, now: Instant) {
        if self.idle >= MAX_IDLE || connection.is_closed() {
            return;
        }
        let entry = self.by_route.entry(route).or_default();
        if entry.http1.len() < MAX_IDLE_OF_ROUTE {
            entry.http1.push((connection, now));
            self.idle += 1;
        }
    }

    /// Closes idle connections whose last use is not recent.
    fn sweep(&mut self, is_recent: impl Fn(Instant) -> bool) {
        self.idle = 0;
        self.by_route.retain(|_, entry| {
            entry.http1.retain(|(connection, since)| !connection.is_closed() && is_recent(*since));
            entry.http2.retain(|(connection, used)| {
                let is_used = Arc::strong_count(connection) > 1;
                !connection.is_closed() && (is_used || is_recent(*used))
            });
            self.idle += entry.http1.len();
            !entry.http1.is_empty() || !entry.http2.is_empty()
        });
    }
}

impl Lease {
    /// Returns the connection; `None` only while the lease is dropped.
    pub(super) fn connection(&mut self) -> Option<&mut Connection> {
        self.connection.as_mut()
    }

    /// Returns the connection to the pool after a response was read to the end.
    pub(super) fn finish(mut self) {
        let (Some(pool), Some(connection)) = (self.pool.upgrade(), self.connection.take()) else {
            return;
        };
        if let Connection::Http1(connection) = connection {
            pool.connections.lock().put(connection, self.route.clone(), Instant::now());
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(Connection::Http2(connection)) = self.connection.take() else { return };
        let Some(pool) = self.pool.upgrade() else { return };
        if let Some(entry) = pool.connections.lock().by_route.get_mut(&self.route) {
            entry.http2.retain(|(known, _)| !Arc::ptr_eq(known, &connection));
        }
    }
}
