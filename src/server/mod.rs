//! HTTP/1.1, HTTP/2 and gRPC on one port.
//!
//! Handlers are asynchronous and cheap. Work that takes CPU time or reads the disk runs on a
//! blocking thread, behind a concurrency limit.
//!
//! A wing imports only from wings above its own; `api` and `grpc` do not see each other.
//!
//! | wing           | content                                                                  |
//! |----------------|--------------------------------------------------------------------------|
//! | [`transport`]  | connections, bodies, message framing, streamed responses, their limits   |
//! | `contract`     | errors of requests, and their statuses in every protocol                 |
//! | [`management`] | phases, reload and shutdown, health, metrics of the process              |
//! | `requests`     | reads and writes of all protocols: permits, blocking threads, outcomes   |
//! | `api`          | Prometheus's HTTP API, remote write, remote read and export over HTTP    |
//! | [`grpc`]       | gRPC services                                                            |
//! | [`state`]      | states of the handlers of each wing, for the router                      |
//! | [`router`]     | routes of HTTP and gRPC, and the middleware of every request             |

pub(crate) mod api;
pub(crate) mod contract;
pub mod grpc;
pub mod management;
pub(crate) mod requests;
pub mod router;
pub mod state;
pub mod transport;
