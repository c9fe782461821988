//! The documents against the real binary: flags with their defaults, metrics, configuration, links.
//!
//! `docs_reference` compares the reference of flags and keys, and the runbook.
//! `tests/real_programs/docs.rs` runs the commands of the documents.

use crate::support::dir;
use crate::support::launch::{Launch, Server};
use crate::support::markdown::{Document, documents, repository_path};
use crate::support::web_config;
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Flags in the documents that belong to other programs.
const OTHER_PROGRAMS: [(&str, &[&str]); 4] = [
    ("cargo", &["--release", "--bench", "--locked"]),
    ("helm", &["--create-namespace", "--namespace", "--set"]),
    ("curl", &["--compressed", "--data-urlencode"]),
    (
        "Thanos",
        &[
            "--deduplication.func",
            "--endpoint",
            "--label",
            "--objstore.config-file",
            "--prometheus.url",
            "--query.replica-label",
            "--receive.hashrings-algorithm",
            "--receive.hashrings-file-refresh-interval",
            "--receive.hashrings-file",
            "--receive.local-endpoint",
            "--receive.replication-factor",
            "--remote-write.address",
            "--shipper.upload-compacted",
            "--tsdb.path",
        ],
    ),
];

/// Value of a switch in a table of flags.
const OFF: &str = "off";

/// A running server with a configuration file that a test may change.
struct ConfiguredServer {
    _temp_dir: tempfile::TempDir,
    file: std::path::PathBuf,
    server: Server,
}

impl ConfiguredServer {
    fn start() -> ConfiguredServer {
        let temp_dir = dir::temp();
        let data = temp_dir.path().join("data");
        let launch = Launch::narthex(&data).config(&data, "").flag("--web.enable-lifecycle");
        let file = data.with_extension("narthex.yml");
        ConfiguredServer { server: launch.start(), file, _temp_dir: temp_dir }
    }

    /// Reloads with this configuration: status and text of the response.
    fn reload(&self, configuration: &str) -> (u16, String) {
        std::fs::write(&self.file, configuration).expect("a configuration file can be written");
        let response = self.server.http.post("/-/reload", &[], b"");
        (response.status, response.text())
    }
}

/// Output of `narthex COMMAND --help`.
pub(crate) fn help(command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_narthex")).args(command).arg("--help").output();
    let output = output.expect("narthex runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("help is UTF-8")
}

/// Default of every flag in the help of a command; [`OFF`] for a switch, nothing without a default.
pub(crate) fn help_defaults(command: &[&str]) -> BTreeMap<String, String> {
    let help = help(command);
    let heading = Regex::new(r"(?m)^(?: {6}|  -\w, )--([a-z][a-z0-9.-]*)(.*)$").expect("a regex");
    let default = Regex::new(r"\[default:\s+([^\]]*)\]").expect("a regex");
    let starts: Vec<_> = heading.captures_iter(&help).collect();
    let ends = starts.iter().skip(1).map(|next| next.get(0).expect("a match").start());
    let mut defaults = BTreeMap::new();
    for (flag, end) in starts.iter().zip(ends.chain([help.len()])) {
        let section = &help[flag.get(0).expect("a match").start()..end];
        let without = if flag[2].contains('<') { "" } else { OFF };
        let value = default
            .captures(section)
            .map_or(without, |found| found.get(1).expect("a group").as_str());
        defaults.insert(format!("--{}", &flag[1]), value.to_owned());
    }
    assert!(defaults.remove("--help").is_some(), "{help}");
    defaults
}

/// Flags in text, with their dashes.
fn flags_in(text: &str) -> BTreeSet<String> {
    let flag = Regex::new(r"(?m)(?:^|[^\w-])(--[a-z][a-z0-9.-]*[a-z0-9])").expect("a regex");
    flag.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// The code in a cell of a table.
pub(crate) fn code_of(cell: &str) -> Option<&str> {
    cell.split('`').nth(1)
}

/// The default in a cell of a table of flags, as in [`help_defaults`].
pub(crate) fn default_of(cell: &str) -> Option<&str> {
    match cell {
        OFF => Some(OFF),
        "none" => Some(""),
        cell => code_of(cell),
    }
}

/// Subcommands of `narthex check`.
pub(crate) fn checks() -> Vec<String> {
    let help = help(&["check"]);
    let (_, rest) = help.split_once("Commands:\n").expect("a list of commands");
    let names = rest.lines().map_while(|line| line.split_whitespace().next());
    let names: Vec<_> = names.filter(|name| *name != "help").map(str::to_owned).collect();
    assert!(names.len() > 4, "{help}");
    names
}

#[test]
fn flag_tables_of_docs_have_the_defaults_of_help() {
    let expected = help_defaults(&["serve"]);
    assert!(expected.len() > 30, "{expected:?}");
    let mut documented = BTreeMap::new();
    for document in documents() {
        for table in document.tables() {
            let (Some(flag), Some(default)) = (table.column("flag"), table.column("default"))
            else {
                continue;
            };
            for row in &table.rows {
                let path = document.path.display();
                let name =
                    code_of(&row[flag]).unwrap_or_else(|| panic!("{path}: no flag in {row:?}"));
                let value = default_of(&row[default])
                    .unwrap_or_else(|| panic!("{path}: no default in {row:?}"));
                let earlier = documented.insert(name.to_owned(), value.to_owned());
                assert_eq!(earlier, None, "{path}: {name} is in two tables");
            }
        }
    }
    let differing: Vec<_> = documented
        .keys()
        .chain(expected.keys())
        .filter(|&name| documented.get(name) != expected.get(name))
        .map(|name| (name, documented.get(name), expected.get(name)))
        .collect();
    assert!(differing.is_empty(), "flag, default in the docs, default in --help: {differing:#?}");
}

#[test]
fn flags_of_docs_exist() {
    let running = ConfiguredServer::start();
    let json = running.server.http.get("/api/v1/status/flags").json();
    let own = json["data"].as_object().expect("flags are an object");
    let own: BTreeSet<String> = own.keys().map(|name| format!("--{name}")).collect();
    assert!(own.len() > 30, "{json}");
    let of_checks = checks().into_iter().flat_map(|check| help_defaults(&["check", &check]));
    let mut known: BTreeSet<String> = of_checks.map(|(flag, _)| flag).collect();
    known.extend(own.iter().cloned());
    known.extend(
        OTHER_PROGRAMS.iter().flat_map(|(_, flags)| flags.iter().map(|&flag| flag.to_owned())),
    );
    known.extend(["--help", "--version"].map(str::to_owned));
    let mut seen = BTreeSet::new();
    let mut broken = Vec::new();
    for document in documents() {
        let flags = flags_in(document.text());
        let unknown = flags.difference(&known);
        broken.extend(unknown.map(|flag| format!("{}: {flag}", document.path.display())));
        if document.is("docs/configuration.md") {
            let missing: Vec<_> = own.difference(&flags).collect();
            assert!(missing.is_empty(), "flags that the reference does not have: {missing:?}");
        }
        seen.extend(flags);
    }
    assert!(broken.is_empty(), "flags that do not exist: {broken:#?}");
    for (program, flags) in OTHER_PROGRAMS {
        let stale: Vec<_> = flags.iter().filter(|&&flag| !seen.contains(flag)).collect();
        assert!(stale.is_empty(), "no document names {stale:?} of {program}");
    }
    running.server.stop();
}

/// Names of metrics in code spans; `{a,b}` stands for each of its words.
fn metrics_in(document: &Document) -> BTreeSet<String> {
    let metric = Regex::new(r"^(?:prometheus|narthex|process|net_conntrack)_[a-z0-9_{},]+$")
        .expect("a regex");
    let spans = document.code_spans().into_iter().filter(|span| metric.is_match(span));
    spans.flat_map(|span| expand(&span)).collect()
}

fn expand(name: &str) -> Vec<String> {
    let parts = name.split_once('{').and_then(|(front, rest)| Some((front, rest.split_once('}')?)));
    match parts {
        Some((front, (words, back))) => {
            words.split(',').map(|word| format!("{front}{word}{back}")).collect()
        }
        None => vec![name.to_owned()],
    }
}

/// A metric without the suffix of a part of a summary or histogram.
fn family(name: &str) -> &str {
    ["_sum", "_count", "_bucket"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name)
}

/// Source files below a directory, as one text.
fn source_text(dir: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(dir).expect("a directory can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            text.push_str(&source_text(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).expect("a source file can be read"));
        }
    }
    text
}

#[test]
fn metrics_of_docs_exist_and_are_complete() {
    let running = ConfiguredServer::start();
    // The first request is counted only in the second response.
    running.server.http.get("/metrics");
    let page = running.server.http.get("/metrics").text();
    running.server.stop();
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let exposed: BTreeSet<String> = types.map(|name| family(name).to_owned()).collect();
    assert!(exposed.len() > 80, "{page}");
    let source = source_text(&repository_path("src"));
    // A family whose labels come with the first event is not exposed before.
    let exists =
        |name: &String| exposed.contains(family(name)) || source.contains(&format!("\"{name}\""));
    let mut broken = Vec::new();
    for document in documents().iter().filter(|document| !document.is("CHANGELOG.md")) {
        let (path, metrics) = (document.path.display(), metrics_in(document));
        let unknown = metrics.iter().filter(|name| !exists(name));
        broken.extend(unknown.map(|name| format!("{path}: {name} does not exist")));
        if document.is("docs/metrics.md") {
            let documented = metrics.iter().map(|name| family(name).to_owned()).collect();
            let missing = exposed.difference(&documented);
            broken.extend(missing.map(|name| format!("{path}: {name} is missing")));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Checks a web configuration file next to a server's certificates: result and output.
pub(crate) fn check_web_config(text: &str) -> (bool, String) {
    let temp_dir = dir::temp();
    web_config::copy_certificates(temp_dir.path());
    let file = temp_dir.path().join("web.yml");
    std::fs::write(&file, text).expect("a file can be written");
    let mut check = Command::new(env!("CARGO_BIN_EXE_narthex"));
    let output = check.args(["check", "web-config"]).arg(file).output().expect("narthex runs");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn configuration_blocks_of_docs_are_accepted() {
    let running = ConfiguredServer::start();
    let (status, text) = running.reload("storage: {tsdb: {retention: {time: soon}}}\n");
    assert_eq!(status, 500, "an invalid file must be rejected: {text}");
    assert!(!check_web_config("http_server_config: {http3: on}\n").0, "an unknown key");
    let mut checked = 0;
    for block in
        documents().iter().flat_map(Document::blocks).filter(|block| block.language == "yaml")
    {
        match block.text.lines().next() {
            Some("# narthex.yml") => {
                let (status, text) = running.reload(&block.text);
                assert_eq!(status, 200, "{}: {text}", block.place);
                checked += 1;
            }
            Some("# web.yml") => {
                let (is_valid, text) = check_web_config(&block.text);
                assert!(is_valid, "{}: {text}", block.place);
                checked += 1;
            }
            // promtool checks it in tests/real_programs/docs.rs.
            Some("# prometheus.yml") => {}
            // Kubernetes objects, which name paths and ports.
            Some("# pod.yml" | "# ingress.yml") => {}
            other => panic!("{}: the first line names no file: {other:?}", block.place),
        }
    }
    assert!(checked >= 5, "only {checked} configuration blocks were found");
    running.server.stop();
}

#[test]
fn blocks_of_docs_have_a_language_and_json_is_valid() {
    for block in documents().iter().flat_map(Document::blocks) {
        let place = &block.place;
        match block.language.as_str() {
            "json" => {
                let parsed: Result<serde_json::Value, _> = serde_json::from_str(&block.text);
                assert!(parsed.is_ok(), "{place}: {parsed:?}");
            }
            "sh" | "yaml" | "text" => {}
            other => panic!("{place}: no test knows the language {other:?}"),
        }
    }
}

#[test]
fn links_of_docs_resolve() {
    let documents = documents();
    let mut broken = Vec::new();
    for document in &documents {
        let dir = document.path.parent().expect("a file has a directory");
        for link in document.links().iter().filter(|link| !link.starts_with("http")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { document.path.clone() } else { dir.join(path) };
            let absolute = |path: &Path| repository_path(path).canonicalize().ok();
            let found = absolute(&target);
            let page = documents.iter().find(|page| absolute(&page.path) == found);
            let has_anchor =
                || anchor.is_empty() || page.is_some_and(|page| page.anchors().contains(anchor));
            if found.is_none() || !has_anchor() {
                broken.push(format!("{}: {link}", document.path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn readme_fits_on_one_page() {
    let readme =
        documents().into_iter().find(|document| document.is("README.md")).expect("a README");
    let lines = readme.text().lines().count();
    assert!(lines <= 150, "README.md has {lines} lines");
    let image = concat!("/narthex:", env!("CARGO_PKG_VERSION"), "\n");
    assert!(readme.text().contains(image), "README.md builds an image of another version");
}
