//! Admission of writes: whether something may be written now, and the reason if not.
//!
//! Appends, admin operations and health ask here, so they cannot disagree. The inputs are the
//! shutdown flag, the free disk space, and the states of WAL and WBL. The server has the same
//! reasons for its phases ([`WriteUnavailable::Replaying`], [`WriteUnavailable::Closing`]).

use crate::tsdb::db::state::engine::Engine;
use crate::tsdb::db::write_unavailable::WriteUnavailable;

/// Admission of writes to a ready database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admission<'a>(&'a Engine);

impl<'a> Admission<'a> {
    pub(crate) fn new(engine: &'a Engine) -> Self {
        Self(engine)
    }

    /// Checks whether a request may append. A log without space tries again first.
    pub(crate) fn admit_append(self) -> Result<(), WriteUnavailable> {
        if self.0.shared.is_closing() {
            return Err(WriteUnavailable::Closing);
        }
        // Below the reserve a log must not try again: it would use the rest of the space.
        if let Some(reason) = self.0.check_disk() {
            WriteUnavailable::check_log(self.0.log_state())?;
            return Err(WriteUnavailable::ReadOnly(reason));
        }
        WriteUnavailable::check_log(self.0.check_writable())
    }

    /// Checks whether an admin operation may write files.
    pub(crate) fn admit_files(self) -> Result<(), WriteUnavailable> {
        self.0.check_disk().map_or(Ok(()), |reason| Err(WriteUnavailable::ReadOnly(reason)))
    }

    /// Returns the current state without an effect on the logs. A shutdown is not a reason here.
    pub(crate) fn state(self) -> Result<(), WriteUnavailable> {
        WriteUnavailable::check_log(self.0.log_state())?;
        self.admit_files()
    }
}
