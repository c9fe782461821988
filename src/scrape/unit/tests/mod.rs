//! Tests of units: recorded scrapes of Prometheus 3.14, and cases of narthex's own.
//!
//! | module | contents |
//! |---|---|
//! | `bodies` | recorded bodies of programs |
//! | `differences` | what narthex stores otherwise than Prometheus |
//! | `fixture` | a database, and targets with scripted answers |
//! | `golden` | scripted scrapes |
//! | `preview` | previews, and traces of labels |
//! | `units` | cases of narthex's own |

mod bodies;
mod differences;
mod fixture;
mod golden;
mod preview;
mod units;
