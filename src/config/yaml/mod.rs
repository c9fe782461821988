//! YAML files as documents with sections, keys and positions.
//!
//! | module | contents |
//! |---|---|
//! | [`document`] | document: sections, keys, positions and limits |
//! | [`error`] | errors with file, line and column |

pub mod document;
pub mod error;
