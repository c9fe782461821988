//! Acceptance of requests by the phase of the server.

use crate::server::contract::request_error::RequestError;
use crate::server::management::lifecycle::Phase;
use crate::server::state::SharedState;
use crate::tsdb::db::error::NotReady;

/// Checks that the server accepts requests. Callers check this before they read a body.
///
/// # Errors
/// [`RequestError::Unavailable`] while the server starts or drains.
pub(crate) fn check_accepting(context: &SharedState) -> Result<(), RequestError> {
    match context.lifecycle.phase() {
        Phase::Ready => Ok(context.db.ready().map(drop)?),
        Phase::Starting => Err(NotReady.into()),
        Phase::Draining => Err(RequestError::Unavailable("narthex is shutting down".to_owned())),
    }
}
