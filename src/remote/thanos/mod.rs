//! Thanos: writes of a Receive router and the Store API of a querier.
//!
//! A router forwards `thanos.WriteRequest`, which is decoded in place; the tenant of a series
//! becomes a label. One database holds all tenants. The replica number of a request is ignored. A
//! querier reads series sorted by their labels including the external ones.
//!
//! | module | content |
//! |---|---|
//! | [`request_index`] | index of a write request: series and their tenants |
//! | [`tenant`] | tenant label and its position among the labels of a series |
//! | `series` | series with the tenant label, as it is stored |
//! | `labeled_write` | write request with tenant labels, as it is stored |
//! | [`selection`] | selected series and the labels of the response |
//! | `label_order` | order of series by rewritten labels |
//! | [`series_message`] | encoder of response messages |
//! | [`store`] | response to a series request |

mod label_order;
pub(crate) mod labeled_write;
pub mod request_index;
pub mod selection;
mod series;
pub mod series_message;
pub mod store;
pub mod tenant;
