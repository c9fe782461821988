//! Notifications about the process for its operators: an active list, and updates for subscribers.
//!
//! Another part raises a [`Notice`] when a condition starts and clears it when the condition ends.
//! Each notice is in the list at most once, so the list is bounded. The texts follow Prometheus.
//!
//! # Subscribers
//! A subscriber first gets the active notifications, then every change. Its queue is bounded, and
//! an update that does not fit is dropped and counted: nobody waits for a slow subscriber.

use crate::metrics::registry::{Counter, Gauge, Registry};
use crate::model::time::format_system_time;
use parking_lot::Mutex;
use serde::Serialize;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::mpsc;

/// Maximum number of updates that wait for a subscriber, as in Prometheus.
const QUEUE: usize = 10;

/// Condition that operators are notified of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The data directory is opened and the WAL is replayed.
    Starting,
    /// The last reload of the configuration file failed.
    ConfigReloadFailed,
    /// The last reload of the web configuration file failed.
    WebConfigReloadFailed,
    /// The process shuts down.
    ShuttingDown,
}

impl Notice {
    fn text(self) -> &'static str {
        match self {
            Self::Starting => "narthex is starting and replaying the write-ahead log (WAL).",
            // Prometheus's words, which clients may compare.
            Self::ConfigReloadFailed => "Configuration reload has failed.",
            Self::WebConfigReloadFailed => "Reload of the web configuration file has failed.",
            Self::ShuttingDown => {
                "narthex is shutting down and gracefully stopping all operations."
            }
        }
    }
}

/// Notification in Prometheus's JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notification {
    /// Text for people.
    text: &'static str,
    /// Time of the last [`Notifications::raise`].
    date: String,
    /// `false` in the update that ends the notification.
    active: bool,
}

/// Active notifications and their subscribers.
#[derive(Debug)]
pub struct Notifications {
    state: Mutex<State>,
    /// Maximum number of subscribers.
    max_subscribers: usize,
    metrics: NotificationMetrics,
}

#[derive(Debug, Default)]
struct State {
    active: Vec<(Notice, Notification)>,
    subscribers: Vec<(u64, mpsc::Sender<Notification>)>,
    last_id: u64,
}

/// Prometheus's metrics of notifications.
#[derive(Debug)]
struct NotificationMetrics {
    subscribers: Gauge,
    sent: Counter,
    dropped: Counter,
}

/// Subscription to updates, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Subscription {
    id: u64,
    updates: mpsc::Receiver<Notification>,
    notifications: Arc<Notifications>,
}

impl Notifications {
    /// Creates an empty list for at most `max_subscribers` subscribers, and registers its metrics.
    pub fn register(registry: &mut Registry, max_subscribers: usize) -> Self {
        let metrics = NotificationMetrics {
            subscribers: registry.gauge(
                "prometheus_api_notification_active_subscribers",
                "The current number of active notification subscribers.",
            ),
            sent: registry.counter(
                "prometheus_api_notification_updates_sent_total",
                "Total number of notification updates sent.",
            ),
            dropped: registry.counter(
                "prometheus_api_notification_updates_dropped_total",
                "Total number of notification updates dropped.",
            ),
        };
        Self { state: Mutex::default(), max_subscribers, metrics }
    }

    /// Adds a notification. If it is active already, its date becomes the current time.
    pub fn raise(&self, notice: Notice) {
        let date = format_system_time(SystemTime::now());
        let raised = Notification { text: notice.text(), date, active: true };
        let mut state = self.state.lock();
        match state.active.iter_mut().find(|(active, _)| *active == notice) {
            Some((_, notification)) => *notification = raised.clone(),
            None => state.active.push((notice, raised.clone())),
        }
        self.send(&state, &raised);
    }

    /// Removes a notification, if it is active.
    pub fn clear(&self, notice: Notice) {
        let mut state = self.state.lock();
        let Some(at) = state.active.iter().position(|(active, _)| *active == notice) else {
            return;
        };
        let (_, notification) = state.active.remove(at);
        self.send(&state, &Notification { active: false, ..notification });
    }

    /// Returns the active notifications, the oldest first.
    pub(crate) fn active(&self) -> Vec<Notification> {
        self.state.lock().active.iter().map(|(_, notification)| notification.clone()).collect()
    }

    /// Subscribes to updates. Returns `None` if there are too many subscribers.
    pub(crate) fn subscribe(self: &Arc<Self>) -> Option<Subscription> {
        let mut state = self.state.lock();
        if state.subscribers.len() >= self.max_subscribers {
            return None;
        }
        let (sender, updates) = mpsc::channel(QUEUE);
        for (_, notification) in &state.active {
            // A new queue has room for every notice.
            let _ = sender.try_send(notification.clone());
        }
        state.last_id += 1;
        let id = state.last_id;
        state.subscribers.push((id, sender));
        self.metrics.subscribers.set(state.subscribers.len() as i64);
        Some(Subscription { id, updates, notifications: Arc::clone(self) })
    }

    fn unsubscribe(&self, id: u64) {
        let mut state = self.state.lock();
        state.subscribers.retain(|(subscriber, _)| *subscriber != id);
        self.metrics.subscribers.set(state.subscribers.len() as i64);
    }

    /// Sends an update to every subscriber. A dropped one counts as sent, too, as in Prometheus.
    fn send(&self, state: &State, update: &Notification) {
        for (_, subscriber) in &state.subscribers {
            self.metrics.sent.inc();
            if subscriber.try_send(update.clone()).is_err() {
                self.metrics.dropped.inc();
            }
        }
    }
}

impl Subscription {
    /// Waits for the next update.
    pub(crate) async fn next(&mut self) -> Option<Notification> {
        self.updates.recv().await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.notifications.unsubscribe(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::{Notice, Notifications, QUEUE};
    use crate::metrics::registry::Registry;
    use crate::metrics::text::ExpositionFormat;
    use std::sync::Arc;

    fn texts(notifications: &Notifications) -> Vec<&'static str> {
        notifications.active().into_iter().map(|notification| notification.text).collect()
    }

    #[test]
    fn notice_is_listed_once_until_it_is_cleared() {
        let notifications = Notifications::register(&mut Registry::new(), 0);
        for notice in [Notice::Starting, Notice::ConfigReloadFailed, Notice::Starting] {
            notifications.raise(notice);
        }
        let (starting, failed) = (Notice::Starting.text(), Notice::ConfigReloadFailed.text());
        assert_eq!(texts(&notifications), [starting, failed]);
        notifications.clear(Notice::ShuttingDown);
        notifications.clear(Notice::Starting);
        assert_eq!(texts(&notifications), [failed]);
        notifications.raise(Notice::Starting);
        assert_eq!(texts(&notifications), [failed, starting]);
    }

    #[tokio::test]
    async fn subscriber_gets_active_notifications_and_changes() {
        let notifications = Arc::new(Notifications::register(&mut Registry::new(), 2));
        notifications.raise(Notice::Starting);
        let mut subscription = notifications.subscribe().unwrap();
        notifications.raise(Notice::ConfigReloadFailed);
        notifications.clear(Notice::Starting);
        let mut got = Vec::new();
        for _ in 0..3 {
            let update = subscription.next().await.unwrap();
            got.push((update.text, update.active));
        }
        let (starting, failed) = (Notice::Starting.text(), Notice::ConfigReloadFailed.text());
        assert_eq!(got, [(starting, true), (failed, true), (starting, false)]);
    }

    #[test]
    fn subscribers_and_their_queues_are_bounded() {
        let mut registry = Registry::new();
        let notifications = Arc::new(Notifications::register(&mut registry, 1));
        let subscription = notifications.subscribe().unwrap();
        assert!(notifications.subscribe().is_none());
        for _ in 0..QUEUE + 3 {
            notifications.raise(Notice::ConfigReloadFailed);
        }
        let text = registry.encode(ExpositionFormat::from_accept_header(""));
        for line in [
            "prometheus_api_notification_active_subscribers 1\n",
            "prometheus_api_notification_updates_sent_total 13\n",
            "prometheus_api_notification_updates_dropped_total 3\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        drop(subscription);
        assert!(notifications.subscribe().is_some());
    }
}
