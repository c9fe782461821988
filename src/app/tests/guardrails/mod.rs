//! Limits of data and of time, and recent rejections.
//!
//! | module | contents |
//! |---|---|
//! | `data_limits` | limits of data, and their dry runs |
//! | `rejections` | entries of `status/rejections` |
//! | `time_limits` | requests over their time limits |

mod data_limits;
mod rejections;
mod time_limits;
