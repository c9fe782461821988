//! File that is read: its directory, and the problems and warnings found in it.

use crate::config::yaml::composer;
use crate::config::yaml::error::{ConfigProblem, Position};
use crate::config::yaml::tree::Node;
use std::cell::RefCell;
#[cfg(feature = "testing")]
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Maximum number of problems, and of warnings, that are kept per file.
const MAX_PROBLEMS: usize = 1000;

/// File that is read. Cursors on its values share it and add problems to it.
///
/// The configuration is valid only if there are no problems: a cursor that has reported one returns
/// nothing or a default.
#[derive(Debug)]
pub(crate) struct Source {
    /// Relative paths in the file are relative to it.
    dir: PathBuf,
    /// Whether sections and keys that narthex does not support are warnings.
    ignores_unsupported: bool,
    problems: RefCell<Vec<ConfigProblem>>,
    warnings: RefCell<Vec<ConfigProblem>>,
    #[cfg(feature = "testing")]
    known_keys: RefCell<KnownKeys>,
}

/// Keys that the readers of each mapping know, by the path of the mapping.
#[cfg(feature = "testing")]
pub type KnownKeys = BTreeMap<String, BTreeSet<&'static str>>;

/// Tree of a file. Its root is null if the text is empty or has a syntax error.
#[derive(Debug)]
pub(crate) struct Tree(pub(super) Node);

impl Source {
    /// Parses `text`, with the problems of its YAML.
    pub(crate) fn parse(text: &str, dir: &Path, ignores_unsupported: bool) -> (Self, Tree) {
        let composed = composer::compose(text);
        let source = Self {
            dir: dir.to_owned(),
            ignores_unsupported,
            problems: RefCell::new(composed.problems),
            warnings: RefCell::default(),
            #[cfg(feature = "testing")]
            known_keys: RefCell::default(),
        };
        let start = Position { line: 1, column: 1 };
        (source, Tree(composed.root.unwrap_or_else(|| Node::null(start))))
    }

    /// Returns a path of the file, relative to the working directory of the process.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }

    /// Adds a problem.
    pub(crate) fn add_problem(&self, problem: ConfigProblem) {
        add(&self.problems, problem);
    }

    /// Adds a warning.
    pub(crate) fn add_warning(&self, warning: ConfigProblem) {
        add(&self.warnings, warning);
    }

    /// Adds a problem, or a warning if unsupported parts are ignored.
    pub(crate) fn add_unsupported(&self, problem: ConfigProblem) {
        if self.ignores_unsupported { self.add_warning(problem) } else { self.add_problem(problem) }
    }

    /// Records the keys that the readers of the mapping at `path` know.
    #[cfg(feature = "testing")]
    pub(super) fn record_known_keys(&self, path: &str, keys: &[&'static str]) {
        self.known_keys.borrow_mut().entry(path.to_owned()).or_default().extend(keys);
    }

    /// Returns the recorded keys.
    #[cfg(feature = "testing")]
    pub(crate) fn into_known_keys(self) -> KnownKeys {
        self.known_keys.into_inner()
    }

    /// Returns problems and warnings in the order of the file.
    pub(crate) fn into_findings(self) -> Findings {
        let sorted = |list: RefCell<Vec<ConfigProblem>>| {
            let mut list = list.into_inner();
            list.sort_by_key(|problem| problem.position.map(|at| (at.line, at.column)));
            list
        };
        Findings { problems: sorted(self.problems), warnings: sorted(self.warnings) }
    }
}

/// Problems and warnings of a file.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) problems: Vec<ConfigProblem>,
    pub(crate) warnings: Vec<ConfigProblem>,
}

fn add(list: &RefCell<Vec<ConfigProblem>>, problem: ConfigProblem) {
    let mut list = list.borrow_mut();
    // An alias can repeat a problem.
    if list.len() < MAX_PROBLEMS && !list.contains(&problem) {
        list.push(problem);
    }
}
