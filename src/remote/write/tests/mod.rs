//! Outcomes of remote write requests.
//!
//! | module | contents |
//! |---|---|
//! | `v1` | requests of 1.0 |
//! | `v2` | requests of 2.0 |
//! | `items` | histograms and exemplars |

mod items;
mod v1;
mod v2;
