//! Keys of changed objects, for one user of a watch.
//!
//! A key is there once, however often its object changes, so a slow user has at most one entry per
//! object.
//!
//! # Locking
//! A mutex protects the keys. The store posts under its own mutex; the user takes them without it.

use crate::discovery::kinds::kubernetes::objects::resource::ObjectKey;
use crate::metrics::registry::Counter;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Notify;

/// Change of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The object was added.
    Added,
    /// The object has other contents.
    Updated,
    /// The object was removed.
    Removed,
}

/// Counters of the changes that a user handles. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChangeCounters {
    pub(crate) added: Option<Counter>,
    pub(crate) updated: Option<Counter>,
    pub(crate) removed: Option<Counter>,
}

/// Keys of changed objects.
#[derive(Debug)]
pub(crate) struct Mailbox {
    changes: Mutex<BTreeMap<ObjectKey, Change>>,
    counters: ChangeCounters,
    /// Wakes the user. A permit is stored if it does not wait.
    wake: Arc<Notify>,
}

impl Mailbox {
    pub(super) fn new(counters: ChangeCounters, wake: Arc<Notify>) -> Self {
        Self { changes: Mutex::default(), counters, wake }
    }

    /// Adds a change. [`Mailbox::wake`] tells the user.
    pub(super) fn post(&self, key: ObjectKey, change: Change) {
        let counter = match change {
            Change::Added => &self.counters.added,
            Change::Updated => &self.counters.updated,
            Change::Removed => &self.counters.removed,
        };
        if let Some(counter) = counter {
            counter.inc();
        }
        self.changes.lock().insert(key, change);
    }

    /// Wakes the user.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Returns the last change of each object since the last call.
    pub(super) fn take(&self) -> BTreeMap<ObjectKey, Change> {
        std::mem::take(&mut self.changes.lock())
    }
}
