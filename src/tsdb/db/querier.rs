//! Reading: one consistent view of head and blocks.
//!
//! A querier pins what it reads: it holds no lock, delays no compaction, and what is removed meanwhile stays readable for it.

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::head::Head;
use crate::tsdb::query::select::{SeriesSet, select};
use crate::tsdb::query::source::{BlockSource, QueryError};

/// A view of the database that was taken at one moment; made by [`crate::tsdb::db::Db::querier`].
///
/// It has everything that was acknowledged before.
#[derive(Debug)]
pub struct Querier<'a> {
    pub(super) head: Option<&'a Head>,
}

impl Querier<'_> {
    /// The series that satisfy every matcher, sorted by labels, with their samples in `range`. Empty until the database is ready.
    ///
    /// # Errors
    /// [`QueryError`] where stored data can't be read.
    pub fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<SeriesSet<'_>, QueryError> {
        let sources: Vec<&dyn BlockSource> = self.head.into_iter().map(|head| head as _).collect();
        select(&sources, matchers, range)
    }
}
