//! Parts of the server. Each one is built from its own configuration and registers its metrics.
//!
//! | module | contents |
//! |---|---|
//! | `budgets` | memory and time for request bodies and responses |
//! | `gates` | limits of concurrent requests |
//! | `process` | metrics of the process |
//! | `scraping` | scraper and discovery |
//! | `server` | all parts together |
//! | `streams` | limits of write streams |
//! | `web` | appearance to web clients |
//! | `writes` | writer of remote write |

pub(crate) mod budgets;
pub(crate) mod gates;
mod process;
pub(crate) mod scraping;
pub(crate) mod server;
pub(crate) mod streams;
pub(crate) mod web;
pub(crate) mod writes;
