//! An index written, read, damaged.
