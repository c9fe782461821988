//! Series for benchmarks of the engine: 500 metrics and 20 jobs, 500 series per host.

use narthex::model::float_sample::FloatSample;
use narthex::model::labels::{Labels, LabelsBuilder};
use narthex::model::sample::Sample;
use narthex::tsdb::db::Db;
use std::ops::Range;

/// Returns the labels of a series. `state` is a part of its host and id.
fn labels(state: &str, series: usize) -> Labels {
    let (name, job) = (format!("metric_{}", series % 500), format!("job_{}", series % 20));
    let (host, id) = (format!("{state}_{}", series / 500), format!("{state}-{series:07}"));
    let pairs = [
        ("__name__", name.as_str()),
        ("cluster", "eu-1"),
        ("host", &host),
        ("id", &id),
        ("job", &job),
    ];
    LabelsBuilder::from_iter(pairs).build().expect("valid labels")
}

/// Appends one sample at `t` to each series, and commits.
pub(crate) fn append(db: &Db, state: &str, series: Range<usize>, t: i64) {
    let mut appender = db.appender().expect("a writable database");
    for series in series {
        let labels = labels(state, series);
        let samples = || std::iter::once(Sample::from(FloatSample::new(t, series as f64)));
        let known =
            appender.append_existing(labels.as_bytes(), samples(), |_, why| panic!("{why:?}"));
        if known.is_none() {
            appender
                .append_or_create(&labels, samples(), |_, why| panic!("{why:?}"))
                .expect("cannot append series");
        }
    }
    appender.commit().expect("cannot commit");
}
