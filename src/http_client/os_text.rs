//! Texts of errors of the operating system.

use std::io;

/// Returns the text of an I/O error as Go writes it: lower case, without its number.
pub(super) fn os_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error ").next().unwrap_or_default();
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::os_text;
    use std::io;

    #[test]
    fn os_error_reads_as_in_go() {
        assert_eq!(os_text(&io::Error::from_raw_os_error(111)), "connection refused");
        assert_eq!(os_text(&io::Error::from_raw_os_error(2)), "no such file or directory");
        assert_eq!(os_text(&io::Error::other("not a regular file")), "not a regular file");
    }
}
