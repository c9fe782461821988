//! Whether an error means that there is no space, in one place for all who write.

use std::io;

/// Returns `true` if a file system is full, or this user's share of it, or if a file may not become
/// larger (`RLIMIT_FSIZE`). Each passes without a restart.
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
    fn missing_space_is_told_from_other_errors() {
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
