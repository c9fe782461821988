//! Additional headers of every request: `http_headers`.

use crate::config::file::http_client::headers::{HeaderValues, RequestHeaders};
use crate::http_client::credentials::{self, InvalidHeaderError};
use crate::http_client::error::RequestFailure;
use crate::http_client::files::{FileSet, Files};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::path::PathBuf;

/// Headers of the settings, checked.
#[derive(Debug)]
pub(super) struct HeaderRules(Vec<HeaderRule>);

#[derive(Debug)]
struct HeaderRule {
    name: HeaderName,
    /// Values of the keys `values` and `secrets`; secrets are marked as sensitive.
    values: Vec<HeaderValue>,
    files: Vec<PathBuf>,
}

impl HeaderRules {
    /// Checks names and values.
    pub(super) fn new(headers: &RequestHeaders) -> Result<Self, InvalidHeaderError> {
        headers.iter().map(|(name, values)| rule(name, values)).collect::<Result<_, _>>().map(Self)
    }

    /// Adds the files with values.
    pub(super) fn add_files(&self, set: &mut FileSet) {
        for path in self.0.iter().flat_map(|rule| &rule.files) {
            set.add_path(path);
        }
    }

    /// Appends the values to those that the request has. Secrets are marked as sensitive.
    pub(super) fn append(
        &self,
        headers: &mut HeaderMap,
        files: &Files,
    ) -> Result<(), RequestFailure> {
        for rule in &self.0 {
            for value in &rule.values {
                append(headers, &rule.name, value.clone())?;
            }
            for path in &rule.files {
                let value = credentials::secret_value(rule.name.as_str(), files.text(path)?)?;
                append(headers, &rule.name, value)?;
            }
        }
        Ok(())
    }
}

/// Appends a value; a request has at most 32,768 of them.
fn append(
    headers: &mut HeaderMap,
    name: &HeaderName,
    value: HeaderValue,
) -> Result<(), InvalidHeaderError> {
    let error = |_| InvalidHeaderError { name: name.to_string() };
    headers.try_append(name, value).map(|_| ()).map_err(error)
}

fn rule(name: &str, header: &HeaderValues) -> Result<HeaderRule, InvalidHeaderError> {
    let plain = header.values.iter().map(|value| credentials::plain_value(name, value));
    let secret = header.secrets.iter().map(|value| credentials::secret_value(name, value.expose()));
    Ok(HeaderRule {
        name: HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| InvalidHeaderError { name: name.to_owned() })?,
        values: plain.chain(secret).collect::<Result<_, _>>()?,
        files: header.files.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::HeaderRules;
    use crate::config::file::http_client::headers::{HeaderValues, RequestHeaders};
    use crate::http_client::files::FileSet;
    use crate::model::secret::Secret;
    use http::HeaderMap;

    #[test]
    fn values_are_appended_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("h");
        std::fs::write(&path, "from file\n").unwrap();
        let values = HeaderValues {
            values: vec!["a".to_owned(), "b".to_owned()],
            secrets: vec![Secret::new("hidden")],
            files: vec![path.clone()],
        };
        let rules =
            HeaderRules::new(&RequestHeaders::from([("X-One".to_owned(), values)])).unwrap();
        let (mut set, mut headers) = (FileSet::default(), HeaderMap::new());
        rules.add_files(&mut set);
        headers.insert("x-one", "own".parse().unwrap());
        rules.append(&mut headers, &set.read_blocking()).unwrap();
        let sent: Vec<_> = headers
            .get_all("X-One")
            .iter()
            .map(|value| (value.to_str().unwrap(), value.is_sensitive()))
            .collect();
        let expected =
            [("own", false), ("a", false), ("b", false), ("hidden", true), ("from file", true)];
        assert_eq!(sent, expected);
        std::fs::remove_file(path).unwrap();
        let error = rules.append(&mut headers, &set.read_blocking()).unwrap_err().to_string();
        assert!(error.ends_with("/h: no such file or directory"), "{error}");
    }

    #[test]
    fn invalid_header_is_an_error_without_its_value() {
        for (name, value) in [("X A", "hidden"), ("X-A", "hid\nden"), ("", "hidden")] {
            let values = HeaderValues { secrets: vec![Secret::new(value)], ..Default::default() };
            let headers = RequestHeaders::from([(name.to_owned(), values)]);
            let error = HeaderRules::new(&headers).unwrap_err();
            assert_eq!(error.to_string(), format!("invalid name or value of header {name:?}"));
        }
    }
}
