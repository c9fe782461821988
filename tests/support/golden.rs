//! Golden directories: data written by Prometheus 3.14.0, and the samples that it reads from them.
//!
//! `tests/golden/README.md` describes the files.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;

use super::points::{PlainHistogram, PointValue, Points};
use super::samples::{LabelSet, Samples};

/// File with the samples that Prometheus reads from a case.
const EXPECTED: &str = "expected.txt.gz";

/// Directory of a case.
pub(crate) fn folder(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(case)
}

/// Unpacks the data directory of a case below `place`. Returns its path.
pub(crate) fn unpack(case: &str, place: &Path) -> PathBuf {
    tar::Archive::new(open_gz(&folder(case).join("data.tar.gz")))
        .unpack(place)
        .expect("the archive unpacks");
    place.join("data")
}

/// Reads a file of a case, which may be compressed with suffix `.gz`.
pub(crate) fn text(case: &str, name: &str) -> String {
    let path = folder(case).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|_| {
        let mut text = String::new();
        let packed = folder(case).join(format!("{name}.gz"));
        open_gz(&packed).read_to_string(&mut text).expect("the file unpacks");
        text
    })
}

/// Returns the float samples that Prometheus 3.14.0 reads from a case.
pub(crate) fn expected_floats(case: &str) -> Samples {
    let mut samples = Samples::new();
    each_float(case, |labels, t, value| {
        let hex = value["v"].as_str().expect("a value is a string");
        samples.add(labels, t, u64::from_str_radix(hex, 16).expect("a value is hex"));
    });
    assert!(samples.count() > 0, "{case} has no float sample");
    samples
}

/// Returns the samples of all types that Prometheus 3.14.0 reads from a case.
pub(crate) fn expected(case: &str) -> Points {
    expected_in(case, EXPECTED)
}

/// Returns the samples of all types in a file of a case.
pub(crate) fn expected_in(case: &str, file: &str) -> Points {
    let mut points = Points::new();
    each_in(case, file, |labels, t, value| {
        let value = match value.get("h") {
            Some(histogram) => {
                PointValue::Histogram(Box::new(PlainHistogram::from_golden(histogram)))
            }
            None => {
                let hex = value["v"].as_str().expect("a value is a string");
                PointValue::Float(u64::from_str_radix(hex, 16).expect("a value is hex"))
            }
        };
        points.add(labels, t, value);
    });
    assert!(points.count() > 0, "{case} has no sample");
    points
}

/// Returns the start timestamps of float samples, as `u64` in place of the value bits.
pub(crate) fn expected_starts(case: &str) -> Samples {
    let mut starts = Samples::new();
    each_float(case, |labels, t, value| {
        if let Some(start) = value.get("st") {
            starts.add(labels, t, start.as_i64().expect("a start time is a number") as u64);
        }
    });
    starts
}

/// Returns the start timestamps of samples of all types.
pub(crate) fn expected_starts_of_every_kind(case: &str) -> Samples {
    let mut starts = Samples::new();
    each(case, |labels, t, value| {
        if let Some(start) = value.get("st") {
            starts.add(labels, t, start.as_i64().expect("a start time is a number") as u64);
        }
    });
    starts
}

/// Calls `show` with labels, timestamp and value of every float sample.
fn each_float(case: &str, mut show: impl FnMut(&LabelSet, i64, &Value)) {
    each(case, |labels, t, value| {
        if value.get("v").is_some() {
            show(labels, t, value);
        }
    });
}

/// Calls `show` with labels, timestamp and value of every sample.
fn each(case: &str, show: impl FnMut(&LabelSet, i64, &Value)) {
    each_in(case, EXPECTED, show);
}

fn each_in(case: &str, file: &str, mut show: impl FnMut(&LabelSet, i64, &Value)) {
    let mut labels = LabelSet::new();
    for line in BufReader::new(open_gz(&folder(case).join(file))).lines() {
        let line = line.expect("the file unpacks");
        let value: Value = serde_json::from_str(&line).expect("a line is a JSON object");
        if let Some(given) = value.get("labels") {
            labels = given.as_object().expect("labels are an object").iter().map(label).collect();
            labels.sort();
        } else {
            show(&labels, value["t"].as_i64().expect("a time is a number"), &value);
        }
    }
}

fn label((name, value): (&String, &Value)) -> (String, String) {
    (name.clone(), value.as_str().expect("a label's value is a string").to_owned())
}

fn open_gz(path: &Path) -> GzDecoder<File> {
    GzDecoder::new(File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}
