//! Tests of the HTTP API.
//!
//! | module | contents |
//! |---|---|
//! | `clients` | checks that clients make before they use the API |
//! | `compression` | compressed responses and form bodies |
//! | `expressions` | formatted expressions and syntax trees |
//! | `golden` | responses compared with recordings of Prometheus |
//! | `notifications` | notifications, as a list and live |
//! | `origins` | CORS and `OPTIONS` |
//! | `paths` | every path of Prometheus's API |
//! | `prefix` | route prefix, external URL, HEAD of every route |
//! | `status` | status of the database |

mod clients;
mod compression;
mod expressions;
mod golden;
mod notifications;
mod origins;
mod paths;
mod prefix;
mod status;
