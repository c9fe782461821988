//! Tests of units: recorded scrapes of Prometheus 3.14, and cases of narthex's own.
//!
//! | module | contents |
//! |---|---|
//! | `differences` | what narthex stores otherwise than Prometheus |
//! | `fixture` | a database, and targets with scripted answers |
//! | `golden` | recorded scrapes |
//! | `units` | cases of narthex's own |

mod differences;
mod fixture;
mod golden;
mod units;
