//! Exact samples of all types from `/api/v1/export?values=bits`.

use serde_json::Value;

use super::http::Http;
use super::points::{PlainHistogram, PointValue, Points};
use super::samples::{LabelSet, Samples};

/// Exports the float samples of all series with a metric name.
pub(crate) fn export_all(http: &Http) -> Samples {
    export_points(http).floats()
}

/// Exports the samples of all series with a metric name.
pub(crate) fn export_points(http: &Http) -> Points {
    points_of_lines(export_lines(http))
}

/// Number of values in all lines of the export, including duplicates.
pub(crate) fn exported_values(http: &Http) -> usize {
    let count = |line: &Value, kind: &str| line[kind].as_array().map_or(0, Vec::len);
    export_lines(http).iter().map(|line| count(line, "values") + count(line, "histograms")).sum()
}

/// Returns the export lines of all series with a metric name.
pub(crate) fn export_lines(http: &Http) -> Vec<Value> {
    // {__name__=~".+"}
    let answer = http.get("/api/v1/export?values=bits&match[]=%7B__name__%3D~%22.%2B%22%7D");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text().lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

pub(crate) fn points_of_lines(lines: impl IntoIterator<Item = Value>) -> Points {
    let mut points = Points::new();
    for line in lines {
        let metric = line["metric"].as_object().expect("a metric is an object");
        let mut labels: LabelSet = metric
            .iter()
            .map(|(name, value)| {
                (name.clone(), value.as_str().expect("a label's value").to_owned())
            })
            .collect();
        labels.sort();
        for (t, value) in timed(&line, "values", "timestamps") {
            let bits = u64::from_str_radix(value.as_str().expect("bits are text"), 16)
                .expect("bits are hexadecimal");
            points.add(&labels, t, PointValue::Float(bits));
        }
        if line.get("histograms").is_some() {
            for (t, value) in timed(&line, "histograms", "histogram_timestamps") {
                points.add(
                    &labels,
                    t,
                    PointValue::Histogram(Box::new(PlainHistogram::from_golden(value))),
                );
            }
        }
    }
    points
}

/// Pairs the values of a list with their timestamps.
fn timed<'a>(line: &'a Value, values: &str, times: &str) -> impl Iterator<Item = (i64, &'a Value)> {
    let list = |name: &str| line[name].as_array().unwrap_or_else(|| panic!("no {name} in {line}"));
    let (times, values) = (list(times), list(values));
    assert_eq!(times.len(), values.len(), "as many times as values");
    times.iter().map(|t| t.as_i64().expect("a time is a number")).zip(values)
}
