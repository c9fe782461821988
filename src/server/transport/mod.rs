//! Connections, bodies and streams, with their limits.
//!
//! The errors belong to this wing; `contract` maps them to statuses.
//!
//! | file                 | content                                               |
//! |----------------------|-------------------------------------------------------|
//! | [`listener`]         | accept loops, connection limits and draining          |
//! | [`connection`]       | timeouts of a connection                              |
//! | `connection_service` | service of a connection, in front of the router       |
//! | `request_progress`   | requests of a connection                              |
//! | `request_body`       | request body that knows if it was read to its end     |
//! | `lingering`          | discard of what a client sends after its response     |
//! | [`client_cert`]      | verified client certificate of a connection           |
//! | [`client_limit`]     | limit per client                                      |
//! | [`access`]           | users, passwords and rate limit                       |
//! | `response_start`     | head and first data of an HTTP/2 response, together   |
//! | [`response_headers`] | configured headers of responses                       |
//! | [`admission`]        | byte budgets and concurrency limits                   |
//! | [`body`]             | request and response bodies with limits               |
//! | `blocking`           | work on blocking threads, within a concurrency limit  |
//! | `piece_stream`       | queue of pieces from a blocking thread to the client  |
//! | `piece_writer`       | streamed response: messages, collected into pieces    |
//! | `accept_encoding`    | choice of the encoding of a response                  |
//! | [`gzip_body`]        | compression of response bodies                        |
//! | [`framing`]          | gRPC messages and the bodies that carry them          |
//! | `tls`                | TLS: contexts, handshakes, client certificates        |

pub(crate) mod accept_encoding;
pub mod access;
pub mod admission;
pub(crate) mod blocking;
pub mod body;
pub mod client_cert;
pub mod client_limit;
pub mod connection;
mod connection_service;
pub mod framing;
pub mod gzip_body;
mod lingering;
pub mod listener;
pub(crate) mod piece_stream;
pub(crate) mod piece_writer;
mod request_body;
mod request_progress;
pub mod response_headers;
mod response_start;
pub(crate) mod tls;
