//! Composer: builds the tree of a document from the events of the YAML parser.
//!
//! Aliases are replaced with a copy of their anchor at the position of the alias, and merge keys
//! (`<<`) with the entries of their mappings. A key of the mapping itself wins over a merged one.
//!
//! Repeated keys, unknown aliases and unknown tags are problems that do not end the reading. A
//! syntax error does, because nothing behind it is reliable.
//!
//! # Limits
//! The number of nodes, the depth and the nodes that aliases add are limited.

use crate::config::yaml::error::{ConfigProblem, Position};
use crate::config::yaml::tree::{Entry, Node, NodeKind, Scalar};
use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use std::collections::{HashMap, HashSet};

/// Maximum number of nodes of a document.
const MAX_NODES: usize = 1_000_000;
/// Maximum depth of a node.
const MAX_DEPTH: usize = 128;
/// Maximum number of nodes that aliases add to the document.
const MAX_ALIAS_NODES: usize = 50_000;

const MERGE_KEY: &str = "<<";
const CORE_TAGS: &str = "tag:yaml.org,2002:";

/// Tree of a document and the problems of its YAML.
pub(super) struct Composed {
    /// `None` if the text has a syntax error or exceeds a limit.
    pub(super) root: Option<Node>,
    pub(super) problems: Vec<ConfigProblem>,
}

/// Composes the only document of `text`. The tree of an empty text is null.
pub(super) fn compose(text: &str) -> Composed {
    let mut composer = Composer::default();
    let root = composer.document(text);
    let mut problems = composer.problems;
    let root = match root {
        Ok(root) => Some(root),
        Err(problem) => {
            problems.push(problem);
            None
        }
    };
    Composed { root, problems }
}

/// Copy of an anchored node, with its size.
struct Anchored {
    node: Node,
    nodes: usize,
    depth: usize,
}

/// Sequence or mapping whose end has not been read.
struct Open {
    position: Position,
    /// 0 = no anchor.
    anchor: usize,
    contents: Contents,
    /// Number of nodes up to this one; the size of the node follows from it.
    nodes_before: usize,
    /// Depth of the deepest node in it, relative to it.
    height: usize,
}

enum Contents {
    Sequence(Vec<Node>),
    Mapping(OpenMapping),
}

#[derive(Default)]
struct OpenMapping {
    entries: Vec<Entry>,
    /// Keys of `entries`.
    keys: HashSet<String>,
    /// Values of the merge keys.
    merged: Vec<Node>,
    key: Option<Key>,
}

struct Key {
    /// `None` = the key is not a scalar, its value is dropped.
    text: Option<String>,
    position: Position,
    is_merge: bool,
}

#[derive(Default)]
struct Composer {
    problems: Vec<ConfigProblem>,
    anchors: HashMap<usize, Anchored>,
    open: Vec<Open>,
    nodes: usize,
    alias_nodes: usize,
    anchor_nodes: usize,
}

impl Composer {
    fn document(&mut self, text: &str) -> Result<Node, ConfigProblem> {
        // A byte-order mark is no content.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let options = granit_parser::options! { emit_unresolved_aliases: true };
        let mut root = None;
        let mut documents = 0;
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| syntax_problem(&error))?;
            let at = position(&span);
            if matches!(event, Event::DocumentStart(..)) {
                documents += 1;
                if documents > 1 {
                    let message = "file has more than one YAML document";
                    return Err(ConfigProblem::new(Some(at), message));
                }
            }
            if let Some(node) = self.event(event, at)? {
                root = Some(node);
            }
        }
        Ok(root.unwrap_or_else(|| Node::null(Position { line: 1, column: 1 })))
    }

    /// Adds an event to the open node. Returns the root when it is complete.
    fn event(&mut self, event: Event<'_>, at: Position) -> Result<Option<Node>, ConfigProblem> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain && !self.is_string_tag(tag, at);
                let kind = NodeKind::Scalar(Scalar { text: text.into_owned(), is_plain });
                self.count(at, 1)?;
                self.complete(Node { position: at, kind }, anchor, 1, 1)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.is_string_tag(tag, at);
                self.start(at, anchor, Contents::Sequence(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.is_string_tag(tag, at);
                self.start(at, anchor, Contents::Mapping(OpenMapping::default()))
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(None) };
                let nodes = self.nodes - open.nodes_before;
                let kind = match open.contents {
                    Contents::Sequence(items) => NodeKind::Sequence(items),
                    Contents::Mapping(mapping) => NodeKind::Mapping(self.merge(mapping)),
                };
                let node = Node { position: open.position, kind };
                self.complete(node, open.anchor, nodes, open.height + 1)
            }
            Event::Alias(anchor) => {
                let Some(anchored) = self.anchors.get(&anchor) else {
                    self.problem(at, "alias refers to a node that contains it");
                    return self.complete(Node::null(at), 0, 1, 1);
                };
                let (nodes, depth) = (anchored.nodes, anchored.depth);
                self.alias_nodes += nodes;
                if self.alias_nodes > MAX_ALIAS_NODES {
                    let message = format!("aliases expand to more than {MAX_ALIAS_NODES} nodes");
                    return Err(ConfigProblem::new(Some(at), &message));
                }
                let mut node = anchored.node.clone();
                node.move_to(at);
                self.count(at, nodes)?;
                self.complete(node, 0, nodes, depth)
            }
            Event::UnresolvedAlias(name) => {
                self.problem(at, &format!("unknown anchor {name:?}"));
                self.complete(Node::null(at), 0, 1, 1)
            }
            _ => Ok(None),
        }
    }

    fn start(
        &mut self,
        at: Position,
        anchor: usize,
        contents: Contents,
    ) -> Result<Option<Node>, ConfigProblem> {
        let nodes_before = self.nodes;
        self.count(at, 1)?;
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(at));
        }
        self.open.push(Open { position: at, anchor, contents, nodes_before, height: 0 });
        Ok(None)
    }

    fn count(&mut self, at: Position, nodes: usize) -> Result<(), ConfigProblem> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            let message = format!("file has more than {MAX_NODES} nodes");
            return Err(ConfigProblem::new(Some(at), &message));
        }
        Ok(())
    }

    /// Adds a complete node of `depth` levels to the open one; returns it if it is the root.
    fn complete(
        &mut self,
        node: Node,
        anchor: usize,
        nodes: usize,
        depth: usize,
    ) -> Result<Option<Node>, ConfigProblem> {
        if self.open.len() + depth > MAX_DEPTH + 1 {
            return Err(too_deep(node.position));
        }
        if anchor > 0 {
            // Anchors may be nested, so that a node is copied several times.
            self.anchor_nodes += nodes;
            if self.anchor_nodes > MAX_NODES {
                let message = format!("anchors have more than {MAX_NODES} nodes");
                return Err(ConfigProblem::new(Some(node.position), &message));
            }
            self.anchors.insert(anchor, Anchored { node: node.clone(), nodes, depth });
        }
        let Some(open) = self.open.last_mut() else { return Ok(Some(node)) };
        open.height = open.height.max(depth);
        let problem = match &mut open.contents {
            Contents::Sequence(items) => {
                items.push(node);
                None
            }
            Contents::Mapping(mapping) => mapping.add(node),
        };
        self.problems.extend(problem);
        Ok(None)
    }

    /// Adds the merged entries whose keys the mapping does not have.
    fn merge(&mut self, mut mapping: OpenMapping) -> Vec<Entry> {
        let mut sources = Vec::new();
        for merged in mapping.merged {
            match merged.kind {
                NodeKind::Sequence(items) => sources.extend(items),
                _ => sources.push(merged),
            }
        }
        for source in sources {
            let NodeKind::Mapping(entries) = source.kind else {
                self.problem(source.position, "<<: must be a mapping or a list of mappings");
                continue;
            };
            for entry in entries {
                if mapping.keys.insert(entry.key.clone()) {
                    mapping.entries.push(entry);
                }
            }
        }
        mapping.entries
    }

    /// Returns `true` if the tag makes a string of a scalar. Other tags than those of YAML are
    /// problems.
    fn is_string_tag(&mut self, tag: Option<std::borrow::Cow<'_, Tag>>, at: Position) -> bool {
        let Some(tag) = tag else { return false };
        let (handle, suffix) = (tag.handle(), tag.suffix());
        match suffix {
            "str" if handle == CORE_TAGS => true,
            "" if handle == "!" => true,
            "null" | "bool" | "int" | "float" | "map" | "seq" if handle == CORE_TAGS => false,
            _ => {
                self.problem(
                    at,
                    &format!("tag {:?} is not supported", format!("{handle}{suffix}")),
                );
                false
            }
        }
    }

    fn problem(&mut self, at: Position, message: &str) {
        self.problems.push(ConfigProblem::new(Some(at), message));
    }
}

impl OpenMapping {
    /// Adds a key, or the value of the last key. Returns a problem of the key.
    fn add(&mut self, node: Node) -> Option<ConfigProblem> {
        let Some(key) = self.key.take() else {
            let position = node.position;
            let NodeKind::Scalar(scalar) = node.kind else {
                self.key = Some(Key { text: None, position, is_merge: false });
                return Some(ConfigProblem::new(Some(position), "a key must be a string"));
            };
            let is_merge = scalar.is_plain && scalar.text == MERGE_KEY;
            self.key = Some(Key { text: Some(scalar.text), position, is_merge });
            return None;
        };
        let text = key.text?;
        if key.is_merge {
            self.merged.push(node);
            return None;
        }
        if !self.keys.insert(text.clone()) {
            let message = format!("duplicate key {text:?}");
            return Some(ConfigProblem::new(Some(key.position), &message));
        }
        self.entries.push(Entry { key: text, key_position: key.position, value: node });
        None
    }
}

fn too_deep(at: Position) -> ConfigProblem {
    ConfigProblem::new(Some(at), &format!("nodes are nested more than {MAX_DEPTH} levels deep"))
}

fn position(span: &Span) -> Position {
    Position { line: span.start.line() as u64, column: span.start.col() as u64 + 1 }
}

/// Returns the problem of a syntax error. The message of the parser may quote the text.
fn syntax_problem(error: &ScanError) -> ConfigProblem {
    let mark = error.marker();
    let at = Position { line: mark.line() as u64, column: mark.col() as u64 + 1 };
    let message = format!("invalid YAML: {}", error.kind());
    ConfigProblem::new(Some(at), &message.escape_debug().to_string())
}
