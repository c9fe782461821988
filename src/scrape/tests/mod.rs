//! Support for tests: recordings of Prometheus 3.14 in `tests/golden/scrape` and
//! `tests/golden/scrape-behaviour`, and the log.
//!
//! | module | contents |
//! |---|---|
//! | `log` | log of a test |
//! | `recordings` | the recordings, and their jobs as narthex's configuration has them |
//! | `script` | scripted answers as an exchange |
//! | `stored` | content of a database in the notation of the recordings |

pub(super) mod log;
pub(super) mod recordings;
pub(super) mod script;
pub(super) mod stored;
