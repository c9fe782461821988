//! The metadata of the series of the last hours, by metric family.

use crate::tsdb::db::Db;
use crate::tsdb::head::metadata::list;
use crate::tsdb::head::metadata::list::FamilyList;

impl Db {
    /// The metadata of the head's series by metric family: of all, or of one. Empty until the database is ready.
    ///
    /// Of all it is a walk over all series, with a look at each.
    #[must_use]
    pub fn metadata(&self, family: Option<&str>) -> FamilyList {
        match (self.head(), family) {
            (None, _) => FamilyList::new(),
            (Some(head), None) => list::list_all(head),
            (Some(head), Some(family)) => list::list_family(head, family),
        }
    }
}
