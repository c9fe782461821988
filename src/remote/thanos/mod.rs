//! What a Thanos Receive router forwards: `thanos.WriteRequest`, read in place, each series with its tenant as a label.
//!
//! One database holds all tenants. Which of its copies a router sends (`replica`) means nothing here and is not kept.
//!
//! | file       | what                                                        |
//! |------------|-------------------------------------------------------------|
//! | [`reader`] | finds the series and their tenants                          |
//! | [`tenant`] | the tenant's label, among those of a series                 |
//! | `series`   | a series with that label, as it is stored                   |
//! | `storing`  | all series of a request into the database                   |

pub mod reader;
mod series;
pub(crate) mod storing;
pub mod tenant;
