//! PromQL: the series selectors of expressions.
//!
//! | module          | contents                            |
//! |-----------------|-------------------------------------|
//! | [`selector`]    | one series selector                 |
//! | [`selectors`]   | all selectors of an expression      |
//! | [`parse_error`] | errors, in Prometheus's words       |

pub(crate) mod parse_error;
pub(crate) mod selector;
pub(crate) mod selectors;
