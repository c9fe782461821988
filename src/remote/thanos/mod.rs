//! Thanos: the Store API of a querier, which reads series sorted by their labels including the
//! external ones.
//!
//! | module | content |
//! |---|---|
//! | [`selection`] | selected series and the labels of the response |
//! | `label_order` | order of series by rewritten labels |
//! | [`series_message`] | encoder of response messages |
//! | [`store`] | response to a series request |

mod label_order;
pub mod selection;
pub mod series_message;
pub mod store;
