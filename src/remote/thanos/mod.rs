//! What Thanos writes and reads. A Receive router forwards `thanos.WriteRequest`, read in place, each series with its tenant as a label; a
//! querier reads series, sorted by the labels that they have together with the external ones.
//!
//! One database holds all tenants. Which of its copies a router sends (`replica`) means nothing here and is not kept.
//!
//! | file       | what                                                        |
//! |------------|-------------------------------------------------------------|
//! | [`request_index`] | finds the series and their tenants                          |
//! | [`tenant`] | the tenant's label, among those of a series                 |
//! | `series`   | a series with that label, as it is stored                   |
//! | `ingest`  | all series of a request into the database                   |
//! | [`selection`] | what a request selects, and the names of what it gets    |
//! | `label_order`    | series in the order of their new labels                     |
//! | [`series_message`] | messages of that answer                             |
//! | [`store`]  | the answer to a request for series                          |

pub(crate) mod ingest;
mod label_order;
pub mod request_index;
pub mod selection;
mod series;
pub mod series_message;
pub mod store;
pub mod tenant;
