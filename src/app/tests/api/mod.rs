//! Tests of the HTTP API.
//!
//! | module | contents |
//! |---|---|
//! | `golden` | responses compared with recordings of Prometheus |
//! | `notifications` | notifications, as a list and live |

mod golden;
mod notifications;
