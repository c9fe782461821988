//! Tests of XOR2 chunks: properties. Prometheus's own bytes are in `tests/block_golden.rs` and `tests/xor2_golden.rs`.
