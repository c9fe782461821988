//! Remote write, remote read and the Thanos store protocol, from message bytes to the database.
//!
//! The code here knows neither HTTP nor gRPC: the server passes bytes and receives outcomes.
//!
//! | module | content |
//! |---|---|
//! | [`pb`] | generated messages |
//! | [`wire`] | protobuf messages decoded in place |
//! | [`body_compression`] | compression formats of bodies and messages |
//! | [`mod@decompress`] | decompression within limits |
//! | [`mod@write`] | storage of a write request |
//! | [`external_labels`] | labels added to every series that is read |
//! | [`read`] | read responses, with samples or chunks |
//! | [`thanos`] | Thanos store protocol |

pub mod body_compression;
pub mod decompress;
pub mod external_labels;
pub mod pb;
pub mod read;
pub mod thanos;
pub mod wire;
pub mod write;
