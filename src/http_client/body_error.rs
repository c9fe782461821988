//! Errors of bodies, and texts of hyper's errors.

use crate::http_client::os_text::os_text;
use std::io;

/// Error of reading the body of a response.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The deadline has passed.
    #[error("context deadline exceeded")]
    Deadline,
    /// The connection ended within the body.
    #[error("unexpected EOF")]
    Cut,
    /// The connection failed, or the body is malformed.
    #[error("{}", exchange_text(.0))]
    Exchange(hyper::Error),
    /// The body is larger than the caller allows.
    #[error("response body exceeds {limit} bytes")]
    TooLarge {
        /// Maximum number of bytes.
        limit: usize,
    },
}

impl BodyError {
    pub(super) fn exchange(error: hyper::Error) -> Self {
        if error.is_incomplete_message() || is_cut(&error) {
            Self::Cut
        } else {
            Self::Exchange(error)
        }
    }
}

fn is_cut(error: &hyper::Error) -> bool {
    io_error(error).is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
}

/// Returns the I/O error that caused an error of hyper.
fn io_error(error: &hyper::Error) -> Option<&io::Error> {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return Some(error);
        }
        source = cause.source();
    }
    None
}

/// Returns the text of an error of hyper without its own context.
pub(super) fn exchange_text(error: &hyper::Error) -> String {
    if error.is_incomplete_message() {
        return "EOF".to_owned();
    }
    if error.is_parse() {
        return format!("malformed HTTP response: {error}");
    }
    match io_error(error) {
        Some(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => "EOF".to_owned(),
        Some(cause) => format!("read: {}", os_text(cause)),
        None => {
            let cause = std::error::Error::source(error);
            cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
        }
    }
}
