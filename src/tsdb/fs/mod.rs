//! Durable steps on files, mapped files, and the seams at which tests make them fail.

pub mod crash_disk;
pub mod dir_size;
pub mod disk;
pub mod durable;
pub mod fail_point;
pub mod full;
pub mod mmap;
pub mod os_disk;
pub mod quarantine;
