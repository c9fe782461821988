//! The reference of flags and keys (docs/configuration.md, docs/web-configuration.md) and the
//! runbook, compared with the program and with the alerts in both directions.

use crate::docs::{check_web_config, checks, code_of, default_of, help_defaults};
use crate::support::markdown::{Document, Table, document, repository_path};
use narthex::config::file::known_keys;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Configuration file with every mapping that has known keys. It is not valid.
const EVERY_MAPPING: &str = "\
global: {}
runtime: {}
storage: {tsdb: {retention: {}, chunk_encoding: {}}, exemplars: {}}
scrape_configs:
  - static_configs: [{}]
    relabel_configs: [{}]
    metric_relabel_configs: [{}]
    basic_auth: {}
    authorization: {}
    oauth2: {}
    tls_config: {}
    http_headers: {name: {}}
    file_sd_configs: [{}]
    http_sd_configs: [{}]
    dns_sd_configs: [{}]
    consul_sd_configs: [{}]
    docker_sd_configs: [{filters: [{}]}]
    kubernetes_sd_configs: [{namespaces: {}, selectors: [{}], attach_metadata: {}}]
";

/// Mappings with the keys that the page describes as those of an HTTP client.
const HTTP_CLIENTS: [&str; 5] = [
    "scrape_configs",
    "http_sd_configs",
    "consul_sd_configs",
    "docker_sd_configs",
    "kubernetes_sd_configs",
];

/// Sets of names by the name of what has them.
type Names = BTreeMap<String, BTreeSet<String>>;

/// Code in a cell of a table.
fn codes(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Names in the first column of a table.
fn names_in(table: &Table) -> impl Iterator<Item = String> {
    table.rows.iter().flat_map(|row| codes(&row[0])).map(str::to_owned)
}

/// Names in the first column of the table with this header. Another column may tell it from others.
fn names_below(document: &Document, header: &str, other_column: &str) -> BTreeSet<String> {
    let tables = document.tables();
    let is_meant =
        |table: &&Table| table.first_header() == header && table.column(other_column).is_some();
    names_in(tables.iter().find(is_meant).expect("a table with this header")).collect()
}

/// Names in all tables whose header is "key of" one or more mappings, by mapping.
fn documented_keys(document: &Document) -> Names {
    let mut keys = Names::new();
    for table in document.tables() {
        let Some(owners) = table.first_header().strip_prefix("key of ") else { continue };
        let clients = HTTP_CLIENTS.into_iter().filter(|_| owners.contains("an HTTP client"));
        for owner in codes(owners).chain(clients) {
            let known = keys.entry(owner.to_owned()).or_default();
            for name in names_in(&table) {
                assert!(known.insert(name.clone()), "{name} of {owner} is in two tables");
            }
        }
    }
    keys
}

/// Name of a mapping: the last key of its path, without positions in lists.
fn mapping_name(path: &str) -> String {
    let mut keys = path.rsplit('.').map(|key| key.split('[').next().unwrap_or_default());
    let last = keys.next().unwrap_or_default();
    // The names of headers are not known keys.
    keys.next().filter(|key| *key == "http_headers").unwrap_or(last).to_owned()
}

#[test]
fn keys_of_the_reference_are_those_of_the_parsers() {
    let mut known = Names::new();
    for (path, keys) in known_keys(EVERY_MAPPING) {
        let keys = keys.into_iter().map(str::to_owned);
        known.entry(mapping_name(&path)).or_default().extend(keys);
    }
    assert!(known.len() > 25, "{known:?}");
    let page = document("docs/configuration.md");
    let mut documented = documented_keys(&page);
    documented.insert(String::new(), names_below(&page, "section", "default"));
    for name in known.keys().chain(documented.keys()) {
        assert_eq!(documented.get(name), known.get(name), "documented and known keys of {name:?}");
    }
}

/// Names that the check of a web configuration file offers instead of an unknown one.
fn expected_names(text: &str) -> BTreeSet<String> {
    let (is_valid, output) = check_web_config(text);
    assert!(!is_valid, "{text} {output}");
    let (_, names) = output.split_once("expected one of ").expect("a list of names");
    names.trim().split(", ").map(str::to_owned).collect()
}

#[test]
fn keys_of_the_web_configuration_are_those_of_the_parser() {
    let page = document("docs/web-configuration.md");
    let keys = documented_keys(&page);
    assert!(keys.len() > 2, "{keys:?}");
    for (section, keys) in keys {
        assert_eq!(keys, expected_names(&format!("{section}: {{none: 1}}\n")), "{section}");
    }
    let headers = names_below(&page, "header", "allowed values");
    assert_eq!(headers, expected_names("http_server_config: {headers: {None: a}}\n"));
    let reference = document("docs/configuration.md");
    let sections = names_below(&reference, "section", "tables of the keys");
    assert_eq!(sections, expected_names("none: 1\n"));
}

#[test]
fn flags_of_checks_are_those_of_help() {
    let mut documented: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for table in document("docs/configuration.md").tables() {
        let Some(commands) = table.first_header().strip_prefix("flag of ") else { continue };
        for row in table.rows.iter().filter(|row| row[0].starts_with("`--")) {
            let flag = code_of(&row[0]).expect("a flag");
            let default = default_of(&row[1]).unwrap_or_else(|| panic!("no default: {row:?}"));
            for command in codes(commands) {
                let flags = documented.entry(command.to_owned()).or_default();
                assert_eq!(flags.insert(flag.to_owned(), default.to_owned()), None, "{row:?}");
            }
        }
    }
    // The page says so in a row.
    let ready = documented["narthex check ready"].clone();
    let round_trip = documented.entry("narthex check roundtrip".to_owned()).or_default();
    ready.into_iter().for_each(|(flag, default)| {
        round_trip.entry(flag).or_insert(default);
    });
    let checks = checks();
    assert_eq!(documented.len(), checks.len(), "{documented:?}");
    for check in checks {
        let documented = documented.get(&format!("narthex check {check}"));
        assert_eq!(documented, Some(&help_defaults(&["check", &check])), "{check}");
    }
}

#[test]
fn features_of_the_reference_exist_and_are_complete() {
    let wrong = ["serve", "--enable-feature=none"];
    let output = Command::new(env!("CARGO_BIN_EXE_narthex")).args(wrong).output();
    let error = String::from_utf8(output.expect("narthex runs").stderr).expect("UTF-8");
    let (_, names) = error.split_once("[possible values: ").expect("a list of names");
    let (names, _) = names.split_once(']').expect("the end of the list");
    let names: BTreeSet<String> = names.split(',').map(|name| name.trim().to_owned()).collect();
    let page = document("docs/configuration.md");
    assert_eq!(names_below(&page, "`--enable-feature`", "effect"), names);
}

#[test]
fn runbook_has_a_section_for_each_alert() {
    let rules = std::fs::read_to_string(repository_path("helm/narthex/files/rules.yaml"));
    let rules = rules.expect("the rules can be read");
    let alerts = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let alerts: Vec<&str> = alerts.collect();
    assert!(alerts.len() > 10, "{rules}");
    let page = document("docs/runbook.md");
    assert_eq!(page.sections(), alerts);
    // The chart appends this anchor to the URL of the runbook.
    let missing = alerts.iter().find(|alert| !page.anchors().contains(&alert.to_lowercase()));
    assert_eq!(missing, None);
}
