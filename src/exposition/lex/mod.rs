//! Pieces that both text formats share: characters of names, quoted strings, label sets.
//!
//! Functions take a body and an offset, and return the offset after the piece. Escapes stay in the
//! body until labels are asked for.
//!
//! | module | contents |
//! |---|---|
//! | [`label_set`] | label sets in braces |
//! | [`metadata`] | metadata lines |
//! | [`sample`] | place and content of the latest sample |
//! | [`scan`] | names, quoted strings and line ends |
//! | [`unescape`] | escapes of quoted strings and help texts |

pub(crate) mod label_set;
pub(crate) mod metadata;
pub(crate) mod sample;
pub(crate) mod scan;
pub(crate) mod unescape;
