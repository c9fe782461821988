//! Tests: the head as a whole.
//!
//! | module         | content                                                     |
//! |----------------|-------------------------------------------------------------|
//! | `out_of_order` | out-of-order samples from the appender to readers           |
//! | `value_types`  | samples of all value types in one head                      |

mod out_of_order;
mod value_types;
