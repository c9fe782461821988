//! File access of the storage engine: durable steps, mapped files, and test doubles that fail.
//!
//! | module | content |
//! |---|---|
//! | [`crash_disk`] | disk for tests that loses unsynced data and fails on demand |
//! | [`mod@dir_size`] | size of a directory |
//! | [`disk`] | the traits through which the engine writes |
//! | [`durable`] | atomic replacement of small files, [`durable::FileError`] |
//! | [`fail_point`] | named places at which tests stop the process |
//! | [`full`] | detection of full disks |
//! | [`mmap`] | memory-mapped files |
//! | [`os_disk`] | the real disk |
//! | [`quarantine`] | moves to the quarantine directory |

pub mod crash_disk;
pub mod dir_size;
pub mod disk;
pub mod durable;
pub mod fail_point;
pub mod full;
pub mod mmap;
pub mod os_disk;
pub mod quarantine;
