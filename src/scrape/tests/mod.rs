//! Support for tests with the recordings of Prometheus 3.14 in `tests/golden/scrape-behaviour`.
//!
//! | module | contents |
//! |---|---|
//! | `recordings` | the recordings, and their jobs as narthex's configuration has them |
//! | `script` | scripted answers as an exchange |
//! | `stored` | content of a database in the notation of the recordings |

pub(super) mod recordings;
pub(super) mod script;
pub(super) mod stored;
