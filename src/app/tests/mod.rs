//! Tests of the application: most of them send requests to the router, without sockets.
//!
//! | module | contents |
//! |---|---|
//! | `edge` | server without sockets |
//! | `access` | credentials of every route, gRPC credentials, rate limit |
//! | `error_details` | gRPC error details |
//! | `write_path` | write paths |
//! | `admin` | admin and management API |
//! | `api` | HTTP API |
//! | `application` | build, run and stop of the application |
//! | `compression` | gRPC compression |
//! | `contract` | responses to writes over HTTP and gRPC |
//! | `contract_v2` | responses to remote write 2.0 over HTTP |
//! | `counters` | counters of `/metrics`, which never decrease |
//! | `encodings` | content encodings of HTTP writes |
//! | `faults` | disk faults, a full disk and the series limit |
//! | `grpc` | behavior of all gRPC services |
//! | `grpc_read` | remote read over gRPC |
//! | `guardrails` | limits of data and of time |
//! | `streams` | gRPC write streams |
//! | `surface` | reads, exports, health, readiness, status and metrics |
//! | `thanos_write` | writes of a Thanos Receive router |
//! | `unready` | requests before the database is recovered |
//! | `write_cases` | cases of writes over every protocol but Thanos's |

mod access;
mod admin;
mod api;
mod application;
mod compression;
mod contract;
mod contract_v2;
mod counters;
mod edge;
mod encodings;
mod error_details;
mod faults;
mod grpc;
mod grpc_read;
mod guardrails;
mod streams;
mod surface;
mod thanos_write;
mod unready;
mod write_cases;
mod write_path;
