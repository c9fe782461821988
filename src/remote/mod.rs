//! The remote protocols: wire messages on one side, appender and querier on the other.
//!
//! No HTTP and no gRPC: the edge hands over bytes and gets back what became of them.

pub mod pb;
pub mod protobuf;
pub mod reader;
mod schema;
