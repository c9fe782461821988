//! Detection of errors that mean a full disk.

use std::io;

/// Returns `true` if the file system or the user's quota is full, or if the file reached its
/// maximum size (`RLIMIT_FSIZE`). Each of these can pass without a restart.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

#[cfg(test)]
mod tests {
    use super::is_full;
    use std::io::Error;

    #[test]
    fn full_disk_errors_are_distinguished() {
        const EIO: i32 = 5;
        const EFBIG: i32 = 27;
        const ENOSPC: i32 = 28;
        const EDQUOT: i32 = 122;
        for code in [EFBIG, ENOSPC, EDQUOT] {
            assert!(is_full(&Error::from_raw_os_error(code)), "{code}");
        }
        assert!(!is_full(&Error::from_raw_os_error(EIO)));
    }
}
