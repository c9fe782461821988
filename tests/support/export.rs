//! narthex's `/api/v1/export` with `values=bits`: samples as JSON lines, every value as its 64 bits.

use serde_json::Value;

use super::http::Http;
use super::samples::{LabelSet, Samples};

/// Everything that has a metric name.
pub(crate) fn export_all(http: &Http) -> Samples {
    // {__name__=~".+"}
    let answer = http.get("/api/v1/export?values=bits&match[]=%7B__name__%3D~%22.%2B%22%7D");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut samples = Samples::new();
    for line in answer.text().lines() {
        let line: Value = serde_json::from_str(line).expect("a line is JSON");
        let metric = line["metric"].as_object().expect("a metric is an object");
        let mut labels: LabelSet = metric
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().expect("a label's value").to_owned()))
            .collect();
        labels.sort();
        let list = |name: &str| line[name].as_array().unwrap_or_else(|| panic!("no {name} in {line}"));
        let (times, values) = (list("timestamps"), list("values"));
        assert_eq!(times.len(), values.len(), "as many times as values");
        for (t, value) in times.iter().zip(values) {
            let bits = u64::from_str_radix(value.as_str().expect("bits are text"), 16).expect("bits are hexadecimal");
            samples.add(&labels, t.as_i64().expect("a time is a number"), bits);
        }
    }
    samples
}
