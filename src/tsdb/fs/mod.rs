//! fs

pub mod mmap;
