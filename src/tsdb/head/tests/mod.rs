//! Tests: the head as a whole.
//!
//! | module         | content                                                     |
//! |----------------|-------------------------------------------------------------|
//! | `log_writes`   | requests that are logged as a whole                         |
//! | `out_of_order` | out-of-order samples from the appender to readers           |
//! | `value_types`  | samples of all value types in one head                      |
//! | `visibility`   | requests that become visible as a whole                     |

mod log_writes;
mod out_of_order;
mod value_types;
mod visibility;
