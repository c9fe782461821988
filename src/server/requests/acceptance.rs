//! Acceptance of requests by the phase of the server, for the reasons of
//! [`crate::tsdb::db::admission`].

use crate::server::contract::request_error::RequestError;
use crate::server::management::lifecycle::{Lifecycle, Phase};
use crate::tsdb::db::DbHandle;
use crate::tsdb::db::write_unavailable::WriteUnavailable;

/// Checks that the server accepts requests. Callers check this before they read a body.
///
/// # Errors
/// [`RequestError::Unavailable`] while the server starts or drains.
pub(crate) fn check_accepting(lifecycle: &Lifecycle, db: &DbHandle) -> Result<(), RequestError> {
    let reason = match lifecycle.phase() {
        Phase::Ready => return Ok(db.ready().map(drop)?),
        Phase::Starting => WriteUnavailable::Replaying,
        Phase::Draining => WriteUnavailable::Closing,
    };
    Err(reason.into())
}
