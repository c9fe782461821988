//! Tests of file discovery on real directories.

use super::scanner::Scanner;
use super::{is_change, provider};
use crate::config::file::discovery::file::FileSdConfig;
use crate::discovery::metrics::DiscoveryMetrics;
use crate::discovery::target_group::TargetGroup;
use crate::metrics::registry::Registry;
use crate::metrics::text::ExpositionFormat;
use notify::EventKind;
use notify::event::{AccessKind, AccessMode, CreateKind};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Directory with files, a scanner of paths in it, and the groups that result from its changes.
struct Fixture {
    dir: TempDir,
    scanner: Scanner,
    registry: Registry,
    groups: BTreeMap<String, TargetGroup>,
}

impl Fixture {
    fn new(paths: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let paths = paths.iter().map(|path| dir.path().join(path)).collect();
        let mut registry = Registry::new();
        let metrics = DiscoveryMetrics::register(&mut registry);
        let scanner = Scanner::new(paths, metrics.file);
        Self { dir, scanner, registry, groups: BTreeMap::new() }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).expect("a file");
    }

    /// Returns the groups after a scan, as `file:index labels[addresses]`.
    fn scan(&mut self) -> Vec<String> {
        for group in self.scanner.scan() {
            if group.targets.is_empty() {
                self.groups.remove(&group.source);
            } else {
                self.groups.insert(group.source.clone(), group);
            }
        }
        self.groups.values().map(|group| self.shown(group)).collect()
    }

    fn shown(&self, group: &TargetGroup) -> String {
        let prefix = format!("{}/", self.dir.path().display());
        let source = group.source.strip_prefix(&prefix).expect("a file in the directory");
        let (file, _) = source.rsplit_once(':').expect("a source with an index");
        assert_eq!(group.labels["__meta_filepath"], format!("{prefix}{file}"));
        let labels = group.labels.iter().filter(|(name, _)| *name != "__meta_filepath");
        let labels: Vec<_> = labels.map(|(name, value)| format!("{name}={value}")).collect();
        let targets: Vec<_> = group.targets.iter().map(|t| t["__address__"].clone()).collect();
        format!("{source} {}[{}]", labels.join(","), targets.join(" "))
    }

    fn metrics(&self) -> String {
        self.registry.encode(ExpositionFormat::Classic)
    }

    fn read_errors(&self) -> String {
        let text = self.metrics();
        let errors = text
            .lines()
            .find_map(|line| line.strip_prefix("prometheus_sd_file_read_errors_total "));
        errors.expect("the metric").to_owned()
    }
}

#[test]
fn groups_have_the_path_of_their_file() {
    let mut fixture = Fixture::new(&["one.json", "g*.yml"]);
    fixture.write(
        "one.json",
        r#"[{"targets":["a:1","b:2"],"labels":{"env":"x"}},{"targets":["c:3"]}]"#,
    );
    fixture.write("g1.yml", "- targets: [g:1]\n  labels: {__meta_filepath: mine}\n");
    fixture.write("g2.YML", "- targets: [g:2]\n");
    fixture.write("h.yml", "- targets: [h:1]\n");
    assert_eq!(fixture.scan(), ["g1.yml:0 [g:1]", "one.json:0 env=x[a:1 b:2]", "one.json:1 [c:3]"]);
    assert!(fixture.scanner.scan().is_empty(), "unchanged files were sent again");
    assert_eq!(fixture.read_errors(), "0");
}

#[test]
fn fewer_groups_clear_the_others() {
    let mut fixture = Fixture::new(&["a.json"]);
    fixture.write("a.json", r#"[{"targets":["a"]},{"targets":["b"]},{"targets":["c"]}]"#);
    assert_eq!(fixture.scan().len(), 3);
    fixture.write("a.json", r#"[{"targets":["b"]}]"#);
    assert_eq!(fixture.scan(), ["a.json:0 [b]"]);
    fixture.write("a.json", "[]");
    assert_eq!(fixture.scan(), [""; 0]);
}

#[test]
fn broken_file_keeps_its_groups() {
    let mut fixture = Fixture::new(&["a.yml"]);
    fixture.write("a.yml", "- targets: [k:1]\n- targets: [k:2]\n");
    let good = fixture.scan();
    for (broken, errors) in
        [("- targets: [k:1", "1"), ("- targets: [a]\n  more: 1\n", "2"), ("-\n", "3")]
    {
        fixture.write("a.yml", broken);
        assert_eq!(fixture.scan(), good, "{broken}");
        assert_eq!(fixture.read_errors(), errors);
    }
    fixture.write("a.yml", "- targets: [k:9]\n");
    assert_eq!(fixture.scan(), ["a.yml:0 [k:9]"]);
}

#[test]
fn file_that_was_always_broken_has_no_groups() {
    let mut fixture = Fixture::new(&["a.json"]);
    fixture.write("a.json", "");
    assert_eq!(fixture.scan(), [""; 0]);
    fixture.write("a.json", r#"[{"targets":["a"]}]"#);
    assert_eq!(fixture.scan(), ["a.json:0 [a]"]);
}

#[test]
fn removed_file_clears_its_groups() {
    let mut fixture = Fixture::new(&["*.json"]);
    fixture.write("a.json", r#"[{"targets":["a"]},{"targets":["b"]}]"#);
    fixture.write("c.json", r#"[{"targets":["c"]}]"#);
    assert_eq!(fixture.scan().len(), 3);
    assert_eq!(fixture.metrics().matches("prometheus_sd_file_mtime_seconds{").count(), 2);
    fs::remove_file(fixture.dir.path().join("a.json")).expect("removed");
    assert_eq!(fixture.scan(), ["c.json:0 [c]"]);
    assert_eq!(fixture.metrics().matches("prometheus_sd_file_mtime_seconds{").count(), 1);
    fs::remove_file(fixture.dir.path().join("c.json")).expect("removed");
    assert_eq!(fixture.scan(), [""; 0]);
}

#[test]
fn unreadable_objects_are_errors() {
    let mut fixture = Fixture::new(&["dir.json", "link.json", "large.json", "bytes.yml"]);
    fs::create_dir(fixture.dir.path().join("dir.json")).expect("a directory");
    symlink("nowhere", fixture.dir.path().join("link.json")).expect("a link");
    let large = fs::File::create(fixture.dir.path().join("large.json")).expect("a file");
    large.set_len((64 << 20) + 1).expect("a size");
    fs::write(fixture.dir.path().join("bytes.yml"), b"- targets: [\xff]").expect("a file");
    assert_eq!(fixture.scan(), [""; 0]);
    assert_eq!(fixture.read_errors(), "4");
}

#[test]
fn directories_of_links_are_watched() {
    let mut fixture = Fixture::new(&["sd/a.json", "absent/*.yml"]);
    let dir = fixture.dir.path().canonicalize().expect("a path");
    fs::create_dir_all(dir.join("real")).expect("a directory");
    fs::create_dir(dir.join("sd")).expect("a directory");
    fs::write(dir.join("real/b.json"), "[]").expect("a file");
    symlink(dir.join("real/b.json"), dir.join("sd/a.json")).expect("a link");
    fixture.scan();
    let dirs: Vec<PathBuf> = fixture.scanner.directories().into_iter().collect();
    let expected =
        [fixture.dir.path().join("absent"), dir.join("real"), fixture.dir.path().join("sd")];
    assert_eq!(dirs, expected);
}

#[test]
fn reads_are_no_changes() {
    for (kind, expected) in [
        (EventKind::Access(AccessKind::Open(AccessMode::Any)), false),
        (EventKind::Access(AccessKind::Read), false),
        (EventKind::Access(AccessKind::Close(AccessMode::Read)), false),
        (EventKind::Access(AccessKind::Close(AccessMode::Write)), true),
        (EventKind::Create(CreateKind::File), true),
        (EventKind::Any, true),
    ] {
        assert_eq!(is_change(kind), expected, "{kind:?}");
    }
}

/// Providers of the file `targets.json` in a directory, which read it once an hour.
struct Watched {
    updates: crate::discovery::providers::updates::TargetUpdates,
    _providers: crate::discovery::providers::Providers,
}

impl Watched {
    async fn start(path: &Path) -> Self {
        use crate::config::file::discovery::DiscoveryConfig;
        use crate::discovery::kinds::environment::Environment;
        use crate::discovery::providers::Providers;
        let metrics = DiscoveryMetrics::register(&mut Registry::new());
        let interval = Duration::from_millis(50);
        let (providers, updates) = Providers::new(interval, Environment::default(), metrics);
        let config = DiscoveryConfig::File(FileSdConfig {
            files: vec![path.to_owned()],
            refresh_interval: Duration::from_secs(3600),
        });
        let configs = [("job".to_owned(), vec![config])].into();
        providers.apply(providers.prepare(&configs).expect("valid"));
        Self { updates, _providers: providers }
    }

    /// Waits until the job has exactly these addresses.
    async fn wait_for(&mut self, expected: &[&str]) {
        let wait = async {
            loop {
                let targets = self.updates.next().await.expect("running providers");
                let addresses: Vec<_> = targets["job"]
                    .iter()
                    .flat_map(|group| &group.targets)
                    .map(|labels| labels["__address__"].clone())
                    .collect();
                if addresses == expected {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait).await.expect("the targets in time");
    }
}

#[tokio::test]
async fn changes_are_noticed_without_a_refresh() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("targets.json");
    let mut watched = Watched::start(&path).await;
    watched.wait_for(&[]).await;
    fs::write(&path, r#"[{"targets":["a:1"]}]"#).expect("a file");
    watched.wait_for(&["a:1"]).await;
    let new = dir.path().join("new");
    fs::write(&new, r#"[{"targets":["b:1"]}]"#).expect("a file");
    fs::rename(&new, &path).expect("renamed");
    watched.wait_for(&["b:1"]).await;
    fs::remove_file(&path).expect("removed");
    watched.wait_for(&[]).await;
}

/// Kubernetes replaces the link `..data` to a directory with the files of a ConfigMap.
#[tokio::test]
async fn swapped_link_of_a_config_map_is_noticed() {
    let dir = tempfile::tempdir().expect("a directory");
    let version = |name: &str, address: &str| {
        fs::create_dir(dir.path().join(name)).expect("a directory");
        let text = format!(r#"[{{"targets":["{address}"]}}]"#);
        fs::write(dir.path().join(name).join("targets.json"), text).expect("a file");
        symlink(name, dir.path().join("..data_tmp")).expect("a link");
        fs::rename(dir.path().join("..data_tmp"), dir.path().join("..data")).expect("renamed");
    };
    version("..1", "a:1");
    let path = dir.path().join("targets.json");
    symlink("..data/targets.json", &path).expect("a link");
    let mut watched = Watched::start(&path).await;
    watched.wait_for(&["a:1"]).await;
    version("..2", "b:1");
    fs::remove_dir_all(dir.path().join("..1")).expect("removed");
    watched.wait_for(&["b:1"]).await;
    version("..3", "c:1");
    watched.wait_for(&["c:1"]).await;
}

#[tokio::test]
async fn file_behind_a_link_is_watched() {
    let (dir, other) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
    let (path, real) = (dir.path().join("targets.json"), other.path().join("real.json"));
    fs::write(&real, r#"[{"targets":["a:1"]}]"#).expect("a file");
    symlink(&real, &path).expect("a link");
    let mut watched = Watched::start(&path).await;
    watched.wait_for(&["a:1"]).await;
    fs::write(&real, r#"[{"targets":["b:1"]}]"#).expect("a file");
    watched.wait_for(&["b:1"]).await;
}

#[tokio::test(start_paused = true)]
async fn files_are_read_at_every_refresh() {
    use crate::discovery::providers::Providers;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("absent/targets.json");
    let metrics = DiscoveryMetrics::register(&mut Registry::new());
    let file = metrics.file.clone();
    let (providers, mut updates) = Providers::new(
        Duration::from_secs(5),
        crate::discovery::kinds::environment::Environment::default(),
        metrics,
    );
    let refresh_interval = Duration::from_secs(300);
    let config = FileSdConfig { files: vec![path.clone()], refresh_interval };
    // It only creates a provider; the one below runs.
    drop(provider(&config, file));
    let config = crate::config::file::discovery::DiscoveryConfig::File(config);
    let configs = [("job".to_owned(), vec![config])].into();
    providers.apply(providers.prepare(&configs).expect("valid"));
    assert!(updates.next().await.expect("running providers")["job"].is_empty());
    // The directory is not watched: it did not exist.
    fs::create_dir(path.parent().expect("a parent")).expect("a directory");
    fs::write(&path, r#"[{"targets":["a:1"]}]"#).expect("a file");
    let targets = updates.next().await.expect("running providers");
    assert_eq!(targets["job"][0].targets[0]["__address__"], "a:1");
}
