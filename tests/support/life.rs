//! Database in the test's own process across restarts, with a model of its contents.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use super::engine::{Stored, everything};
use narthex::model::float_sample::FloatSample;
use narthex::model::labels::{Labels, LabelsBuilder};
use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::time::TimeRange;
use narthex::tsdb::block::open::Block;
use narthex::tsdb::db::Db;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::DbOptions;
use narthex::tsdb::db::recovery::Recovered;
use narthex::tsdb::db::settings::{RetentionOrigin, RetentionSettings};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const BEGIN: i64 = 1_762_300_800_000;

/// Retention that deletes nothing.
pub(crate) const FOREVER: RetentionSettings = RetentionSettings {
    time_ms: 0,
    bytes: 0,
    percentage: 0.0,
    origin: RetentionOrigin::Configured,
};

/// Data directory with an open database and the model.
pub(crate) struct Life {
    place: TempDir,
    options: DbOptions,
    db: Option<Db>,
    pub(crate) model: Stored,
}

impl Life {
    /// Creates a database with small segments and changed options.
    pub(crate) fn new(change: impl FnOnce(&mut DbOptions)) -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut options = DbOptions::new(place.path().join("data"));
        options.wal_segment_size = 32 * 1024;
        options.settings.retention = FOREVER;
        change(&mut options);
        let mut own = Self { place, options, db: None, model: Stored::new() };
        own.start();
        own
    }

    pub(crate) fn db(&self) -> &Db {
        self.db.as_ref().unwrap()
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.options.dir
    }

    /// Returns a path next to the data directory.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Closes the database without a clean shutdown.
    pub(crate) fn end(&mut self) {
        self.db = None;
    }

    pub(crate) fn start(&mut self) {
        let Recovered { db, report } =
            LockedDir::open(self.options.clone()).unwrap().into_recovery().run().unwrap();
        assert_eq!(
            report.replay.unknown_refs, 0,
            "the log has samples of series that it does not name"
        );
        self.db = Some(db);
    }

    /// Restarts twice: without and with a clean shutdown.
    pub(crate) fn restart(&mut self) {
        self.end();
        self.start();
        self.check("after a crash");
        self.db().close().unwrap();
        self.end();
        self.start();
        self.check("after a stop");
    }

    /// Restarts with changed options.
    pub(crate) fn restart_with(&mut self, change: impl FnOnce(&mut DbOptions)) {
        change(&mut self.options);
        self.end();
        self.start();
    }

    pub(crate) fn maintain(&self) {
        self.db().maintenance().run_once(BEGIN + 1000 * HOUR).unwrap();
    }

    /// Appends a sample, which must be accepted.
    pub(crate) fn put_one(&mut self, name: &str, t: i64, v: f64) {
        self.put_value(&[name], std::iter::once(t), v);
    }

    /// Appends a sample per series and timestamp.
    pub(crate) fn put(&mut self, names: &[&str], times: impl IntoIterator<Item = i64>) {
        for t in times {
            self.put_value(names, std::iter::once(t), (t / 7) as f64 / 3.0);
        }
    }

    fn put_value(&mut self, names: &[&str], times: impl Iterator<Item = i64>, v: f64) {
        for t in times {
            let mut appender = self.db.as_ref().unwrap().appender().unwrap();
            for name in names {
                let labels = labels(name);
                let reject = |sample, why| panic!("{name}: {sample:?} {why:?}");
                appender
                    .append_or_create(
                        &labels,
                        std::iter::once(FloatSample::new(t, v).into()),
                        reject,
                    )
                    .unwrap();
                self.model.entry(labels.to_string()).or_default().push((t, v.to_bits()));
            }
            appender.commit().unwrap();
        }
    }

    /// Deletes the samples of the series in the range.
    pub(crate) fn delete(&mut self, name: &str, range: TimeRange) {
        self.db().admin().delete(&[vec![named(name)]], range).unwrap();
        let key = labels(name).to_string();
        if let Some(samples) = self.model.get_mut(&key) {
            samples.retain(|(t, _)| !range.contains(*t));
        }
        self.model.retain(|_, samples| !samples.is_empty());
    }

    /// Removes samples before `t` from the model.
    pub(crate) fn forget_before(&mut self, t: i64) {
        self.model.values_mut().for_each(|samples| samples.retain(|(at, _)| *at >= t));
        self.model.retain(|_, samples| !samples.is_empty());
    }

    /// Asserts that the database contents equal the model.
    pub(crate) fn check(&self, when: &str) {
        let found = everything(self.db());
        let names = |stored: &Stored| stored.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&found), names(&self.model), "series, {when}");
        for (series, samples) in &self.model {
            let there = &found[series];
            let at = there.iter().zip(samples).position(|(a, b)| a != b);
            assert!(
                at.is_none() && there.len() == samples.len(),
                "{series}: {} samples instead of {}, the first difference at {at:?}, {when}",
                there.len(),
                samples.len()
            );
        }
    }

    /// Returns the blocks by minimum time.
    pub(crate) fn blocks(&self) -> Vec<Arc<Block>> {
        self.db().blocks().to_vec()
    }

    /// Number of the newest checkpoint.
    pub(crate) fn checkpoint(&self) -> Option<u32> {
        let entries = std::fs::read_dir(self.dir().join("wal")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter_map(|name| {
                name.strip_prefix("checkpoint.").and_then(|number| number.parse().ok())
            })
            .max()
    }
}

/// Returns the labels `{__name__=name, only=name}`.
pub(crate) fn labels(name: &str) -> Labels {
    LabelsBuilder::from_iter([("__name__", name), ("only", name)]).build().unwrap()
}

pub(crate) fn named(name: &str) -> Matcher {
    Matcher::new(MatchType::Equal, "__name__", name).unwrap()
}

/// Returns every minute of the range.
pub(crate) fn minutes(from: i64, to: i64) -> impl Iterator<Item = i64> {
    (from..to).step_by(MINUTE as usize)
}

/// Corrupts the middle of the first chunk of a block.
pub(crate) fn damage_chunk(block: &Path) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(block.join("chunks/000001"))
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 40).unwrap();
    file.write_all_at(&[byte[0] ^ 4], 40).unwrap();
}

/// Copies a directory recursively.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Total size of the files below a directory, bytes.
pub(crate) fn size_of(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap();
    let sizes = entries.map(|entry| {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            size_of(&entry.path())
        } else {
            entry.metadata().unwrap().len()
        }
    });
    sizes.sum()
}
