//! Taking dead series out of the index.
//!
//! Short lists are filtered under the lock, many in one hold. A long list is copied and filtered without the lock and
//! put back if nothing was inserted into its copied part meanwhile: series are added at the end, so that is the rule.

use super::{LONG_LIST, MemIndex, MemPostings, SLICE, VALUE_COST};
use crate::model::refs::SeriesRef;
use crate::tsdb::index::postings::{self, PostingsList};
use parking_lot::RwLockWriteGuard;

impl MemPostings {
    /// Removes the series that `is_dead` names from the lists of the labels `affected` (the names and values of the
    /// dead series; one may come twice). Whoever calls has made sure that these series can't be added again.
    pub fn remove<'a>(
        &self,
        is_dead: &dyn Fn(SeriesRef) -> bool,
        affected: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) {
        let _one_at_a_time = self.removal.lock();
        self.filter_list(&ListKey::All, is_dead, &mut self.index.write());
        let mut index = self.index.write();
        let mut cost = 0;
        for (name, value) in affected {
            cost +=
                VALUE_COST + self.filter_list(&ListKey::Label { name, value }, is_dead, &mut index);
            if cost >= SLICE {
                RwLockWriteGuard::bump(&mut index);
                cost = 0;
            }
        }
    }

    /// Filters one list; returns what it cost under the lock.
    fn filter_list(
        &self,
        place: &ListKey<'_>,
        is_dead: &dyn Fn(SeriesRef) -> bool,
        index: &mut RwLockWriteGuard<'_, MemIndex>,
    ) -> usize {
        let len = place.list(index).len();
        if len < LONG_LIST {
            place.edit(index, |list| list.retain(|series| !is_dead(*series)));
            return len;
        }
        let (copied, kept) = RwLockWriteGuard::unlocked(index, || {
            let copied = self.copy_list(|index| place.list(index));
            let kept: PostingsList =
                copied.iter().copied().filter(|series| !is_dead(*series)).collect();
            (copied, kept)
        });
        place.edit(index, |list| {
            // Were anything inserted before the last copied reference, it would stand further back.
            if list.get(copied.len().wrapping_sub(1)) == copied.last() {
                let added = std::mem::replace(list, kept);
                list.extend_from_slice(&added[copied.len()..]);
            } else {
                list.retain(|series| !is_dead(*series));
            }
        });
        SLICE
    }
}

/// Where a list stands in the index.
enum ListKey<'a> {
    All,
    Label { name: &'a str, value: &'a str },
}

impl ListKey<'_> {
    fn list<'i>(&self, index: &'i MemIndex) -> &'i [SeriesRef] {
        match self {
            ListKey::All => &index.all,
            ListKey::Label { name, value } => index.list(name, value),
        }
    }

    /// Changes the list; a label without series goes, and a name without values.
    fn edit(&self, index: &mut MemIndex, edit: impl FnOnce(&mut PostingsList)) {
        let (name, value) = match self {
            ListKey::All => {
                edit(&mut index.all);
                postings::shrink(&mut index.all);
                return;
            }
            ListKey::Label { name, value } => (*name, *value),
        };
        let Some(values) = index.names.get_mut(name) else { return };
        let Some(list) = values.get_mut(value) else { return };
        edit(list);
        postings::shrink(list);
        if list.is_empty() {
            values.remove(value);
            index.pairs -= 1;
            if values.is_empty() {
                index.names.remove(name);
            }
        }
    }
}
