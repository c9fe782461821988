//! Reads and writes of all protocols: permits, blocking threads, outcomes.
//!
//! | file             | content                                    |
//! |------------------|--------------------------------------------|
//! | `acceptance`     | acceptance of requests by the phase        |
//! | `write_protocol` | protocols of write requests                |
//! | `write_requests` | storage of write requests                  |
//! | `read_state`     | state of remote reads                      |
//! | `list_state`     | state of look-ups                          |
//! | `read_permit`    | permit of a read                           |
//! | `samples_read`   | reads whose response is complete in memory |
//! | `streamed_read`  | reads whose response is a stream of chunks |
//! | `time_limits`    | time limits of all routes                  |

pub(crate) mod acceptance;
pub(crate) mod list_state;
pub(crate) mod read_permit;
pub(crate) mod read_state;
pub(crate) mod samples_read;
pub(crate) mod streamed_read;
pub(crate) mod time_limits;
pub(crate) mod write_protocol;
pub(crate) mod write_requests;

use crate::server::transport::body::SizeLimit;

/// Maximum size of the body of a read request.
pub(crate) const MAX_READ_BODY: SizeLimit = SizeLimit::fixed(1 << 20);
