//! State of a database that its stages and its work share.
//!
//! | module | contents |
//! |--------|----------|
//! | `engine` | parts of a ready database |
//! | [`maintenance_lock`] | mutual exclusion for work on blocks; admin operations go first |
//! | [`notifier`] | wakes the maintenance thread |
//! | [`panic_watch`] | detection of runs that panic repeatedly |
//! | [`retention_hold`] | hold of the default retention for directories with older data |
//! | [`shared`] | options, settings and counters, which exist before the database is ready |

pub(crate) mod engine;
pub mod maintenance_lock;
pub mod notifier;
pub mod panic_watch;
pub mod retention_hold;
pub mod shared;
