//! Writes of a Thanos Receive router: `thanos.WriteRequest`, decoded in place.
//!
//! The tenant of a series becomes a label, so one database holds all tenants. The replica number of
//! a request is ignored.
//!
//! | module | content |
//! |---|---|
//! | [`request_index`] | index of a write request: series and their tenants |
//! | [`tenant`] | tenant label and its position among the labels of a series |
//! | `series` | series with the tenant label, as it is stored |
//! | `labeled_write` | write request with tenant labels, as it is stored |

pub(crate) mod labeled_write;
pub mod request_index;
mod series;
pub mod tenant;
