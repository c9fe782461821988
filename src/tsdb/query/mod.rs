//! Queries: selection of series and labels over several sources, and their samples or chunks.
//!
//! | module | content |
//! |---|---|
//! | [`chunk_iter`] | encoded chunks of a merged series |
//! | [`corruption`] | defects of stored data |
//! | [`label_source`] | label names and values |
//! | [`merged_series`] | samples of a series, merged from all its chunks |
//! | [`mod@select`] | series of several sources, ordered by labels |
//! | [`source`] | trait that the head and every block implement |

pub mod chunk_iter;
pub mod corruption;
pub mod label_source;
pub mod merged_series;
pub mod select;
pub mod source;
