//! HTTP/1.1, HTTP/2 and gRPC on one port, and the table that maps errors to status codes.
//!
//! Handlers are asynchronous and cheap. Work that takes CPU time or reads the disk runs on a
//! blocking thread, behind a concurrency limit.
//!
//! | file                 | content                                                           |
//! |----------------------|-------------------------------------------------------------------|
//! | [`listener`]         | accept loops, connection limits and draining                      |
//! | `content_encoding`   | compression of a write request                                    |
//! | [`connection`]       | timeouts of a connection                                          |
//! | `connection_service` | service of a connection, in front of the router                   |
//! | [`client_limit`]     | limit per client                                                  |
//! | [`process_control`]  | reload and shutdown requests                                      |
//! | [`router`]           | routes of HTTP and gRPC                                           |
//! | `caught`             | responses for handlers that panic                                 |
//! | `redirect`           | redirects to canonical paths                                      |
//! | [`state`]            | state that all handlers share                                     |
//! | [`lifecycle`]        | phases: starting, ready, draining                                 |
//! | [`admission`]        | byte budgets and concurrency limits                               |
//! | [`body`]             | request and response bodies with limits                           |
//! | `piece_stream`       | streamed response body, produced on a blocking thread             |
//! | [`request_error`]    | request errors as HTTP and gRPC statuses                          |
//! | `ingest`             | storage of write requests, from HTTP and gRPC                     |
//! | `write`              | remote write over HTTP                                            |
//! | `read`               | remote read over HTTP, responses with samples                     |
//! | `read_permit`        | permit of a read                                                  |
//! | `streamed_read`      | remote read, responses with chunks                                |
//! | `export`             | samples as JSON lines                                             |
//! | `exemplars`          | exemplars of the series that an expression selects                |
//! | `admin`              | admin API: delete series, clean tombstones, snapshot              |
//! | `metadata`           | type, help and unit of metrics                                    |
//! | `listing`            | parts that the lists of labels and series share                   |
//! | `labels`             | label names and label values                                      |
//! | `series`             | label sets of series                                              |
//! | `runtime_status`     | configuration, flags and runtime information                      |
//! | `empty_lists`        | empty lists of rules, alerts and targets                          |
//! | [`configuration`]    | active configuration and result of the last reload                |
//! | `management_api`     | reload and quit                                                   |
//! | `api`                | response envelope of Prometheus's HTTP API                        |
//! | `status_pages`       | health, readiness, metrics, build information                     |
//! | [`grpc`]             | gRPC services                                                     |
//! | [`http_metrics`]     | request metrics                                                   |
//! | `parameters`         | request parameters of the HTTP API                                |
//! | `media_type`         | `Content-Type` parser                                             |
//! | `timestamp`          | timestamps in parameters                                          |
//! | `timestamp`      | times in parameters                                           |

mod admin;
pub mod admission;
mod api;
pub mod body;
mod caught;
pub mod client_limit;
pub mod configuration;
pub mod connection;
mod connection_service;
mod content_encoding;
mod empty_lists;
mod exemplars;
mod export;
pub mod grpc;
pub mod http_metrics;
mod ingest;
mod labels;
pub mod lifecycle;
pub mod listener;
mod listing;
mod management_api;
mod media_type;
mod metadata;
mod parameters;
mod piece_stream;
pub mod process_control;
mod read;
mod read_permit;
mod redirect;
pub mod request_error;
pub mod router;
mod runtime_status;
mod series;
pub mod state;
mod status_pages;
mod streamed_read;
mod timestamp;
mod write;
