//! Objects of a watch.
//!
//! # Locking
//! A mutex protects the objects and the list of users. Changes are posted under it, so that a user
//! that reads after it took its keys sees at least the objects of these changes.

use crate::discovery::kinds::kubernetes::objects::resource::{ObjectKey, Resource, object_key};
use crate::discovery::kinds::kubernetes::watches::mailbox::{Change, Mailbox};
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Weak};

/// Maximum size of the objects of a watch: the sum of their kept fields as JSON and
/// [`OBJECT_OVERHEAD`] for each one, bytes.
pub(super) const MAX_BYTES: usize = 512 << 20;
/// Size of an object in addition to its fields, bytes.
const OBJECT_OVERHEAD: usize = 256;

/// Error of storing objects.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StoreError {
    /// The objects are too large together.
    #[error("objects exceed {limit} bytes")]
    TooLarge {
        /// Maximum size, bytes.
        limit: usize,
    },
    /// An object without a name.
    #[error("object has no name")]
    NoName,
}

/// Objects of a watch.
#[derive(Debug)]
pub(crate) struct ObjectStore<T> {
    contents: Mutex<Contents<T>>,
    limit: usize,
}

#[derive(Debug)]
struct Contents<T> {
    objects: HashMap<ObjectKey, Kept<T>>,
    /// Size of all objects.
    bytes: usize,
    /// Whether the objects were listed once.
    is_complete: bool,
    users: Vec<Weak<Mailbox>>,
}

#[derive(Debug)]
struct Kept<T> {
    object: Arc<T>,
    bytes: usize,
}

/// Objects of a list, which replace those of a store.
#[derive(Debug)]
pub(super) struct Listed<T> {
    objects: HashMap<ObjectKey, Kept<T>>,
    bytes: usize,
    limit: usize,
}

impl<T: Resource> Listed<T> {
    /// Adds an object.
    pub(super) fn add(&mut self, object: T) -> Result<(), StoreError> {
        let (key, kept) = kept(object)?;
        let old = self.objects.get(&key).map_or(0, |old| old.bytes);
        self.bytes = self.bytes - old + kept.bytes;
        if self.bytes > self.limit {
            return Err(StoreError::TooLarge { limit: self.limit });
        }
        self.objects.insert(key, kept);
        Ok(())
    }
}

impl<T: Resource> ObjectStore<T> {
    /// Returns an empty store. `limit`: maximum size of the objects, bytes.
    pub(super) fn new(limit: usize) -> Self {
        let contents =
            Contents { objects: HashMap::new(), bytes: 0, is_complete: false, users: Vec::new() };
        Self { contents: Mutex::new(contents), limit }
    }

    /// Returns `true` if the objects were listed once.
    pub(super) fn is_complete(&self) -> bool {
        self.contents.lock().is_complete
    }

    /// Returns an object.
    pub(super) fn get(&self, key: &str) -> Option<Arc<T>> {
        self.contents.lock().objects.get(key).map(|kept| Arc::clone(&kept.object))
    }

    /// Adds a user, whose mailbox gets all objects first.
    pub(super) fn subscribe(&self, mailbox: &Arc<Mailbox>) {
        let mut contents = self.contents.lock();
        contents.users.retain(|user| user.strong_count() > 0);
        contents.users.push(Arc::downgrade(mailbox));
        for key in contents.objects.keys() {
            mailbox.post(Arc::clone(key), Change::Added);
        }
        mailbox.wake();
    }

    /// Returns an empty list.
    pub(super) fn start_list(&self) -> Listed<T> {
        Listed { objects: HashMap::new(), bytes: 0, limit: self.limit }
    }

    /// Replaces all objects by those of a list. Equal ones are not changed.
    pub(super) fn replace(&self, listed: Listed<T>) {
        let mut contents = self.contents.lock();
        let mut old = std::mem::take(&mut contents.objects);
        let mut changes = Vec::new();
        for (key, kept) in listed.objects {
            let kept = match old.remove(&key) {
                Some(known) if known.object == kept.object => known,
                Some(_) => {
                    changes.push((Arc::clone(&key), Change::Updated));
                    kept
                }
                None => {
                    changes.push((Arc::clone(&key), Change::Added));
                    kept
                }
            };
            contents.objects.insert(key, kept);
        }
        changes.extend(old.into_keys().map(|key| (key, Change::Removed)));
        contents.bytes = listed.bytes;
        contents.is_complete = true;
        contents.post(&changes);
    }

    /// Adds or changes an object.
    pub(super) fn store(&self, object: T) -> Result<(), StoreError> {
        let (key, kept) = kept(object)?;
        let mut contents = self.contents.lock();
        let old = contents.objects.get(&key);
        let bytes = contents.bytes - old.map_or(0, |old| old.bytes) + kept.bytes;
        if bytes > self.limit {
            return Err(StoreError::TooLarge { limit: self.limit });
        }
        let change = match old {
            // Only fields have changed that are not kept.
            Some(old) if old.object == kept.object => return Ok(()),
            Some(_) => Change::Updated,
            None => Change::Added,
        };
        contents.bytes = bytes;
        contents.objects.insert(Arc::clone(&key), kept);
        contents.post(&[(key, change)]);
        Ok(())
    }

    /// Removes an object.
    pub(super) fn remove(&self, object: &T) {
        let (namespace, name) = object.identity();
        let key = object_key(namespace, name);
        let mut contents = self.contents.lock();
        if let Some((key, kept)) = contents.objects.remove_entry(key.as_str()) {
            contents.bytes -= kept.bytes;
            contents.post(&[(key, Change::Removed)]);
        }
    }
}

impl<T> Contents<T> {
    fn post(&mut self, changes: &[(ObjectKey, Change)]) {
        self.users.retain(|user| {
            let Some(mailbox) = user.upgrade() else { return false };
            for (key, change) in changes {
                mailbox.post(Arc::clone(key), *change);
            }
            mailbox.wake();
            true
        });
    }
}

fn kept<T: Resource>(object: T) -> Result<(ObjectKey, Kept<T>), StoreError> {
    let (namespace, name) = object.identity();
    if name.is_empty() {
        return Err(StoreError::NoName);
    }
    let key = ObjectKey::from(object_key(namespace, name));
    let bytes = json_len(&object) + OBJECT_OVERHEAD;
    Ok((key, Kept { object: Arc::new(object), bytes }))
}

/// Returns the length of a value as JSON.
fn json_len(value: &impl Serialize) -> usize {
    let mut counter = Counted(0);
    // Structs, strings and numbers can always be written.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

/// Writer that only counts.
struct Counted(usize);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Listed, ObjectStore, StoreError};
    use crate::discovery::kinds::kubernetes::objects::pod::Pod;
    use crate::discovery::kinds::kubernetes::watches::mailbox::{Change, Mailbox};
    use std::sync::Arc;

    fn pod(name: &str, phase: &str) -> Pod {
        let text = format!(
            r#"{{"metadata":{{"name":{name:?},"namespace":"n"}},"status":{{"phase":{phase:?}}}}}"#
        );
        serde_json::from_str(&text).expect("a pod")
    }

    fn list(store: &ObjectStore<Pod>, pods: &[(&str, &str)]) -> Result<Listed<Pod>, StoreError> {
        let mut listed = store.start_list();
        for (name, phase) in pods {
            listed.add(pod(name, phase))?;
        }
        Ok(listed)
    }

    fn shown(mailbox: &Mailbox) -> String {
        let changes = mailbox.take();
        let all = changes.iter().map(|(key, change)| format!("{key} {change:?}"));
        all.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn user_gets_each_changed_object_once() {
        let store = ObjectStore::new(100_000);
        let mailbox = Arc::new(Mailbox::new(Default::default(), Arc::default()));
        store.subscribe(&mailbox);
        assert!(!store.is_complete() && mailbox.take().is_empty());
        store.replace(list(&store, &[("a", "x"), ("b", "x"), ("c", "x")]).unwrap());
        assert!(store.is_complete());
        assert_eq!(shown(&mailbox), "n/a Added, n/b Added, n/c Added");
        store.replace(list(&store, &[("a", "x"), ("b", "y"), ("d", "x")]).unwrap());
        assert_eq!(shown(&mailbox), "n/b Updated, n/c Removed, n/d Added");
        store.store(pod("a", "x")).unwrap();
        assert_eq!(shown(&mailbox), "");
        store.store(pod("a", "y")).unwrap();
        store.store(pod("a", "z")).unwrap();
        store.remove(&pod("d", ""));
        store.remove(&pod("d", ""));
        assert_eq!(shown(&mailbox), "n/a Updated, n/d Removed");
        assert_eq!(store.get("n/a").map(|pod| pod.status.phase.clone()).as_deref(), Some("z"));
        let late = Arc::new(Mailbox::new(Default::default(), Arc::default()));
        store.subscribe(&late);
        assert_eq!(late.take().into_values().collect::<Vec<_>>(), [Change::Added; 2]);
    }

    #[test]
    fn size_of_all_objects_is_limited() {
        let store = ObjectStore::new(2_000);
        let too_large = StoreError::TooLarge { limit: 2_000 };
        let three = [("a", ""), ("b", ""), ("c", "")];
        store.replace(list(&store, &three).unwrap());
        assert_eq!(list(&store, &[three, three.map(|(n, _)| (n, "y"))].concat()).err(), None);
        let long = "x".repeat(1_500);
        assert_eq!(store.store(pod("d", &long)), Err(too_large));
        store.remove(&pod("a", ""));
        store.remove(&pod("b", ""));
        store.remove(&pod("c", ""));
        assert_eq!(store.store(pod("d", &long[..1_000])), Ok(()));
        assert_eq!(store.store(pod("d", &long[..1_100])), Ok(()));
        let five = ["a", "b", "c", "d", "e"].map(|name| (name, ""));
        let error = list(&store, &five).expect_err("too many");
        assert_eq!(error.to_string(), "objects exceed 2000 bytes");
        assert_eq!(store.store(pod("", "")), Err(StoreError::NoName));
    }
}
