//! Tests of the protobuf format.
//!
//! | module | content |
//! |---|---|
//! | `entries` | entries and errors of bodies |
//! | `messages` | messages that the tests encode |
//! | `properties` | properties of arbitrary bodies |

mod entries;
mod messages;
mod properties;
