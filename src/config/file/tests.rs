//! Accepted files, and errors with their positions.

use crate::config::file::contents::ConfigFile;
use crate::config::file::context::MAX_SIZE;
use crate::config::file::error::ConfigFileError;
use crate::config::file::load;
use crate::config::file::options::LoadOptions;
use crate::config::file::storage::{RetentionSection, TsdbSection};
use crate::config::units::ByteSize;
use crate::config::yaml::error::{ConfigProblem, Position};
use crate::tsdb::db::FloatEncoding;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

fn parse(text: &str) -> Result<ConfigFile, ConfigProblem> {
    let variables = |name: &str| (name == "HOST").then(|| "h1".to_owned());
    let (file, mut problems) =
        crate::config::file::parse(text, Path::new(""), LoadOptions::new(false), &variables);
    if problems.is_empty() { Ok(file) } else { Err(problems.swap_remove(0).problem) }
}

fn problem(text: &str) -> ConfigProblem {
    parse(text).unwrap_err()
}

fn at(line: u64, column: u64) -> Option<Position> {
    Some(Position { line, column })
}

#[test]
fn empty_file_is_accepted() {
    for text in [
        "",
        "# nothing\n",
        "storage:\n",
        "storage: {}\n",
        "storage:\n  tsdb:\n    out_of_order_time_window: 0s\n",
    ] {
        assert!(parse(text).is_ok(), "{text}");
    }
}

#[test]
fn unsupported_section_is_named_with_line() {
    let section = problem("storage:\nrule_files: [a.yml]\n");
    assert_eq!(section.position, at(2, 1));
    assert!(section.message.contains("rule_files: section is not supported"), "{section:?}");
}

#[test]
fn external_labels_are_strings_with_variables() {
    let file = parse(
        "global:\n  external_labels:\n    host: ${HOST}-x\n    gone: $NO\n    one: 1.10\n    \
         yes: true\n    a.b: '~'\n",
    )
    .unwrap();
    let labels: Vec<_> = file
        .global
        .external_labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        labels,
        [("a.b", "~"), ("gone", ""), ("host", "h1-x"), ("one", "1.10"), ("yes", "true")]
    );
    assert_eq!(file.global.empty_variables, ["NO"]);
    assert!(parse("global:\n  external_labels:\n").unwrap().global.external_labels.is_empty());
    assert!(parse("global:\n").unwrap().global.external_labels.is_empty());
}

#[test]
fn invalid_external_labels_are_rejected() {
    let nameless = problem("global:\n  external_labels:\n    '': x\n");
    assert_eq!(nameless.position, at(3, 5));
    assert!(nameless.message.starts_with("global.external_labels"), "{nameless:?}");
    for wrong in ["{a: [b]}", "{a: 1, a: 2}", "text", "[a]"] {
        let found = problem(&format!("global:\n  external_labels: {wrong}\n"));
        assert!(found.position.is_some(), "{found:?}");
    }
    assert!(problem("global: {external_label: {a: b}}").message.contains("external_label"));
}

#[test]
fn tsdb_section_is_parsed() {
    let text = "storage:\n  tsdb:\n    out_of_order_time_window: 90m\n    \
                stale_series_compaction_threshold: 0.25\n    chunk_encoding:\n      \
                floats: xor2\n    retention:\n      time: 30d\n      size: 1.5GB\n      \
                percentage: 80\n";
    let retention = RetentionSection {
        time: Duration::from_secs(30 * 86_400),
        size: ByteSize(3 << 29),
        percentage: 80.0,
    };
    assert_eq!(
        parse(text).unwrap().storage.tsdb,
        TsdbSection {
            retention: Some(retention),
            stale_series_threshold: 0.25,
            float_encoding: Some(FloatEncoding::Xor2),
            out_of_order_window: Some(Duration::from_secs(90 * 60)),
        }
    );
    assert_eq!(
        parse("storage: {tsdb: {retention: {time: 0, size: 0}}}").unwrap().storage.tsdb.retention,
        Some(RetentionSection::default())
    );
}

#[test]
fn negative_max_exemplars_is_zero() {
    let max = |section: &str| {
        parse(&format!("storage: {{exemplars: {section}}}")).unwrap().storage.max_exemplars
    };
    assert_eq!(max("{max_exemplars: 5000}"), Some(5000));
    assert_eq!(max("{max_exemplars: -1}"), Some(0));
    assert_eq!((max("{}"), max("")), (None, None));
    assert!(problem("storage: {exemplars: {max_exemplars: many}}").position.is_some());
    assert!(problem("storage: {exemplars: {max: 1}}").message.contains("max"));
}

#[test]
fn invalid_settings_are_named_with_line() {
    for (section, field) in [
        ("retention: {size: -1GB}", "storage.tsdb.retention.size"),
        ("retention: {size: 1024}", "storage.tsdb.retention.size"),
        ("retention: {time: 15}", "storage.tsdb.retention.time"),
        ("retention: {percentage: 100.5}", "storage.tsdb.retention.percentage"),
        ("retention: {percentage: -1}", "storage.tsdb.retention.percentage"),
        ("retention: {percentage: .nan}", "storage.tsdb.retention.percentage"),
        (
            "stale_series_compaction_threshold: 1.5",
            "storage.tsdb.stale_series_compaction_threshold",
        ),
        ("out_of_order_time_window: soon", "storage.tsdb.out_of_order_time_window"),
        ("out_of_order_time_window: -1h", "storage.tsdb.out_of_order_time_window"),
        ("chunk_encoding: {floats: gorilla}", "storage.tsdb.chunk_encoding.floats"),
    ] {
        let name = field.rsplit('.').next().unwrap();
        let found = problem(
            &format!("storage:\n  tsdb:\n    {section}\n")
                .replace('{', "\n      ")
                .replace('}', ""),
        );
        assert!(found.message.starts_with(field), "{found:?}");
        let value_column = if section.contains('{') { 9 } else { 7 } + name.len() as u64;
        let line = if section.contains('{') { 4 } else { 3 };
        assert_eq!(found.position, at(line, value_column), "{name}");
    }
    assert!(problem("storage: {tsdb: {retention: {days: 3}}}").message.contains("days"));
}

#[test]
fn unknown_keys_are_rejected_with_line() {
    assert_eq!(problem("storge: {}\n").message, "storge: unknown section");
    let field = problem("storage:\n  tsdb:\n    out_of_order_window: 30m\n");
    assert_eq!(field.position, at(3, 5));
    assert!(field.message.contains("out_of_order_window"), "{field:?}");
    assert!(problem("storage: [1, 2]\n").position == at(1, 10));
    assert!(parse("just text").is_err());
    assert!(parse("storage: {}\nstorage: {}\n").is_err());
    assert!(parse("a: b: c").is_err());
}

#[test]
fn error_names_file_line_and_column() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("narthex.yml");
    let error = |text: &str| {
        std::fs::write(&path, text).unwrap();
        load(&path, LoadOptions::new(false))
            .unwrap_err()
            .to_string()
            .replace(&dir.path().display().to_string(), "DIR")
    };
    for (text, expected) in [
        ("storge: {}\n", "DIR/narthex.yml:1:1: storge: unknown section"),
        (
            "global:\n  scrape_interval: 1s\n  scrape_timeout: 2s\n",
            "DIR/narthex.yml:3:19: global.scrape_timeout: 2s exceeds scrape_interval 1s",
        ),
        (
            "storage:\n  tsdb: {retention: {days: 3}}\n",
            "DIR/narthex.yml:2:22: storage.tsdb.retention.days: unknown key \"days\"",
        ),
        (
            "storage:\n  tsdb:\n    retention: {percentage: 101}\n",
            "DIR/narthex.yml:3:29: storage.tsdb.retention.percentage: must be from 0 to 100, not \
             101",
        ),
        (
            "global:\n  external_labels:\n    é: b\n    é: c\n",
            "DIR/narthex.yml:4:5: duplicate key \"é\"",
        ),
        ("storage: {tsdb: [1]}\n", "DIR/narthex.yml:1:17: storage.tsdb: must be a mapping"),
        (
            "global: {external_labels: {a: [b]}}",
            "DIR/narthex.yml:1:31: global.external_labels.a: must be a string, not a list",
        ),
        (
            "storage: {exemplars: {max_exemplars: many}}",
            "DIR/narthex.yml:1:38: storage.exemplars.max_exemplars: must be an integer",
        ),
    ] {
        assert_eq!(error(text), expected);
    }
    let documents = error("global:\n---\nglobal:\n");
    assert!(documents.ends_with(": file has more than one YAML document"), "{documents}");
    let large = "#".repeat(MAX_SIZE + 1);
    assert_eq!(error(&large), "DIR/narthex.yml: file exceeds 16777216 bytes");
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(load(&path, LoadOptions::new(false)), Err(ConfigFileError::Read { .. })));
}

#[test]
fn error_in_alias_is_at_the_alias() {
    let text = "global: &labels\n  external_labels: {a: b}\nstorage: *labels\n";
    let found = problem(text);
    assert_eq!(found.position, at(3, 10));
    assert!(found.message.ends_with("unknown key \"external_labels\""), "{found:?}");
}

#[test]
fn null_is_an_empty_value() {
    let file = parse("global: {external_labels: {a: , b: ~, c: null, d: 'null'}}").unwrap();
    let values: Vec<_> = file.global.external_labels.values().map(String::as_str).collect();
    assert_eq!(values, ["", "", "", "null"]);
    for text in ["null", "~\n", "global: ~\nstorage: null\n", "storage: {tsdb: , exemplars: ~}"] {
        assert_eq!(parse(text).unwrap(), ConfigFile::default(), "{text}");
    }
}

#[test]
fn skipped_values_do_not_hide_the_first_problem() {
    let found = problem("storage: {tsdb: {retention: {percentage: .nan}}}\nglobal: {}\n");
    assert!(found.message.contains("percentage"), "{found:?}");
    assert_eq!(problem("other: .inf\n").message, "other: unknown section");
}

#[test]
fn expansion_of_aliases_is_bounded() {
    let mut text = String::from("global: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (from, to) in "abcdefgh".chars().zip("bcdefghi".chars()) {
        let alias = format!("*{from},").repeat(10);
        text.push_str(&format!("section_{to}: &{to} [{alias}]\n"));
    }
    let found = problem(&text);
    assert_eq!(found.message, "aliases expand to more than 50000 nodes");
    assert!(found.position.is_some());
}

#[test]
fn depth_is_bounded() {
    let flow = format!("global: {}", "[".repeat(100_000));
    let block = format!("global:\n  {}", "- ".repeat(100_000));
    let mapping: String = (0..3_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    for text in [flow, block, mapping] {
        let found = problem(&text);
        assert!(found.position.is_some(), "{found:?}");
    }
}

proptest! {
    #[test]
    fn quoted_labels_are_parsed_unchanged(
        labels in prop::collection::btree_map("[a-z_]{1,8}", "\\PC{0,20}", 0..6),
    ) {
        let labels: BTreeMap<String, String> =
            labels.into_iter().map(|(name, value)| (name, value.replace('$', ""))).collect();
        let lines: String = labels
            .iter()
            .map(|(name, value)| format!("    '{name}': '{}'\n", value.replace('\'', "''")))
            .collect();
        let file = parse(&format!("global:\n  external_labels:\n{lines}")).unwrap();
        prop_assert_eq!(file.global.external_labels, labels);
    }

    #[test]
    fn any_text_is_accepted_or_has_a_valid_position(
        text in r"((global|storage|tsdb|external_labels|retention|&a|\*a|<<|x|1|[-:{}\[\],'#|?!~%] ?|\n *)){0,40}",
    ) {
        if let Err(ConfigProblem { position: Some(position), .. }) = parse(&text) {
            let lines = text.lines().count() as u64;
            prop_assert!((1..=lines + 1).contains(&position.line) && position.column >= 1);
        }
    }
}
