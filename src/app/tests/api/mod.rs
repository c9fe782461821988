//! Tests of the HTTP API.
//!
//! | module | contents |
//! |---|---|
//! | `clients` | checks that clients make before they use the API |
//! | `golden` | responses compared with recordings of Prometheus |
//! | `notifications` | notifications, as a list and live |
//! | `paths` | every path of Prometheus's API |

mod clients;
mod golden;
mod notifications;
mod paths;
