//! Fail points: places at which a test can stop or end the whole process.
//!
//! A point is a line in the engine, `fault::hit("wal.segment_roll")`. While nothing is armed it costs one relaxed atomic load.
//! Armed from text, which the program takes from the environment variable `NARTHEX_FAULT_POINTS` once at its start:
//!
//! ```text
//! wal.segment_roll=pause:/tmp/reached;replay.record@500=exit
//! └── point ─────┘ └─ action ───────┘ └── point ──┘└ at the 500th time
//! ```
//!
//! `pause:FILE` creates the file and holds the thread until the file is removed, if ever; `exit` ends the process at once
//! with code 86; `panic` panics. Each fires once. `count` does nothing: the point is only counted.
//! Hits of all points are counted from the
//! moment anything is armed, so that a test can see that none is dead.
//!
//! Only for tests, of which those that arm the points of their own process need a binary of their own.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::Duration;

/// The variable from which the program arms its points.
pub const ENV_VAR: &str = "NARTHEX_FAULT_POINTS";

/// The exit code of a process that ended at a point.
pub const EXIT_CODE: i32 = 86;

/// All points, by name.
pub const ALL: [&str; 24] = [
    "wal.segment_roll",
    "wal.before_write",
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

static ARMED: AtomicBool = AtomicBool::new(false);
static POINTS: OnceLock<FailPoints> = OnceLock::new();

/// Text that arms nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArmError {
    /// No point has this name.
    #[error("unknown fail point {0:?}")]
    UnknownPoint(String),
    /// What stands there is not `name=action` or `name@index_of=action`.
    #[error("bad fail point setting {0:?}")]
    InvalidSpec(String),
}

/// Marks a place. The name is one of [`ALL`].
#[inline]
pub fn hit(name: &'static str) {
    if ARMED.load(Ordering::Relaxed) {
        registry().record_hit(name);
    }
}

/// Arms points; see the module's doc for the text. An empty text arms nothing.
///
/// # Errors
/// [`ArmError`] where the text is wrong; then nothing is armed.
pub fn arm_from_spec(text: &str) -> Result<(), ArmError> {
    if registry().arm(text)? {
        ARMED.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// How often a point was reached since anything was first armed.
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
    /// Fires at the hit of this number, counted from 1.
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
    fn arm(&self, text: &str) -> Result<bool, ArmError> {
        let settings = text.split(';').map(str::trim).filter(|setting| !setting.is_empty());
        let armed = settings.map(parse).collect::<Result<Vec<_>, _>>()?;
        let any = !armed.is_empty();
        self.armed.write().unwrap_or_else(PoisonError::into_inner).extend(armed);
        Ok(any)
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
    let bad = || ArmError::InvalidSpec(setting.to_owned());
    let (place, action) = setting.split_once('=').ok_or_else(bad)?;
    let (name, at) = match place.split_once('@') {
        Some((name, at)) => (name, at.parse().ok().filter(|at| *at > 0).ok_or_else(bad)?),
        None => (place, 1),
    };
    let point = index_of(name).ok_or_else(|| ArmError::UnknownPoint(name.to_owned()))?;
    let action = match action.split_once(':') {
        None if action == "exit" => FailAction::Exit,
        None if action == "count" => FailAction::Count,
        None if action == "panic" => FailAction::Panic,
        Some(("pause", marker)) if !marker.is_empty() => FailAction::Pause(PathBuf::from(marker)),
        _ => return Err(bad()),
    };
    Ok(ArmedPoint { point, at, action })
}

fn pause(marker: &std::path::Path) {
    if let Err(error) = std::fs::write(marker, b"") {
        tracing::error!(marker = %marker.display(), %error, "fail point can't create its marker");
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
    fn settings_are_parsed_and_wrong_ones_named() {
        let armed = parse("wal.segment_roll@3=pause:/a:b").unwrap();
        assert_eq!((ALL[armed.point], armed.at), ("wal.segment_roll", 3));
        assert_eq!(armed.action, FailAction::Pause("/a:b".into()));
        assert_eq!(parse("replay.record=exit").unwrap().action, FailAction::Exit);
        assert_eq!(parse("replay.record=panic").unwrap().action, FailAction::Panic);
        assert_eq!(parse("wal=exit").unwrap_err(), ArmError::UnknownPoint("wal".into()));
        for bad in [
            "wal.segment_roll",
            "wal.segment_roll=",
            "wal.segment_roll=pause:",
            "wal.segment_roll@0=exit",
        ] {
            assert_eq!(parse(bad).unwrap_err(), ArmError::InvalidSpec(bad.into()));
        }
        let points = FailPoints::default();
        assert_eq!(points.arm(" ; "), Ok(false));
        assert!(points.arm("wal.before_write=count;nothing=exit").is_err());
    }

    #[test]
    fn a_pause_holds_its_thread_at_the_right_time_until_the_marker_is_gone() {
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
