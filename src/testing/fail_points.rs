//! Arming of fail points: actions at the calls of [`fail_point::hit`].
//!
//! Tests arm fail points of their own process with [`arm_from_spec`]. The program arms those in the
//! environment variable `NARTHEX_FAULT_POINTS` once at startup:
//!
//! ```text
//! wal.segment_roll=pause:/tmp/reached;replay.record@500=exit
//! └── point ─────┘ └─ action ───────┘ └── point ──┘└ at the 500th hit
//! ```
//!
//! # Actions
//! | action | effect, once per armed point |
//! |---|---|
//! | `pause:FILE` | creates the file and blocks the thread until the file is removed |
//! | `exit` | ends the process at once with status 86 |
//! | `panic` | panics |
//! | `count` | none |
//!
//! Hits of all points are counted as soon as one point is armed. Tests that arm fail points in
//! their own process need a separate test binary.

use crate::tsdb::fs::fail_point;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::Duration;

/// Environment variable with the fail points to arm.
pub const ENV_VAR: &str = "NARTHEX_FAULT_POINTS";

/// Exit status of the action `exit`.
pub const EXIT_CODE: i32 = 86;

/// Names of all fail points.
pub const ALL: [&str; 25] = [
    "wal.segment_roll",
    "wal.before_write",
    "wal.unfinished_write",
    "wal.after_write",
    "head.chunk_cut",
    "head_chunks.write",
    "replay.record",
    "replay.late_record",
    "replay.repair",
    "block.write",
    "block.before_rename",
    "block.after_rename",
    "tombstones.write",
    "compact.write",
    "compact.before_delete",
    "retention.delete",
    "checkpoint.write",
    "checkpoint.before_rename",
    "checkpoint.after_rename",
    "wal.truncate",
    "head.before_truncate",
    "ooo.before_block",
    "ooo.after_block",
    "ooo.before_wbl_truncate",
    "snapshot.write",
];

static POINTS: OnceLock<FailPoints> = OnceLock::new();

/// Error of parsing a fail-point specification.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArmError {
    /// The name is not in [`ALL`].
    #[error("unknown fail point {0:?}")]
    UnknownPoint(String),
    /// The entry is not `name=action` or `name@hit=action`.
    #[error("invalid fail point setting {0:?}")]
    InvalidSpec(String),
}

/// Arms the fail points of `spec` (format: module documentation). An empty specification arms none.
///
/// # Errors
/// [`ArmError`] if the specification is invalid. Then nothing is armed.
pub fn arm_from_spec(spec: &str) -> Result<(), ArmError> {
    if registry().arm(spec)? {
        fail_point::set_handler(|name| registry().record_hit(name));
    }
    Ok(())
}

/// Arms the fail points of the environment variable [`ENV_VAR`], if it is set.
///
/// # Errors
/// [`ArmError`] if its value is invalid. Then nothing is armed.
pub fn arm_from_env() -> Result<(), ArmError> {
    std::env::var(ENV_VAR).map_or(Ok(()), |spec| arm_from_spec(&spec))
}

/// Number of hits of a fail point since the first one was armed; 0 for an unknown name.
#[must_use]
pub fn hits(name: &str) -> u64 {
    registry().hits(name)
}

fn registry() -> &'static FailPoints {
    POINTS.get_or_init(FailPoints::default)
}

#[derive(Debug, Default)]
struct FailPoints {
    hits: [AtomicU64; ALL.len()],
    armed: RwLock<Vec<ArmedPoint>>,
}

#[derive(Clone, Debug)]
struct ArmedPoint {
    point: usize,
    /// Ordinal of the hit that fires, counted from 1.
    at: u64,
    action: FailAction,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum FailAction {
    Count,
    Exit,
    Panic,
    Pause(PathBuf),
}

impl FailPoints {
    fn arm(&self, spec: &str) -> Result<bool, ArmError> {
        let settings = spec.split(';').map(str::trim).filter(|setting| !setting.is_empty());
        let armed = settings.map(parse).collect::<Result<Vec<_>, _>>()?;
        let has_points = !armed.is_empty();
        self.armed.write().unwrap_or_else(PoisonError::into_inner).extend(armed);
        Ok(has_points)
    }

    fn record_hit(&self, name: &str) {
        let Some(point) = index_of(name) else { return };
        let hit = self.hits[point].fetch_add(1, Ordering::Relaxed) + 1;
        let armed = self.armed.read().unwrap_or_else(PoisonError::into_inner);
        let action = armed
            .iter()
            .find(|armed| armed.point == point && armed.at == hit)
            .map(|armed| armed.action.clone());
        drop(armed);
        match action {
            None | Some(FailAction::Count) => {}
            Some(FailAction::Exit) => std::process::exit(EXIT_CODE),
            Some(FailAction::Panic) => panic!("fail point {name}"),
            Some(FailAction::Pause(marker)) => pause(&marker),
        }
    }

    fn hits(&self, name: &str) -> u64 {
        index_of(name).map_or(0, |point| self.hits[point].load(Ordering::Relaxed))
    }
}

fn index_of(name: &str) -> Option<usize> {
    ALL.iter().position(|known| *known == name)
}

fn parse(setting: &str) -> Result<ArmedPoint, ArmError> {
    let invalid = || ArmError::InvalidSpec(setting.to_owned());
    let (point, action) = setting.split_once('=').ok_or_else(invalid)?;
    let (name, at) = match point.split_once('@') {
        Some((name, at)) => (name, at.parse().ok().filter(|at| *at > 0).ok_or_else(invalid)?),
        None => (point, 1),
    };
    let point = index_of(name).ok_or_else(|| ArmError::UnknownPoint(name.to_owned()))?;
    let action = match action.split_once(':') {
        None if action == "exit" => FailAction::Exit,
        None if action == "count" => FailAction::Count,
        None if action == "panic" => FailAction::Panic,
        Some(("pause", marker)) if !marker.is_empty() => FailAction::Pause(PathBuf::from(marker)),
        _ => return Err(invalid()),
    };
    Ok(ArmedPoint { point, at, action })
}

fn pause(marker: &std::path::Path) {
    if let Err(error) = std::fs::write(marker, b"") {
        tracing::error!(marker = %marker.display(), %error, "cannot create marker of fail point");
        return;
    }
    while marker.exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, ArmError, FailAction, FailPoints, parse};
    use std::time::Duration;

    #[test]
    fn invalid_settings_are_rejected_by_name() {
        let armed = parse("wal.segment_roll@3=pause:/a:b").unwrap();
        assert_eq!((ALL[armed.point], armed.at), ("wal.segment_roll", 3));
        assert_eq!(armed.action, FailAction::Pause("/a:b".into()));
        assert_eq!(parse("replay.record=exit").unwrap().action, FailAction::Exit);
        assert_eq!(parse("replay.record=panic").unwrap().action, FailAction::Panic);
        assert_eq!(parse("wal=exit").unwrap_err(), ArmError::UnknownPoint("wal".into()));
        for invalid in [
            "wal.segment_roll",
            "wal.segment_roll=",
            "wal.segment_roll=pause:",
            "wal.segment_roll@0=exit",
        ] {
            assert_eq!(parse(invalid).unwrap_err(), ArmError::InvalidSpec(invalid.into()));
        }
        let points = FailPoints::default();
        assert_eq!(points.arm(" ; "), Ok(false));
        assert!(points.arm("wal.before_write=count;nothing=exit").is_err());
    }

    #[test]
    fn pause_blocks_until_marker_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let marker = dir.path().join("marker");
        let points = FailPoints::default();
        points.arm(&format!("head.chunk_cut@2=pause:{}", marker.display())).unwrap();
        points.record_hit("head.chunk_cut");
        assert!(!marker.exists());
        std::thread::scope(|scope| {
            let held = scope.spawn(|| points.record_hit("head.chunk_cut"));
            while !marker.exists() {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert!(!held.is_finished());
            std::fs::remove_file(&marker).unwrap();
            held.join().unwrap();
        });
        points.record_hit("head.chunk_cut");
        assert_eq!(
            (points.hits("head.chunk_cut"), points.hits("replay.record"), points.hits("none")),
            (3, 0, 0)
        );
    }
}
