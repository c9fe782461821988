//! Metadata of the series in the head, by metric family.

use crate::tsdb::db::Db;
use crate::tsdb::head::read::family_list;
use crate::tsdb::head::read::family_list::FamilyList;

impl Db {
    /// Returns the metadata of the head's series by metric family, of all families or of `family`.
    /// Empty until the database is ready.
    ///
    /// Without `family` this visits every series of the head.
    #[must_use]
    pub fn metadata(&self, family: Option<&str>) -> FamilyList {
        match (self.head(), family) {
            (None, _) => FamilyList::new(),
            (Some(head), None) => family_list::list_all(head),
            (Some(head), Some(family)) => family_list::list_family(head, family),
        }
    }
}
