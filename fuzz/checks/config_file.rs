//! Configuration file: arbitrary text is rejected at a position, or its effective configuration
//! parses to the same settings.

use narthex::config::effective::to_yaml;
use narthex::config::file;
use narthex::config::file::contents::ConfigFile;
use narthex::config::file::options::LoadOptions;
use narthex::config::flag_values;
use narthex::config::flags::Command;
use narthex::config::flags::storage::StorageFlags;
use narthex::config::settings;
use narthex::config::yaml::error::ConfigProblem;
use narthex::tsdb::db::settings::Settings;
use std::path::Path;
use std::sync::LazyLock;

/// Panics if a problem has no position within the text, or if a file does not survive a rewrite.
pub(crate) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let parse = |text: &str| {
        let options = LoadOptions::new(false);
        file::parse(text, Path::new(""), options, &|_| None)
    };
    let (file, problems) = parse(&text);
    // Other problems are in files of this machine that the text includes.
    for problem in problems.iter().filter(|problem| problem.path.as_os_str().is_empty()) {
        assert_position(&text, &problem.problem);
    }
    if !problems.is_empty() {
        return;
    }
    let settings = effective(&file);
    // The parser expands variables again.
    let escape = |value: &String| value.replace('$', "$$");
    let labels = &file.global.external_labels;
    let escaped = labels.iter().map(|(name, value)| (name.clone(), escape(value)));
    let mut shown = file.clone();
    shown.global.external_labels = escaped.collect();
    let yaml = to_yaml(&shown, &settings).expect("valid YAML");
    let (reparsed, problems) = parse(&yaml);
    assert_eq!(problems, [], "{yaml}");
    assert_eq!(&reparsed.global.external_labels, labels, "{yaml}");
    assert_eq!(reparsed.scrape.jobs, file.scrape.jobs, "{yaml}");
    let mut rewritten = effective(&reparsed);
    // The rewritten file has a retention, which makes it a configured one.
    rewritten.retention.origin = settings.retention.origin;
    assert_eq!(rewritten.out_of_order_window_ms, settings.out_of_order_window_ms);
    assert_eq!(rewritten.float_encoding, settings.float_encoding);
    assert_eq!(rewritten.max_exemplars, settings.max_exemplars);
}

/// Asserts that a problem has a message, and no position outside of the text. In YAML, a carriage
/// return ends a line, too.
pub(super) fn assert_position(text: &str, problem: &ConfigProblem) {
    assert!(!problem.message.is_empty());
    if let Some(position) = problem.position {
        let lines = text.matches(['\n', '\r']).count() as u64 + 1;
        assert!((1..=lines).contains(&position.line), "{problem:?}");
        assert!(position.column >= 1, "{problem:?}");
    }
}

static FLAGS: LazyLock<StorageFlags> = LazyLock::new(|| {
    let line = ["narthex", "serve"].map(Into::into);
    let cli = flag_values::parse(line).expect("the defaults are valid");
    let Command::Serve(flags) = cli.command else { unreachable!() };
    flags.storage
});

fn effective(file: &ConfigFile) -> Settings {
    settings::at_start(&FLAGS, file)
}
