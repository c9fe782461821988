//! Tests of units: recorded scrapes of Prometheus 3.14, and cases of narthex's own.
//!
//! | module | contents |
//! |---|---|
//! | `differences` | what narthex stores otherwise than Prometheus |
//! | `fixture` | a database, and targets with scripted answers |
//! | `golden` | recorded scrapes |
//! | `preview` | previews, and traces of labels |
//! | `units` | cases of narthex's own |

mod differences;
mod fixture;
mod golden;
mod preview;
mod units;
