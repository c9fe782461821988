//! The edge: HTTP/1.1, HTTP/2 and gRPC on one port, and the one place where errors become status codes.
//!
//! Everything here is asynchronous and cheap; whatever costs processor time or touches the disk crosses over to a
//! blocking thread, by way of a gate that bounds how many do so at once.
//!
//! | file             | what                                                          |
//! |------------------|---------------------------------------------------------------|
//! | [`listener`]     | accepts connections, bounds and drains them                   |
//! | `content_encoding` | which packing a body has                                  |
//! | [`connection`]   | timeouts of a connection                                      |
//! | `connection_service` | what every request of a connection passes                 |
//! | `client_limit`   | what one client holds at once                                 |
//! | [`process_control`]      | what requests may order of the process                        |
//! | [`router`]       | which path is answered by whom                                |
//! | `caught`         | a handler that panics is answered                             |
//! | `redirect`       | redirects to the path that a client means                     |
//! | [`state`]      | what every handler shares                                     |
//! | [`lifecycle`]    | starting, ready, draining                                     |
//! | [`admission`]    | bytes in flight, requests at work and waiting                 |
//! | [`body`]         | bodies, bounded in size, time and memory                      |
//! | `piece_stream`         | an answer in pieces, from a blocking thread                   |
//! | [`request_error`]      | the answer contract: errors as statuses of HTTP and gRPC      |
//! | `ingest`         | stores a write request from either                            |
//! | `write`          | remote write over HTTP                                        |
//! | `read`           | remote read over HTTP                                         |
//! | `read_permit`      | a read's place among those at work                            |
//! | `streamed_read`  | remote read answered with chunks                              |
//! | `export`         | samples as JSON lines                                         |
//! | `exemplars`      | exemplars of what an expression selects                       |
//! | `admin`          | delete, clean up, snapshot                                    |
//! | `metadata`       | type, help and unit of metrics                                |
//! | `listing`        | what the lists of labels and series share                     |
//! | `labels`         | names and values of labels                                    |
//! | `series`         | label sets of series                                          |
//! | `runtime_status`        | configuration, flags, what the process is at                  |
//! | `empty_lists`         | empty lists of what narthex does not have                     |
//! | [`configuration`] | the configuration that holds                                 |
//! | `management_api`  | reload and quit                                               |
//! | `api`            | the envelope of Prometheus's HTTP API                         |
//! | `status_pages`         | health, readiness, metrics, build                             |
//! | [`grpc`]         | the services of gRPC                                          |
//! | [`http_metrics`] | what is counted of every request                              |
//! | `parameters`     | parameters of the HTTP API                                    |
//! | `media_type`     | `Content-Type`                                                |
//! | `promql_selector`       | series selectors as PromQL writes them                        |
//! | `parse_error`    | errors of selectors and expressions                           |
//! | `promql_selectors`     | the selectors of a PromQL expression                          |
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
mod parse_error;
mod piece_stream;
pub mod process_control;
mod promql_selector;
mod promql_selectors;
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
