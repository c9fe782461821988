//! Reading remote write 2.0: `io.prometheus.write.v2.Request`, in which every text stands once and is referred to by position.
//!
//! | file        | what                                                             |
//! |-------------|------------------------------------------------------------------|
//! | [`request_index`]  | checks a request and finds its series, in place                  |
//! | [`series`]  | one series of a request, in place                                |
//! | [`symbols`] | the texts of a request                                           |
//! | `refs`      | lists of references                                              |
//! | `label_bytes`      | labels put together from texts, in the form in which they are stored |
//! | `sample`    | one sample                                                       |
//! | `exemplar`  | one exemplar                                                     |
//! | `metadata`  | what is said of a series' metric                                 |

mod exemplar;
mod label_bytes;
mod metadata;
mod refs;
pub mod request_index;
mod sample;
pub mod series;
pub mod symbols;
