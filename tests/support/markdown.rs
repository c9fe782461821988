//! Markdown documents of the repository: fenced blocks, tables, code spans, headings and links.
//!
//! Supports only what the documents use: fences of three backticks, code spans of one, tables with
//! outer pipes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(crate) struct Document {
    /// Path from the root of the repository.
    pub(crate) path: PathBuf,
    text: String,
}

pub(crate) struct Block {
    /// `path:line` of the opening fence.
    pub(crate) place: String,
    /// Word behind the opening fence; empty if there is none.
    pub(crate) language: String,
    /// Lines between the fences.
    pub(crate) text: String,
}

/// A table; cells are trimmed.
pub(crate) struct Table {
    header: Vec<String>,
    /// Rows in their order.
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    /// Header of the first column.
    pub(crate) fn first_header(&self) -> &str {
        self.header.first().map_or("", String::as_str)
    }

    /// Number of the column with this header.
    pub(crate) fn column(&self, header: &str) -> Option<usize> {
        self.header.iter().position(|cell| cell == header)
    }
}

/// Path of a file from the root of the repository.
pub(crate) fn repository_path(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Document of the repository with this path.
pub(crate) fn document(path: &str) -> Document {
    Document::read(PathBuf::from(path))
}

/// README, CHANGELOG and everything in `docs/`, in this order.
pub(crate) fn documents() -> Vec<Document> {
    let entries = std::fs::read_dir(repository_path("docs")).expect("the directory docs exists");
    let names = entries.map(|entry| entry.expect("an entry can be read").file_name());
    let mut pages: Vec<PathBuf> = names
        .map(|name| Path::new("docs").join(name))
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.sort();
    let paths = ["README.md", "CHANGELOG.md"].map(PathBuf::from).into_iter().chain(pages);
    paths.map(Document::read).collect()
}

impl Document {
    fn read(path: PathBuf) -> Document {
        let text = std::fs::read_to_string(repository_path(&path));
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Document { path, text }
    }

    /// Complete text of the document.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns `true` if the document has this path.
    pub(crate) fn is(&self, path: &str) -> bool {
        self.path == Path::new(path)
    }

    /// Fenced blocks in their order.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (number, line) in (1..).zip(self.text.lines()) {
            match (line.strip_prefix("```"), &mut open) {
                (Some(language), None) => {
                    let place = format!("{}:{number}", self.path.display());
                    open =
                        Some(Block { place, language: language.to_owned(), text: String::new() });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, Some(block)) => block.text.extend([line, "\n"]),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block has no end", self.path.display());
        blocks
    }

    /// Headings of the second level, in their order.
    pub(crate) fn sections(&self) -> Vec<String> {
        let prose = self.prose();
        prose.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect()
    }

    /// Returns the text without fenced blocks.
    pub(crate) fn prose(&self) -> String {
        let mut prose = String::new();
        let mut is_code = false;
        for line in self.text.lines() {
            if line.starts_with("```") {
                is_code = !is_code;
            } else if !is_code {
                prose.extend([line, "\n"]);
            }
        }
        prose
    }

    /// Code spans of the prose.
    pub(crate) fn code_spans(&self) -> Vec<String> {
        let prose = self.prose();
        let parts: Vec<&str> = prose.split('`').collect();
        assert!(parts.len() % 2 == 1, "{}: a code span has no end", self.path.display());
        parts.iter().skip(1).step_by(2).map(|&span| span.to_owned()).collect()
    }

    /// Tables of the prose.
    pub(crate) fn tables(&self) -> Vec<Table> {
        let mut tables: Vec<Table> = Vec::new();
        let mut is_in_table = false;
        for line in self.prose().lines() {
            let Some(row) = line.strip_prefix('|').and_then(|rest| rest.strip_suffix('|')) else {
                is_in_table = false;
                continue;
            };
            let cells = row.split('|').map(|cell| cell.trim().to_owned()).collect();
            if is_in_table && let Some(table) = tables.last_mut() {
                table.rows.push(cells);
            } else {
                is_in_table = true;
                tables.push(Table { header: cells, rows: Vec::new() });
            }
        }
        for table in &mut tables {
            // Separator line below the header.
            table.rows.remove(0);
        }
        tables
    }

    pub(crate) fn links(&self) -> Vec<String> {
        let prose = self.prose();
        let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        targets.map(|(target, _)| target.to_owned()).collect()
    }

    /// Anchors of the headings, as GitHub derives them.
    pub(crate) fn anchors(&self) -> BTreeSet<String> {
        let prose = self.prose();
        let headings = prose.lines().filter(|line| line.starts_with('#'));
        headings.map(|heading| anchor(heading.trim_start_matches('#').trim())).collect()
    }
}

fn anchor(heading: &str) -> String {
    let lower = heading.to_lowercase().replace(' ', "-");
    lower.chars().filter(|sign| sign.is_alphanumeric() || matches!(sign, '-' | '_')).collect()
}
