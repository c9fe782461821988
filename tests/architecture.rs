//! Rules of the architecture, checked on the source text.
//!
//! - Every file starts with its purpose.
//! - A line of the house imports only from itself and from lines above it. Neither modules nor
//!   folders import in a circle.
//! - Only test code imports test support.
//! - The engine names no network library, and `unsafe` is in two files only.
//! - The engine changes files through its disk only.
//! - Errors below the server are data: neither boxed nor text.
//! - Names of tests are short, comments are at most 100 columns wide.
//! - A module with children is a `mod.rs`, whose doc lists them. Test files are named `tests.rs`.
//! - A folder of `src/` has at most 20 files.
//!
//! docs/ARCHITECTURE.md has the reasons. For each rule, a test checks that a violation is detected.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

#[path = "support/source.rs"]
mod source;

/// Lines of the house. Parts of one line may import each other, but not in a circle.
const LINES: [&[&str]; 13] = [
    &["model", "log_limit", "metrics", "tsdb::encoding", "tsdb::fs", "tsdb::prefetch"],
    &["tsdb::chunk", "tsdb::index", "tsdb::tombstones", "tsdb::wal"],
    &["tsdb::query"],
    &["tsdb::head", "tsdb::block"],
    &["tsdb::compact"],
    &["tsdb::db"],
    &["config", "ingest", "promql"],
    &["remote", "exposition", "http_client"],
    &["discovery", "scrape"],
    &["server"],
    &["app"],
    &["main"],
    &[TESTING],
];

/// The part that only test code imports, from every line.
const TESTING: &str = "testing";

/// Imports that are forbidden although the other part is on the same line or above.
const NEVER: [(&str, &str); 4] = [
    ("tsdb::query", "tsdb::wal"),
    ("tsdb::query", "tsdb::head"),
    ("tsdb::head", "tsdb::block"),
    ("tsdb::block", "tsdb::head"),
];

/// Only part of the engine (`tsdb`) that the rest of the program imports, except test support.
const ENGINE_SURFACE: &str = "tsdb::db";

/// Parts below the server, whose errors are data.
const TYPED_ERRORS: [&str; 8] =
    ["tsdb", "model", "ingest", "remote", "promql", "config", "exposition", "discovery"];

/// Network libraries, which the engine must not name.
const NETWORK: [&str; 5] = ["tokio", "tonic", "hyper", "prost", "axum"];

/// Only files that may have `unsafe`.
const UNSAFE: [&str; 2] = ["src/tsdb/fs/mmap.rs", "src/tsdb/prefetch.rs"];

/// Only folder of the engine that may name functions that change files.
const FILES: &str = "src/tsdb/fs/";
/// Lock of a data directory. It is exempt because it is never synced and ends with the process.
const LOCK: &str = "src/tsdb/db/dir_lock.rs";
/// Functions of `std::fs` that change files.
const FILE_CHANGES: [&str; 11] = [
    "write",
    "rename",
    "remove_file",
    "remove_dir",
    "remove_dir_all",
    "create_dir",
    "create_dir_all",
    "hard_link",
    "soft_link",
    "copy",
    "set_permissions",
];
/// Names that stand for a change of a file, wherever they occur.
const WRITABLE_FILE: [&str; 8] = [
    "OpenOptions",
    "DirBuilder",
    "set_len",
    "sync_all",
    "sync_data",
    "set_times",
    "set_modified",
    "rustix",
];

/// Maximum length of the name of a test.
const MAX_TEST_NAME: usize = 60;
/// Maximum width of a comment, characters; rustfmt checks the code.
const MAX_WIDTH: usize = 100;
/// Maximum number of files in one folder of `src/`.
const MAX_FOLDER_FILES: usize = 20;
/// Maximum number of files with methods of one type, without trait implementations and tests.
const MAX_METHOD_FILES: usize = 2;

/// Source file: its path relative to the root of the package, and its text.
struct File {
    path: String,
    text: String,
}

impl File {
    /// The folder that contains the file.
    fn folder(&self) -> Option<&str> {
        self.path.rsplit_once('/').map(|(folder, _)| folder)
    }
}

/// Markdown files of the project and the folders with more of them.
const DOCS: [&str; 3] = ["README.md", "CHANGELOG.md", "tests/golden/README.md"];
const DOC_FOLDERS: [&str; 2] = ["docs", "fuzz"];

#[test]
fn markdown_prose_is_not_wide() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<PathBuf> = DOCS.iter().map(|path| root.join(path)).collect();
    for folder in DOC_FOLDERS {
        let entries = std::fs::read_dir(root.join(folder)).expect("a folder with docs");
        let files = entries.map(|entry| entry.expect("a directory entry").path());
        paths.extend(files.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    assert!(paths.len() > 8, "no docs found");
    let wide: Vec<String> = paths
        .iter()
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).expect("a readable Markdown file");
            wide_prose(&text).into_iter().map(|line| format!("{}:{line}", path.display()))
        })
        .collect();
    assert!(wide.is_empty(), "wide prose:\n{}", wide.join("\n"));
}

/// Returns the numbers of wide lines outside of tables, code blocks and lines with links.
fn wide_prose(text: &str) -> Vec<usize> {
    let mut is_code = false;
    let mut wide = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        is_code ^= line.starts_with("```");
        let may_be_wide = is_code || line.starts_with('|') || line.contains("](");
        if line.chars().count() > MAX_WIDTH && !may_be_wide && !line.contains("://") {
            wide.push(number);
        }
    }
    wide
}

#[test]
fn wide_markdown_prose_is_detected() {
    let wide = "a".repeat(MAX_WIDTH + 1);
    let text = format!("{wide}\n```\n{wide}\n```\n| {wide} |\n[a](b) {wide}\n{}\n", &wide[1..]);
    assert_eq!(wide_prose(&text), [1]);
}

#[test]
fn source_follows_the_rules() {
    let files = package_files();
    assert!(
        files.iter().filter(|file| file.path.starts_with("src/")).count() > 10,
        "no source files found"
    );
    let broken = violations(&files);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn package_files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = vec![root.join("build.rs")];
    for dir in ["src", "tests", "benches", "fuzz"] {
        collect(&root.join(dir), &mut paths);
    }
    paths.sort();
    let existing = paths.into_iter().filter(|path| path.is_file());
    let files = existing.map(|path| File {
        path: path
            .strip_prefix(root)
            .expect("a path below the root")
            .to_string_lossy()
            .into_owned(),
        text: std::fs::read_to_string(&path).expect("a source file can be read"),
    });
    files.collect()
}

fn collect(dir: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// Returns all violations, one per line.
fn violations(files: &[File]) -> Vec<String> {
    let modules: Vec<Module> = files.iter().filter_map(Module::of).collect();
    let mut broken: Vec<String> =
        files.iter().filter(|file| !file.text.starts_with("//!")).map(no_purpose).collect();
    broken.extend(files.iter().flat_map(long_test_names));
    broken.extend(files.iter().flat_map(wide_comments));
    broken.extend(files.iter().flat_map(unlisted_children));
    broken.extend(module_style(files));
    broken.extend(full_folders(files));
    broken.extend(scattered_methods(&modules));
    for module in &modules {
        broken.extend(module.foreign_words());
        broken.extend(module.file_changes());
        broken.extend(module.wrong_lines());
        broken.extend(module.untyped_errors());
    }
    let circles = circles(&modules);
    // A circle of files is one of the folders around them, too.
    if circles.is_empty() {
        broken.extend(folder_circles(&modules));
    }
    broken.extend(circles);
    broken
}

/// Modules with children that are not `mod.rs`, and test files that are not `tests.rs`.
fn module_style(files: &[File]) -> Vec<String> {
    let folders: BTreeSet<&str> = files.iter().filter_map(File::folder).collect();
    let source = files.iter().filter(|file| file.path.starts_with("src/"));
    let broken = source.filter_map(|file| {
        let stem = file.path.strip_suffix(".rs")?;
        if folders.contains(stem) {
            return Some(format!("{}: the module has a folder, move it to mod.rs", file.path));
        }
        let name = stem.rsplit('/').next()?;
        let is_test = name.ends_with("_tests") || name.ends_with("_test") || name == "test";
        is_test.then(|| format!("{}: test files are named tests.rs", file.path))
    });
    broken.collect()
}

/// Types whose methods are in too many files of their part.
fn scattered_methods(modules: &[Module]) -> Vec<String> {
    let mut files: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for module in modules.iter().filter(|module| !module.is_test_file()) {
        let Some((part, _)) = part_of(&module.path) else { continue };
        let tests = module.tokens.windows(2).position(|words| words == ["mod", "tests"]);
        for name in method_owners(&module.tokens[..tests.unwrap_or(module.tokens.len())]) {
            files.entry((part, name)).or_default().insert(&module.file);
        }
    }
    let scattered = files.into_iter().filter(|(_, files)| files.len() > MAX_METHOD_FILES);
    scattered
        .map(|((part, name), files)| format!("{part}: methods of {name} in {} files", files.len()))
        .collect()
}

/// Names of the types with an inherent `impl` block among `tokens`.
fn method_owners(tokens: &[String]) -> Vec<&str> {
    let is_item = |at: usize| at == 0 || ["}", ";", "]", "{"].contains(&tokens[at - 1].as_str());
    let impls = (0..tokens.len()).filter(|at| tokens[*at] == "impl" && is_item(*at));
    let owner = |at: usize| {
        let end = at + tokens[at..].iter().position(|token| token == "{" || token == "where")?;
        let header = &tokens[at + 1..end];
        if header.iter().any(|token| token == "for") {
            return None;
        }
        // The name is the last word outside of angle brackets.
        let mut depth = 0;
        let outside = header.iter().filter(|token| {
            match token.as_str() {
                "<" => depth += 1,
                ">" => depth -= 1,
                _ => return depth == 0,
            }
            false
        });
        outside.map(String::as_str).last()
    };
    impls.filter_map(owner).collect()
}

fn full_folders(files: &[File]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for folder in files.iter().filter_map(File::folder) {
        *counts.entry(folder).or_default() += 1;
    }
    let full = counts
        .into_iter()
        .filter(|(folder, count)| folder.starts_with("src/") && *count > MAX_FOLDER_FILES);
    full.map(|(folder, count)| format!("{folder}: {count} files")).collect()
}

fn no_purpose(file: &File) -> String {
    format!("{}: does not open with //!", file.path)
}

fn wide_comments(file: &File) -> Vec<String> {
    let is_wide = |line: &str| {
        line.trim_start().starts_with("//")
            && line.chars().count() > MAX_WIDTH
            && !line.contains("://")
    };
    let lines = file.text.lines().zip(1..).filter(|(line, _)| is_wide(line));
    lines.map(|(_, number)| format!("{}:{number}: wide comment", file.path)).collect()
}

/// Returns the children of a `mod.rs` that its module doc does not name.
fn unlisted_children(file: &File) -> Vec<String> {
    if !file.path.starts_with("src/") || !file.path.ends_with("/mod.rs") {
        return Vec::new();
    }
    let docs: String = file.text.lines().filter(|line| line.starts_with("//!")).collect();
    let is_listed = |name: &str| {
        ["`", "mod@"].iter().any(|before| {
            docs.match_indices(&format!("{before}{name}"))
                .any(|(at, found)| docs[at + found.len()..].starts_with(['`', ':', '/', '!', '.']))
        })
    };
    let declared = file.text.lines().filter_map(|line| {
        let name = line.strip_suffix(';')?.split_once("mod ")?;
        (name.0.is_empty() || name.0.starts_with("pub")).then_some(name.1)
    });
    declared
        .filter(|name| !name.ends_with("tests") && !is_listed(name))
        .map(|name| format!("{}: does not list {name}", file.path))
        .collect()
}

fn long_test_names(file: &File) -> Vec<String> {
    let tokens = source::tokens(&file.text);
    let is_function = |at: usize| at > 0 && tokens[at - 1] == "fn";
    let has_attribute = |at: usize| {
        let before =
            tokens[..at].rsplit(|token| token == "}" || token == ";").next().unwrap_or_default();
        before.windows(2).any(|words| words == ["test", "]"])
    };
    let is_long =
        |at: &usize| tokens[*at].len() > MAX_TEST_NAME && is_function(*at) && has_attribute(*at);
    (0..tokens.len())
        .filter(is_long)
        .map(|at| format!("{}: long name: {}", file.path, tokens[at]))
        .collect()
}

/// File of `src/` as a module.
struct Module {
    file: String,
    path: Vec<String>,
    tokens: Vec<String>,
    named: Vec<source::Named>,
}

impl Module {
    fn of(file: &File) -> Option<Module> {
        let inner = file.path.strip_prefix("src/")?.strip_suffix(".rs")?;
        let inner = inner.strip_suffix("/mod").unwrap_or(inner);
        let path =
            if inner == "lib" { Vec::new() } else { inner.split('/').map(str::to_owned).collect() };
        let tokens = source::tokens(&file.text);
        let named = source::named_paths(&tokens, &path);
        Some(Module { file: file.path.clone(), path, tokens, named })
    }

    fn is_test_file(&self) -> bool {
        self.path.last().is_some_and(|name| name == "tests" || name.ends_with("_tests"))
            || self.path.iter().any(|name| name == "tests")
    }

    fn foreign_words(&self) -> Vec<String> {
        let in_engine = self.file.starts_with("src/tsdb/");
        let word = |token: &&String| {
            (in_engine && NETWORK.contains(&token.as_str()))
                || (*token == "unsafe" && !UNSAFE.contains(&self.file.as_str()))
        };
        let found: BTreeSet<&String> = self.tokens.iter().filter(word).collect();
        found.into_iter().map(|token| format!("{}: names {token}", self.file)).collect()
    }

    /// Returns changes of files that bypass the disk of the engine, outside of test code.
    fn file_changes(&self) -> Vec<String> {
        let is_exempt = self.file.starts_with(FILES) || self.file == LOCK || self.is_test_file();
        if !self.file.starts_with("src/tsdb/") || is_exempt {
            return Vec::new();
        }
        let tokens = source::tokens_outside_tests(&self.tokens);
        let mut found = BTreeSet::new();
        for (at, token) in tokens.iter().enumerate() {
            let is_function = |name: &&str| match tokens[at] {
                "fs" => FILE_CHANGES.contains(name),
                "File" => ["create", "create_new", "options"].contains(name),
                _ => false,
            };
            if WRITABLE_FILE.contains(token) {
                found.insert(*token);
            }
            if tokens.get(at + 1) != Some(&"::") {
                continue;
            }
            // A path, or the group of a `use`.
            let group = tokens.get(at + 2) == Some(&"{");
            let names = tokens[at + 2..].iter().take_while(|name| **name != "}" && **name != ";");
            found.extend(names.take(if group { usize::MAX } else { 1 }).filter(|n| is_function(n)));
        }
        found.into_iter().map(|name| format!("{}: bypasses the disk: {name}", self.file)).collect()
    }

    /// Returns boxed errors, and variants of error enums that are only text, below the server.
    fn untyped_errors(&self) -> Vec<String> {
        if !TYPED_ERRORS.contains(&self.path.first().map_or("", String::as_str))
            || self.is_test_file()
        {
            return Vec::new();
        }
        let test_items = source::test_items(&self.tokens);
        let in_code =
            (0..self.tokens.len()).filter(|at| !test_items.iter().any(|item| item.contains(at)));
        let mut broken = Vec::new();
        for at in in_code {
            if is_boxed_error(&self.tokens[at..]) {
                broken.push(format!("{}: boxes an error", self.file));
            }
            if let Some(name) = error_enum(&self.tokens, at) {
                let variants = text_variants(&self.tokens, at).into_iter();
                broken.extend(
                    variants.map(|variant| format!("{}: {name}::{variant} is text", self.file)),
                );
            }
        }
        broken
    }

    /// Returns imports from a line below, and forbidden ones.
    fn wrong_lines(&self) -> Vec<String> {
        let mut broken = BTreeSet::new();
        let Some((own, own_line)) = part_of(&self.path) else {
            let exempt = self.path.is_empty() || self.path == ["tsdb"];
            return if exempt {
                Vec::new()
            } else {
                vec![format!("{}: not on any line of the house", self.file)]
            };
        };
        for named in &self.named {
            let Some((other, other_line)) = part_of(&named.path) else { continue };
            let is_test = named.in_tests || self.is_test_file();
            let is_below = other_line > own_line && !(is_test && other == TESTING);
            let is_inner = is_engine(other) && other != ENGINE_SURFACE;
            let is_outside = is_inner && !is_engine(own) && own != TESTING;
            if is_below || is_outside || NEVER.contains(&(own, other)) {
                broken.insert(format!("{}: {own} imports {other}", self.file));
            }
        }
        broken.into_iter().collect()
    }
}

/// Returns `true` if the part belongs to the engine.
fn is_engine(part: &str) -> bool {
    part.starts_with("tsdb::")
}

/// Returns `true` if a boxed or shared trait object of `Error` starts at the first token.
fn is_boxed_error(tokens: &[String]) -> bool {
    let is_pointer = tokens.first().is_some_and(|token| ["Box", "Arc", "Rc"].contains(&&**token));
    let is_object = tokens.get(1..3).is_some_and(|next| next == ["<", "dyn"]);
    let is_path =
        |token: &&String| *token == "::" || token.chars().all(|c| c == '_' || c.is_alphanumeric());
    let path = tokens.iter().skip(3).take_while(is_path);
    is_pointer && is_object && path.last().is_some_and(|name| name == "Error")
}

/// Returns the name of the error enum whose keyword is at `at`.
fn error_enum(tokens: &[String], at: usize) -> Option<&str> {
    let name = tokens.get(at + 1).filter(|_| tokens[at] == "enum")?;
    let before =
        tokens[..at].rsplit(|token| token == "}" || token == ";").next().unwrap_or_default();
    let derives = before.windows(3).any(|words| words == ["thiserror", "::", "Error"]);
    (derives || name.ends_with("Error")).then_some(name)
}

/// Returns the variants that contain only a string without a name, of the enum whose keyword is at
/// `at`.
fn text_variants(tokens: &[String], at: usize) -> Vec<&str> {
    let mut depth = 0i32;
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate().skip(at) {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if token == "}" && depth == 0 {
            break;
        }
        let is_variant = depth == 2 && token == "(" && tokens[at - 1] != "error";
        // An attribute of the field may stand before its type.
        let field = tokens[at + 1..].iter().take_while(|token| *token != ")");
        let field: Vec<&String> = field.skip_while(|token| is_attribute(token)).collect();
        if is_variant && field == ["String"] {
            found.push(tokens[at - 1].as_str());
        }
    }
    found
}

fn is_attribute(token: &str) -> bool {
    ["#", "[", "from", "source", "]"].contains(&token)
}

/// Returns the part of the house with this path, and its line.
fn part_of(path: &[String]) -> Option<(&'static str, usize)> {
    let joined = path.join("::");
    let within = |part: &str| joined == part || joined.starts_with(&format!("{part}::"));
    LINES
        .iter()
        .enumerate()
        .find_map(|(line, parts)| Some((*parts.iter().find(|part| within(part))?, line)))
}

/// Returns circles of imports among files and among parts of the house, without test code.
fn circles(modules: &[Module]) -> Vec<String> {
    let mut files: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut parts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for module in modules.iter().filter(|module| !module.is_test_file()) {
        for named in module.named.iter().filter(|named| !named.in_tests) {
            if let Some(target) = defining_module(modules, &named.path) {
                files.entry(module.file.clone()).or_default().insert(target.file.clone());
            }
            if let (Some((own, _)), Some((other, _))) =
                (part_of(&module.path), part_of(&named.path))
            {
                parts.entry(own.to_owned()).or_default().insert(other.to_owned());
            }
        }
    }
    for graph in [&mut files, &mut parts] {
        for (own, targets) in graph {
            targets.remove(own);
        }
    }
    [files, parts].iter().filter_map(circle).collect()
}

/// Circles of imports among the folders and files of one folder; test code is left out.
fn folder_circles(modules: &[Module]) -> Vec<String> {
    // By folder: its children, each with those that it imports.
    let mut graphs: BTreeMap<&[String], BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for module in modules.iter().filter(|module| !module.is_test_file()) {
        for named in module.named.iter().filter(|named| !named.in_tests) {
            let Some(target) = defining_module(modules, &named.path) else { continue };
            let (own, target) = (&module.path, &target.path);
            let common = own.iter().zip(target).take_while(|(one, other)| one == other).count();
            // One contains the other, so they are no siblings, or the lines of the house order
            // them.
            if common == own.len().min(target.len()) || part_of(&own[..common]).is_none() {
                continue;
            }
            let children = graphs.entry(&own[..common]).or_default();
            children.entry(own[common].clone()).or_default().insert(target[common].clone());
        }
    }
    let circle = |(folder, children): (&[String], BTreeMap<String, BTreeSet<String>>)| {
        circle(&children).map(|circle| format!("in {}: {circle}", folder.join("::")))
    };
    graphs.into_iter().filter_map(circle).collect()
}

/// Returns the innermost module on a path.
fn defining_module<'a>(modules: &'a [Module], path: &[String]) -> Option<&'a Module> {
    let on_path =
        modules.iter().filter(|module| !module.path.is_empty() && path.starts_with(&module.path));
    on_path.max_by_key(|module| module.path.len())
}

/// Returns one circle, if any. Removes modules without remaining imports until nothing changes.
fn circle(imports: &BTreeMap<String, BTreeSet<String>>) -> Option<String> {
    let mut left = imports.clone();
    loop {
        let before = left.len();
        let names: BTreeSet<String> = left.keys().cloned().collect();
        left.retain(|_, targets| targets.iter().any(|target| names.contains(target)));
        if left.is_empty() {
            return None;
        }
        if left.len() == before {
            break;
        }
    }
    let mut walk: Vec<&String> = vec![left.keys().next()?];
    loop {
        let here = walk.last()?;
        let next = left[*here].iter().find(|target| left.contains_key(*target))?;
        if let Some(begin) = walk.iter().position(|name| *name == next) {
            let names: Vec<&str> = walk[begin..].iter().map(|name| name.as_str()).collect();
            return Some(format!("imports go in a circle: {} -> {next}", names.join(" -> ")));
        }
        walk.push(next);
    }
}

/// Returns the violations in these files.
fn broken_by(files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<File> = files
        .iter()
        .map(|(path, text)| File { path: (*path).to_owned(), text: (*text).to_owned() })
        .collect();
    violations(&files)
}

#[test]
fn file_without_purpose_is_detected() {
    assert_eq!(broken_by(&[("tests/a.rs", "// no\n")]), ["tests/a.rs: does not open with //!"]);
    assert!(broken_by(&[("benches/a.rs", "//! yes\n")]).is_empty());
}

#[test]
fn long_test_name_is_detected() {
    let name = "a".repeat(61);
    let text =
        format!("//! x\n#[test]\n#[ignore = \"why\"]\nfn {name}() {{}}\nfn b{name}() {{}}\n");
    assert_eq!(broken_by(&[("tests/a.rs", &text)]), [format!("tests/a.rs: long name: {name}")]);
    assert!(broken_by(&[("tests/a.rs", &text.replace(&name, &name[1..]))]).is_empty());
}

#[test]
fn wide_comment_is_detected() {
    let text = |width: usize| format!("//! x\n    // {}\n", "a".repeat(width - 7));
    assert_eq!(broken_by(&[("src/app/a.rs", &text(101))]), ["src/app/a.rs:2: wide comment"]);
    assert!(broken_by(&[("src/app/a.rs", &text(100))]).is_empty());
}

#[test]
fn unlisted_child_is_detected() {
    let text = "//! x\n//! | [`serve`] | y |\n\nmod serve;\npub(crate) mod setup;\nmod tests;\n";
    assert_eq!(broken_by(&[("src/app/mod.rs", text)]), ["src/app/mod.rs: does not list setup"]);
    let listed = text.replace("y |", "y |\n//! | `setup` | z |");
    assert!(broken_by(&[("src/app/mod.rs", &listed)]).is_empty());
}

#[test]
fn import_from_line_below_is_detected_in_every_form() {
    let forms = [
        "use crate::{model::labels::Labels, tsdb::{chunk, db::Db}};",
        "fn f() { let _ = crate::tsdb::db::open; }",
        "use super::super::db::Db;",
        "mod inner { use super::super::super::db::Db as D; }",
    ];
    for form in forms {
        let text = format!("//! x\n{form}\n");
        assert_eq!(
            broken_by(&[("src/tsdb/head/a.rs", &text)]),
            ["src/tsdb/head/a.rs: tsdb::head imports tsdb::db"],
            "{form}"
        );
    }
    let valid = "//! crate::tsdb::db\n// use crate::tsdb::db;\nconst A: &str = \"crate::tsdb::db\"; /* crate::server */\n\
                    const B: char = '\"'; fn f<'a>(x: &'a str) { g(r#\"\" crate::app \"#, b'\"') } use crate::tsdb::wal::Wal;";
    assert!(broken_by(&[("src/tsdb/head/a.rs", valid)]).is_empty());
}

#[test]
fn import_past_the_surface_of_the_engine_is_detected() {
    let inner = "//! x\nuse crate::tsdb::{db::Db, query::source::QueryError};";
    assert_eq!(
        broken_by(&[("src/server/a.rs", inner)]),
        ["src/server/a.rs: server imports tsdb::query"]
    );
    let checksum = "//! x\nfn f() { crate::tsdb::encoding::checksum::crc32c(b\"\"); }";
    assert_eq!(
        broken_by(&[("src/remote/a.rs", checksum)]),
        ["src/remote/a.rs: remote imports tsdb::encoding"]
    );
    let surface = "//! x\nuse crate::tsdb::db::{Db, QueryError};";
    assert!(broken_by(&[("src/server/a.rs", surface)]).is_empty());
    assert!(broken_by(&[("src/testing/a.rs", inner)]).is_empty());
    assert!(broken_by(&[("src/tsdb/db/a.rs", inner)]).is_empty());
}

#[test]
fn forbidden_siblings_and_unknown_modules_are_detected() {
    let head = broken_by(&[("src/tsdb/head/mod.rs", "//! x\nuse crate::tsdb::block::Block;")]);
    assert_eq!(head, ["src/tsdb/head/mod.rs: tsdb::head imports tsdb::block"]);
    let query = broken_by(&[("src/tsdb/query/merge.rs", "//! x\nuse crate::tsdb::wal::Wal;")]);
    assert_eq!(query, ["src/tsdb/query/merge.rs: tsdb::query imports tsdb::wal"]);
    let scrape = broken_by(&[("src/scrape/mod.rs", "//! x\nuse crate::server::Server;")]);
    assert_eq!(scrape, ["src/scrape/mod.rs: scrape imports server"]);
    assert_eq!(
        broken_by(&[("src/util.rs", "//! x\n")]),
        ["src/util.rs: not on any line of the house"]
    );
}

#[test]
fn test_support_outside_of_tests_is_detected() {
    let uses = ["use crate::testing::crash_disk::CrashDisk;", "fn f() { crate::testing::g(); }"];
    for text in uses {
        let text = format!("//! x\n{text}\n");
        assert_eq!(
            broken_by(&[("src/server/a.rs", &text), ("src/main.rs", "//! x")]),
            ["src/server/a.rs: server imports testing"]
        );
        assert!(broken_by(&[("src/tsdb/fs/a/tests.rs", &text)]).is_empty());
    }
    let main = |attribute: &str| {
        let text = format!("//! x\nfn main() {{ {attribute} narthex::testing::arm(); run(); }}");
        broken_by(&[("src/main.rs", &text)])
    };
    assert_eq!(main(""), ["src/main.rs: main imports testing"]);
    assert!(main("#[cfg(feature = \"testing\")]").is_empty());
    let item = "//! x\n#[cfg(test)]\nuse crate::testing::A;\nuse crate::testing::B;\n";
    assert_eq!(broken_by(&[("src/app/a.rs", item)]), ["src/app/a.rs: app imports testing"]);
    assert!(broken_by(&[("src/app/a.rs", &item[..item.len() - 24])]).is_empty());
}

#[test]
fn circles_of_parts_and_of_files_are_detected() {
    let parts = broken_by(&[
        ("src/tsdb/fs/mod.rs", "//! x\nuse crate::tsdb::encoding::bytes::Reader;"),
        ("src/tsdb/encoding/bytes.rs", "//! x\n"),
        ("src/tsdb/encoding/other.rs", "//! x\nuse crate::tsdb::fs::file::File;"),
    ]);
    assert_eq!(parts, ["imports go in a circle: tsdb::encoding -> tsdb::fs -> tsdb::encoding"]);
    let a = ("src/tsdb/wal/a.rs", "//! x\nuse super::b::B;");
    let b = "//! x\nuse crate::tsdb::wal::a::A;";
    let circle =
        "imports go in a circle: src/tsdb/wal/a.rs -> src/tsdb/wal/b.rs -> src/tsdb/wal/a.rs";
    assert_eq!(broken_by(&[a, ("src/tsdb/wal/b.rs", b)]), [circle]);
    let only_in_tests = "//! x\n#[cfg(test)]\nmod tests { use super::super::a::A; }";
    assert!(broken_by(&[a, ("src/tsdb/wal/b.rs", only_in_tests)]).is_empty());
}

#[test]
fn network_in_engine_and_unsafe_are_detected() {
    let engine = broken_by(&[("src/tsdb/wal/a.rs", "//! x\nuse tokio::sync::Mutex;")]);
    assert_eq!(engine, ["src/tsdb/wal/a.rs: names tokio"]);
    assert!(broken_by(&[("src/server/a.rs", "//! tokio\nuse tokio::sync::Mutex;")]).is_empty());
    let unsafe_code = "//! x\nfn f() { unsafe { g() } }";
    assert_eq!(broken_by(&[("src/server/a.rs", unsafe_code)]), ["src/server/a.rs: names unsafe"]);
    assert!(broken_by(&[(UNSAFE[0], unsafe_code)]).is_empty());
}

#[test]
fn changes_of_files_that_bypass_the_disk_are_detected() {
    let path = "src/tsdb/wal/a.rs";
    for (change, name) in [
        ("std::fs::write(path, bytes)", "write"),
        ("fs::remove_dir_all(path)", "remove_dir_all"),
        ("File::create(path)", "create"),
        ("File::create_new(path)", "create_new"),
        ("std::fs::OpenOptions::new()", "OpenOptions"),
        ("file.set_len(5)", "set_len"),
        ("file.sync_all()", "sync_all"),
        ("rustix::fs::unlink(path)", "rustix"),
    ] {
        let text = format!("//! x\nfn f() {{ {change} }}");
        let expected = [format!("{path}: bypasses the disk: {name}")];
        assert_eq!(broken_by(&[(path, &text)]), expected, "{change}");
        for harmless in [FILES.to_owned() + "a.rs", LOCK.to_owned(), "src/app/a.rs".to_owned()] {
            assert!(broken_by(&[(&harmless, &text)]).is_empty(), "{harmless}: {change}");
        }
        let test = format!("//! x\n#[cfg(test)]\nmod tests {{ fn f() {{ {change} }} }}");
        assert!(broken_by(&[(path, &test)]).is_empty(), "{change}");
    }
    let group = "//! x\nuse std::fs::{self, File, copy, read};";
    assert_eq!(broken_by(&[(path, group)]), [format!("{path}: bypasses the disk: copy")]);
    let harmless = "//! x\nuse crate::tsdb::fs::disk::Disk;\nfn f() { fs::read(p); File::open(p); disk.rename(a, b); }";
    assert!(broken_by(&[(path, harmless)]).is_empty());
}

#[test]
fn boxed_errors_and_text_variants_are_detected() {
    let ways = [
        ("fn f() -> Result<(), Box<dyn Error>> {}", "boxes an error"),
        ("fn f(e: Arc<dyn std::error::Error + Send>) {}", "boxes an error"),
        (
            "pub enum ReadError { A, #[error(\"b\")] Torn(String), C { d: String } }",
            "ReadError::Torn is text",
        ),
        (
            "#[derive(Debug, thiserror::Error)]\nenum Defect { Torn(#[from] String) }",
            "Defect::Torn is text",
        ),
    ];
    for (text, expected) in ways {
        let text = format!("//! x\n{text}\n");
        assert_eq!(
            broken_by(&[("src/tsdb/wal/a.rs", &text)]),
            [format!("src/tsdb/wal/a.rs: {expected}")]
        );
        assert!(broken_by(&[("src/server/a.rs", &text)]).is_empty());
        let in_tests = format!("//! x\n#[cfg(test)]\nmod tests {{ {text} }}");
        assert!(broken_by(&[("src/tsdb/wal/a.rs", &in_tests)]).is_empty());
    }
    let harmless = "//! x\nenum Shape { Text(String) }\n\
                    enum ReadError { Io(io::Error), At(u64, String), Name { name: String } }\n\
                    type Lines = Box<dyn Iterator<Item = Result<String, ReadError>>>;";
    assert!(broken_by(&[("src/tsdb/wal/a.rs", harmless)]).is_empty());
}

#[test]
fn circles_of_sibling_folders_are_detected() {
    let files = [
        ("src/tsdb/wal/a/one.rs", "//! x\nuse crate::tsdb::wal::b::two::T;"),
        ("src/tsdb/wal/b/two.rs", "//! x\n"),
        ("src/tsdb/wal/b/three.rs", "//! x\nuse crate::tsdb::wal::a::four::F;"),
        ("src/tsdb/wal/a/four.rs", "//! x\n"),
    ];
    assert_eq!(broken_by(&files), ["in tsdb::wal: imports go in a circle: a -> b -> a"]);
    assert!(broken_by(&files[..2]).is_empty());
}

#[test]
fn second_module_style_and_full_folder_are_detected() {
    let style = broken_by(&[("src/app/a.rs", "//! x\n"), ("src/app/a/b.rs", "//! x\n")]);
    assert_eq!(style, ["src/app/a.rs: the module has a folder, move it to mod.rs"]);
    let name = broken_by(&[("src/app/a_tests.rs", "//! x\n")]);
    assert_eq!(name, ["src/app/a_tests.rs: test files are named tests.rs"]);
    let paths: Vec<String> = (0..=MAX_FOLDER_FILES).map(|n| format!("src/app/a{n}.rs")).collect();
    let mut files: Vec<(&str, &str)> =
        paths.iter().map(|path| (path.as_str(), "//! x\n")).collect();
    assert_eq!(broken_by(&files), ["src/app: 21 files"]);
    files.pop();
    assert!(broken_by(&files).is_empty());
}

#[test]
fn methods_in_three_files_are_detected() {
    let text = "//! x\nimpl<'a, T: Into<A>> Head<'a, T> { fn f() {} }\nimpl A for Head<'_, B> {}\n";
    let paths = ["src/tsdb/head/a.rs", "src/tsdb/head/b.rs", "src/tsdb/head/c.rs"];
    let files = paths.map(|path| (path, text));
    assert_eq!(broken_by(&files), ["tsdb::head: methods of Head in 3 files"]);
    assert!(broken_by(&files[..2]).is_empty());
}
