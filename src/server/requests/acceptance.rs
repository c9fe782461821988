//! Acceptance of requests by the phase of the server, for the reasons of
//! [`crate::tsdb::db::admission`].

use crate::server::contract::request_error::RequestError;
use crate::server::management::lifecycle::Phase;
use crate::server::state::SharedState;
use crate::tsdb::db::admission::WriteUnavailable;

/// Checks that the server accepts requests. Callers check this before they read a body.
///
/// # Errors
/// [`RequestError::Unavailable`] while the server starts or drains.
pub(crate) fn check_accepting(context: &SharedState) -> Result<(), RequestError> {
    let reason = match context.lifecycle.phase() {
        Phase::Ready => return Ok(context.db.ready().map(drop)?),
        Phase::Starting => WriteUnavailable::Replaying,
        Phase::Draining => WriteUnavailable::Closing,
    };
    Err(reason.into())
}
