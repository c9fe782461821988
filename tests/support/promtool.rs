//! promtool: lists, checks and creates blocks (`promtool tsdb`), and checks metrics (`promtool
//! check metrics`).

use std::fmt::Write;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::blocks::{self, Block};
use super::dir::copy_to_temp;
use super::samples::{LabelSet, Samples};

/// Asserts that promtool lists every block of a copy like its `meta.json` and reads all chunks.
pub(crate) fn assert_agrees_on_blocks(data: &Path, what: &str) {
    let copy = copy_to_temp(data);
    let expected = blocks::blocks(copy.path());
    assert!(!expected.is_empty(), "{what}: there are no blocks");
    assert_lists(copy.path(), &expected, what);
    for block in &expected {
        let report = run(Command::new("promtool")
            .args(["tsdb", "analyze", "--extended"])
            .arg(copy.path())
            .arg(&block.ulid));
        let series = format!("Series: {}\n", block.stat("numSeries"));
        assert!(report.contains(&series) && report.contains(&block.ulid), "{what}: {report}");
    }
}

fn assert_lists(data: &Path, expected: &[Block], what: &str) {
    let listed = run(Command::new("promtool").args(["tsdb", "list"]).arg(data));
    let lines: Vec<Vec<&str>> =
        listed.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines.len(), expected.len(), "{what}: {listed}");
    for block in expected {
        let line = lines
            .iter()
            .find(|line| line[0] == block.ulid)
            .unwrap_or_else(|| panic!("{what}: {listed}"));
        let numbers = [
            block.begin().to_string(),
            block.end().to_string(),
            block.stat("numSamples").to_string(),
            block.stat("numChunks").to_string(),
            block.stat("numSeries").to_string(),
        ];
        assert_eq!(
            [line[1], line[2], line[4], line[5], line[6]],
            numbers.each_ref().map(String::as_str),
            "{what}"
        );
    }
}

/// Creates two-hour blocks of samples in a directory.
pub(crate) fn create_blocks(samples: &Samples, folder: &Path) {
    std::fs::create_dir_all(folder).expect("a directory can be made");
    let file = folder.with_extension("openmetrics");
    std::fs::write(&file, openmetrics(samples)).expect("a file can be written");
    run(Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .arg(&file)
        .arg(folder));
}

/// Formats samples as OpenMetrics text, by time within a series.
fn openmetrics(samples: &Samples) -> String {
    let mut text = String::new();
    for (labels, t, bits) in samples.iter() {
        let (seconds, rest) = (t.div_euclid(1000), t.rem_euclid(1000));
        let line =
            writeln!(text, "{} {} {seconds}.{rest:03}", selector(labels), f64::from_bits(bits));
        line.expect("a string can be written to");
    }
    text + "# EOF\n"
}

/// Returns a selector with all labels of a series.
pub(crate) fn selector(labels: &LabelSet) -> String {
    let name =
        labels.iter().find(|(name, _)| name == "__name__").map_or("", |(_, value)| value.as_str());
    let others = labels.iter().filter(|(name, _)| name != "__name__");
    let quoted =
        |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs: Vec<String> =
        others.map(|(name, value)| format!("{name}=\"{}\"", quoted(value))).collect();
    format!("{name}{{{}}}", pairs.join(","))
}

/// Complaint about a metric name that is Prometheus's own.
const OWN_NAME_COMPLAINT: &str = "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total metric name should not \
     include type 'histogram'";

/// Asserts that `promtool check metrics` has no other complaint.
pub(crate) fn assert_accepts_metrics(metrics: &str) {
    let mut command = Command::new("promtool");
    command
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut checking = command.spawn().expect("promtool runs");
    let mut input = checking.stdin.take().expect("stdin is piped");
    input.write_all(metrics.as_bytes()).expect("promtool reads its input");
    drop(input);
    let output = checking.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let complaints: Vec<&str> =
        said.lines().filter(|line| !line.is_empty() && *line != OWN_NAME_COMPLAINT).collect();
    assert!(complaints.is_empty(), "{command:?}: {} {complaints:?}", output.status);
    assert!(output.status.success() || !said.is_empty(), "{command:?}: {}", output.status);
}

/// Runs a command, which must succeed. Returns its output.
fn run(command: &mut Command) -> String {
    let output = command.output().expect("promtool runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {} {text} {errors}", output.status);
    text
}
