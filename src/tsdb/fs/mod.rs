//! File access of the storage engine: durable steps and mapped files.
//!
//! | module | content |
//! |---|---|
//! | [`corruption`] | path, offset and cause of a corruption |
//! | [`mod@dir_size`] | size of a directory |
//! | [`disk`] | the traits through which the engine changes files |
//! | [`durable`] | atomic replacement of files, [`durable::FileError`] |
//! | [`fail_point`] | named places at which tests stop the process |
//! | [`full`] | detection of full disks |
//! | [`mmap`] | memory-mapped files |
//! | [`os_disk`] | the real disk |
//! | [`quarantine`] | moves to the quarantine directory |

pub mod corruption;
pub mod dir_size;
pub mod disk;
pub mod durable;
pub mod fail_point;
pub mod full;
pub mod mmap;
pub mod os_disk;
pub mod quarantine;
