//! Tests of pools and loops on a paused clock.
//!
//! | module | contents |
//! |---|---|
//! | `bench` | a scraper with targets in this process and a real database |
//! | `loops` | loops and pools of one job |
//! | `storage` | scrapes that storage does not accept |
//! | `stories` | recorded stories of Prometheus 3.14 |

mod bench;
mod loops;
mod storage;
mod stories;
