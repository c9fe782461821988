//! Limits of data and of time.
//!
//! | module | contents |
//! |---|---|
//! | `data_limits` | limits of data, and their dry runs |
//! | `time_limits` | requests over their time limits |

mod data_limits;
mod time_limits;
