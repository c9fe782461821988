//! Tests against an API server in this process.
//!
//! | module | content |
//! |---|---|
//! | `fake_api` | API server |
//! | `failures` | failures of lists and watches |
//! | `fixture` | running providers |
//! | `roles` | groups of related objects |
//! | `sharing` | requests of equal and similar settings |
//! | `story` | recorded story of Prometheus 3.14 |

mod failures;
mod fake_api;
mod fixture;
mod roles;
mod sharing;
mod story;
