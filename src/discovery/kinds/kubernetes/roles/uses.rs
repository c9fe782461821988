//! Objects that groups used.

use crate::discovery::kinds::kubernetes::objects::resource::ObjectKey;
use crate::discovery::kinds::kubernetes::roles::related::RelatedKey;
use std::collections::{BTreeSet, HashMap};

/// Objects that groups used, existing ones or not, in both directions.
#[derive(Debug, Default)]
pub(super) struct Uses {
    by_user: HashMap<ObjectKey, Vec<RelatedKey>>,
    users: HashMap<RelatedKey, BTreeSet<ObjectKey>>,
}

impl Uses {
    /// Replaces the objects that the group of `user` used.
    pub(super) fn set(&mut self, user: &ObjectKey, used: BTreeSet<RelatedKey>) {
        self.remove(user);
        if used.is_empty() {
            return;
        }
        let shared = used.into_iter().map(|key| {
            // Share the text of a key that others use, too.
            let key = self.users.get_key_value(&key).map_or(key, |(known, _)| known.clone());
            self.users.entry(key.clone()).or_default().insert(ObjectKey::clone(user));
            key
        });
        let shared = shared.collect();
        self.by_user.insert(ObjectKey::clone(user), shared);
    }

    /// Removes a group.
    pub(super) fn remove(&mut self, user: &ObjectKey) {
        for key in self.by_user.remove(user).unwrap_or_default() {
            if let Some(users) = self.users.get_mut(&key) {
                users.remove(user);
                if users.is_empty() {
                    self.users.remove(&key);
                }
            }
        }
    }

    /// Returns the groups that used an object.
    pub(super) fn users(&self, key: &RelatedKey) -> impl Iterator<Item = &ObjectKey> {
        self.users.get(key).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::Uses;
    use crate::discovery::kinds::kubernetes::objects::resource::ObjectKey;
    use crate::discovery::kinds::kubernetes::roles::related::{RelatedKey, RelatedKind};

    #[test]
    fn uses_of_a_group_are_replaced_and_removed() {
        let pod = |name: &str| RelatedKey { kind: RelatedKind::Pod, key: ObjectKey::from(name) };
        let users = |uses: &Uses, name| -> Vec<String> {
            uses.users(&pod(name)).map(ToString::to_string).collect()
        };
        let mut uses = Uses::default();
        uses.set(&"a".into(), [pod("p"), pod("q")].into());
        uses.set(&"b".into(), [pod("p")].into());
        assert_eq!(
            (users(&uses, "p"), users(&uses, "q")),
            (vec!["a".into(), "b".into()], vec!["a".into()])
        );
        uses.set(&"a".into(), [pod("q")].into());
        assert_eq!(users(&uses, "p"), ["b"]);
        uses.remove(&"a".into());
        uses.set(&"b".into(), [].into());
        assert!(uses.by_user.is_empty() && uses.users.is_empty());
    }
}
