//! The process: phases, reload and shutdown, health, metrics.
//!
//! | file                | content                                            |
//! |---------------------|----------------------------------------------------|
//! | [`mod@host_name`]   | name of this host                                  |
//! | [`lifecycle`]       | phases: starting, ready, draining                  |
//! | [`process_control`] | reload and shutdown requests                       |
//! | [`process_state`]   | state of the management handlers                   |
//! | [`notifications`]   | notifications for operators, and their subscribers |
//! | `lifecycle_api`     | reload and quit                                    |
//! | [`configuration`]   | active configuration and result of the last reload |
//! | `status_pages`      | index page, health, readiness, metrics             |
//! | [`http_metrics`]    | request metrics                                    |
//! | [`web_state`]       | appearance to web clients                          |

pub mod configuration;
pub mod host_name;
pub mod http_metrics;
pub mod lifecycle;
pub(crate) mod lifecycle_api;
pub mod notifications;
pub mod process_control;
pub mod process_state;
pub(crate) mod status_pages;
pub mod web_state;
