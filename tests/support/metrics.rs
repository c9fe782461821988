//! Parser of `/metrics`.

use super::http::Http;

/// Response of `/metrics` in text format.
pub(crate) struct Metrics {
    text: String,
}

impl Metrics {
    /// Reads the current metrics of a server.
    pub(crate) fn of(http: &Http) -> Metrics {
        let answer = http.get("/metrics");
        assert_eq!(answer.status, 200, "/metrics");
        Metrics { text: answer.text() }
    }

    /// Sum over all label sets of a metric; `None` if it is absent.
    pub(crate) fn sum(&self, name: &str) -> Option<f64> {
        self.sum_where(name, "")
    }

    /// Sum over the label sets that contain a string such as `reason="x"`.
    pub(crate) fn sum_where(&self, name: &str, labels: &str) -> Option<f64> {
        let values: Vec<f64> = self
            .text
            .lines()
            .filter_map(|line| {
                let rest = line.strip_prefix(name)?;
                let (found, value) = if let Some(rest) = rest.strip_prefix('{') {
                    rest.rsplit_once("} ")?
                } else {
                    ("", rest.strip_prefix(' ')?)
                };
                let number = value.split(' ').next()?;
                found
                    .contains(labels)
                    .then(|| number.parse().expect("a metric's value is a number"))
            })
            .collect();
        if values.is_empty() { None } else { Some(values.iter().sum()) }
    }
}
