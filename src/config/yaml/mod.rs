//! YAML files as documents with sections, keys and positions.
//!
//! The configuration file is a tree that is read with a cursor ([`value`], [`mapping`]), which
//! collects every problem. The web configuration file is read with serde and stops at the first
//! one.
//!
//! | module | contents |
//! |---|---|
//! | `composer` | text to tree: anchors, merge keys, repeated keys, limits |
//! | [`document`] | document for serde: sections, keys, positions and limits |
//! | [`error`] | errors with file, line and column |
//! | `json` | values of any shape as JSON |
//! | [`mapping`] | cursor on a mapping: known, unknown and arbitrary keys |
//! | [`output`] | tree of the effective configuration |
//! | `scalar` | null, booleans and numbers as Prometheus's YAML library resolves them |
//! | [`source`] | file that is read: directory, problems, warnings |
//! | `tree` | nodes with positions |
//! | [`value`] | cursor on a value: typed reads that report a problem |

mod composer;
pub mod document;
pub mod error;
pub mod json;
pub mod mapping;
pub mod output;
mod scalar;
pub mod source;
mod tree;
pub mod value;
