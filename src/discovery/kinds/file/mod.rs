//! File discovery: groups in JSON and YAML files.
//!
//! # Changes
//! The directories of the files are watched, not the files: editors and Kubernetes replace files
//! and links. After any event, and at every refresh interval, all files are read; those with equal
//! content are skipped. A watch that cannot be created is tried again at the next scan, and without
//! a watcher the files are read more often.
//!
//! | module | content |
//! |---|---|
//! | `scanner` | files of a provider |

mod scanner;

use crate::config::file::discovery::file::FileSdConfig;
use crate::discovery::groups::sink::GroupSink;
use crate::discovery::kinds::StartProvider;
use crate::discovery::kinds::file::scanner::Scanner;
use crate::discovery::metrics::FileMetrics;
use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, sleep};

/// Time that merges a burst of events.
const BURST: Duration = Duration::from_millis(50);
/// Maximum time between two scans without a watcher.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

/// Returns a provider of the groups in the files.
pub(super) fn provider(config: &FileSdConfig, metrics: FileMetrics) -> StartProvider {
    let FileSdConfig { files, refresh_interval } = config.clone();
    Box::new(move |sink| {
        let scanner = Scanner::new(files, metrics.clone());
        Box::pin(run(scanner, refresh_interval, metrics, sink))
    })
}

async fn run(scanner: Scanner, interval: Duration, metrics: FileMetrics, sink: GroupSink) {
    let events = Arc::new(Notify::new());
    let mut watches = Watches::new(&events, &metrics);
    let interval = if watches.is_none() { interval.min(POLL_INTERVAL) } else { interval };
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut scanner = Some(scanner);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = events.notified() => sleep(BURST).await,
        }
        let (Some(mut scanning), mut watching) = (scanner.take(), watches.take()) else { return };
        let metrics = metrics.clone();
        let scan = tokio::task::spawn_blocking(move || {
            let start = Instant::now();
            // Watches come first, so that no change between a read and its watch is missed.
            if let Some(watches) = &mut watching {
                watches.follow(&scanning.directories(), &metrics);
            }
            let changes = scanning.scan();
            if let Some(watches) = &mut watching {
                watches.follow(&scanning.directories(), &metrics);
            }
            metrics.scan_duration.observe(start.elapsed(), Instant::now());
            (scanning, watching, changes)
        });
        // A panic ends the provider; its groups stay.
        let Ok((scanned, watched, changes)) = scan.await else { return };
        (scanner, watches) = (Some(scanned), watched);
        sink.send(changes);
    }
}

/// Watches of the directories of a provider.
struct Watches {
    watcher: RecommendedWatcher,
    dirs: BTreeSet<PathBuf>,
}

impl Watches {
    /// Returns no watches yet. `None` if the system has no more watchers.
    fn new(events: &Arc<Notify>, metrics: &FileMetrics) -> Option<Self> {
        let events = Arc::clone(events);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.map_or(true, |event| is_change(event.kind)) {
                events.notify_one();
            }
        });
        match watcher {
            Ok(watcher) => Some(Self { watcher, dirs: BTreeSet::new() }),
            Err(error) => {
                metrics.watcher_errors.inc();
                tracing::error!(%error, "cannot watch files of target groups, polling");
                None
            }
        }
    }

    /// Watches these directories and no others. A directory may have been replaced, so existing
    /// watches are created again.
    fn follow(&mut self, dirs: &BTreeSet<PathBuf>, metrics: &FileMetrics) {
        for dir in self.dirs.difference(dirs) {
            // It fails if the directory no longer exists.
            self.watcher.unwatch(dir).ok();
        }
        let mut watched = BTreeSet::new();
        for dir in dirs {
            match self.watcher.watch(dir, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    watched.insert(dir.clone());
                }
                Err(error) => {
                    if self.dirs.contains(dir) || dir.exists() {
                        metrics.watcher_errors.inc();
                    }
                    let dir = dir.display();
                    tracing::debug!(%error, %dir, "cannot watch directory of target groups");
                }
            }
        }
        self.dirs = watched;
    }
}

/// Returns `false` for events of reads, such as our own.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(mode)) => mode == AccessMode::Write,
        EventKind::Access(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests;
