//! File with the settings of one HTTP client, as `promtool --http.config.file` has it.

use crate::config::file::context::MAX_SIZE;
use crate::config::file::error::ConfigFileError;
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::yaml::document;
use crate::config::yaml::error::FileProblem;
use crate::config::yaml::source::Source;
use crate::config::yaml::value::Value;
use std::path::Path;

/// Reads and checks a file. An empty one has the defaults.
///
/// # Errors
/// [`ConfigFileError`] has every problem.
pub fn load(path: &Path) -> Result<HttpClientConfig, ConfigFileError> {
    let text = document::read(path, MAX_SIZE)
        .map_err(|source| ConfigFileError::Read { path: path.to_owned(), source })?;
    let dir = path.parent().unwrap_or(Path::new(""));
    let (source, tree) = Source::parse(&text, dir, false);
    let root = Value::root(&source, &tree);
    let config = match root.is_null() {
        true => HttpClientConfig::default(),
        false => root
            .mapping()
            .map(|mut keys| {
                let config = HttpClientConfig::read(&mut keys);
                keys.finish();
                config
            })
            .unwrap_or_default(),
    };
    let problems = source.into_findings().problems.into_iter();
    let problems: Vec<FileProblem> =
        problems.map(|problem| FileProblem { path: path.to_owned(), problem }).collect();
    if problems.is_empty() { Ok(config) } else { Err(ConfigFileError::Invalid(problems)) }
}

#[cfg(test)]
mod tests {
    use super::load;
    use crate::config::file::http_client::auth::ClientAuth;

    #[test]
    fn file_has_the_keys_of_a_client_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let load_text = |text: &str| {
            let path = dir.path().join("client.yml");
            std::fs::write(&path, text).expect("a file");
            load(&path).map_err(|error| error.to_string())
        };
        let config = load_text("basic_auth: {username: u, password_file: p}\n").expect("valid");
        assert!(matches!(config.auth, Some(ClientAuth::Basic(_))));
        assert_eq!(load_text("").expect("valid").auth, None);
        for (text, expected) in [
            (
                "basic_auth: {username: u}\njob_name: a\n",
                ":2:1: job_name: unknown key \"job_name\"",
            ),
            ("[1]\n", "client.yml:1:1: must be a mapping"),
        ] {
            let error = load_text(text).expect_err(text);
            assert!(error.contains(expected), "{error}");
        }
        let missing = load(&dir.path().join("none.yml")).map_err(|error| error.to_string());
        assert!(missing.is_err_and(|error| error.starts_with("cannot read configuration file")));
    }
}
