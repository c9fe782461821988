//! Names and bytes of the files that a crash disk knows, as they are and as they are durable.
//!
//! A tree of nodes represents the real directories. It grows with use: a real name that it does not
//! have yet counts as durable, as do the bytes of its file. A directory has two sets of names, and
//! a linked or renamed file is one node, so a rename loses whatever POSIX lets it lose.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

/// Index of a node.
pub(super) type NodeId = usize;

const ROOT: NodeId = 0;

/// Names that survive a power failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SurvivingNames {
    /// Names at the last sync of each directory.
    Synced,
    /// All current names.
    All,
}

/// Tree of the known files and directories below `/`.
#[derive(Debug)]
pub(super) struct DiskImage {
    nodes: Vec<Node>,
}

#[derive(Debug)]
enum Node {
    Dir(DirNode),
    File(FileNode),
}

#[derive(Debug, Default)]
struct DirNode {
    names: BTreeMap<OsString, NodeId>,
    durable: BTreeMap<OsString, NodeId>,
}

#[derive(Debug, Default)]
struct FileNode {
    /// Durable bytes. `None`: the bytes of the real file, which was not changed yet.
    synced: Option<Vec<u8>>,
    /// Offset of the first byte that changed since the last sync; `None` if none did.
    dirty_from: Option<u64>,
}

impl Default for DiskImage {
    fn default() -> Self {
        Self { nodes: vec![Node::Dir(DirNode::default())] }
    }
}

impl DiskImage {
    /// Returns the node of an existing path.
    pub(super) fn find(&mut self, path: &Path) -> io::Result<NodeId> {
        let (mut node, mut real) = (ROOT, PathBuf::from("/"));
        for component in std::path::absolute(path)?.components() {
            let Component::Normal(name) = component else { continue };
            real.push(name);
            let known = self.dir(node)?.names.get(name).copied();
            node = match known {
                Some(known) => known,
                None => self.add_existing(node, name.to_owned(), &real)?,
            };
        }
        Ok(node)
    }

    pub(super) fn create_file(&mut self, path: &Path) -> io::Result<NodeId> {
        let file = FileNode { synced: Some(Vec::new()), dirty_from: None };
        let node = self.add_node(Node::File(file));
        self.set_name(path, node)?;
        Ok(node)
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        let node = self.add_node(Node::Dir(DirNode::default()));
        self.set_name(path, node)
    }

    pub(super) fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.find(from)?;
        self.set_name(to, node)
    }

    /// Records a rename. [`Self::keep`] was called with `from` before it.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.find(from)?;
        self.remove(from)?;
        self.set_name(to, node)
    }

    /// Records a removal. [`Self::keep`] was called before it.
    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let (parent, name) = self.place(path)?;
        self.dir_mut(parent)?.names.remove(&name);
        Ok(())
    }

    /// Reads everything below `path` that is not known yet, so that it can be restored at another
    /// place.
    pub(super) fn keep(&mut self, path: &Path) -> io::Result<()> {
        let node = self.find(path)?;
        if let Node::Dir(_) = self.nodes[node] {
            for entry in fs::read_dir(path)? {
                self.keep(&entry?.path())?;
            }
        } else if let Node::File(file) = &mut self.nodes[node]
            && file.synced.is_none()
        {
            file.synced = Some(fs::read(path)?);
        }
        Ok(())
    }

    /// Removes the first file below the directory `path`, as an interrupted removal does.
    pub(super) fn remove_first_file(&mut self, path: &Path) -> io::Result<()> {
        self.keep(path)?;
        let mut entries = fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()?;
        entries.sort();
        match entries.first() {
            Some(first) if first.is_dir() => self.remove_first_file(first),
            Some(first) => {
                fs::remove_file(first)?;
                self.remove(first)
            }
            None => Ok(()),
        }
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let node = self.find(path)?;
        let dir = self.dir_mut(node)?;
        dir.durable.clone_from(&dir.names);
        Ok(())
    }

    /// Prepares a change of the file's bytes from `offset` on.
    pub(super) fn begin_change(
        &mut self,
        node: NodeId,
        offset: u64,
        reader: &File,
    ) -> io::Result<()> {
        let Some(Node::File(file)) = self.nodes.get_mut(node) else { return Ok(()) };
        if file.synced.is_none() {
            file.synced = Some(read_range(reader, 0, reader.metadata()?.len())?);
        }
        file.dirty_from = Some(file.dirty_from.unwrap_or(offset).min(offset));
        Ok(())
    }

    /// Makes the first `len` bytes of the file durable.
    pub(super) fn sync_file(&mut self, node: NodeId, len: u64, reader: &File) -> io::Result<()> {
        let Some(Node::File(file)) = self.nodes.get_mut(node) else { return Ok(()) };
        let (Some(synced), Some(from)) = (&mut file.synced, file.dirty_from) else { return Ok(()) };
        synced.truncate(from as usize);
        // A write beyond the end leaves zeros before it.
        let start = synced.len() as u64;
        synced.extend(read_range(reader, start, len.max(start))?);
        let end = len.max(from);
        file.dirty_from = (reader.metadata()?.len() > end).then_some(end);
        Ok(())
    }

    /// Replaces the real files by what survives a power failure.
    pub(super) fn restore(mut self, names: SurvivingNames) -> io::Result<()> {
        // Restored directories are removed and written again, so their bytes must be in memory.
        self.keep_known(ROOT, Path::new("/"))?;
        self.restore_dir(ROOT, Path::new("/"), names)
    }

    fn keep_known(&mut self, node: NodeId, path: &Path) -> io::Result<()> {
        match &mut self.nodes[node] {
            Node::Dir(dir) => {
                let names: Vec<_> =
                    dir.names.iter().map(|(name, id)| (name.clone(), *id)).collect();
                names.into_iter().try_for_each(|(name, id)| self.keep_known(id, &path.join(name)))
            }
            Node::File(file) => {
                if file.synced.is_none() {
                    file.synced = Some(fs::read(path)?);
                }
                Ok(())
            }
        }
    }

    fn restore_dir(&self, node: NodeId, path: &Path, names: SurvivingNames) -> io::Result<()> {
        let dir = self.dir(node)?;
        let surviving = dir.surviving(names);
        let all: BTreeSet<_> = dir.names.keys().chain(surviving.keys()).collect();
        for name in all {
            let (real, path) = (dir.names.get(name), path.join(name));
            match (real, surviving.get(name)) {
                (Some(real), Some(survivor)) if real == survivor => match &self.nodes[*real] {
                    Node::Dir(_) => self.restore_dir(*real, &path, names)?,
                    Node::File(file) if file.dirty_from.is_some() => {
                        self.replace(Some(*real), Some(*survivor), &path, names)?;
                    }
                    Node::File(_) => {}
                },
                (real, survivor) => {
                    self.replace(real.copied(), survivor.copied(), &path, names)?;
                }
            }
        }
        Ok(())
    }

    /// Removes the real file or directory and writes the surviving one. Mappings of the old file
    /// stay valid.
    fn replace(
        &self,
        real: Option<NodeId>,
        survivor: Option<NodeId>,
        path: &Path,
        names: SurvivingNames,
    ) -> io::Result<()> {
        match real.map(|node| &self.nodes[node]) {
            Some(Node::Dir(_)) => fs::remove_dir_all(path)?,
            Some(Node::File(_)) => fs::remove_file(path)?,
            None => {}
        }
        match survivor.map(|node| &self.nodes[node]) {
            Some(Node::Dir(dir)) => {
                fs::create_dir(path)?;
                dir.surviving(names).iter().try_for_each(|(name, node)| {
                    self.replace(None, Some(*node), &path.join(name), names)
                })
            }
            Some(Node::File(file)) => fs::write(path, file.synced.as_deref().unwrap_or_default()),
            None => Ok(()),
        }
    }

    fn add_node(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Adds a name that exists without the disk's knowledge.
    fn add_existing(&mut self, dir: NodeId, name: OsString, path: &Path) -> io::Result<NodeId> {
        let is_dir = fs::metadata(path)?.is_dir();
        let new =
            if is_dir { Node::Dir(DirNode::default()) } else { Node::File(FileNode::default()) };
        let node = self.add_node(new);
        let dir = self.dir_mut(dir)?;
        dir.names.insert(name.clone(), node);
        dir.durable.insert(name, node);
        Ok(node)
    }

    fn set_name(&mut self, path: &Path, node: NodeId) -> io::Result<()> {
        let (parent, name) = self.place(path)?;
        self.dir_mut(parent)?.names.insert(name, node);
        Ok(())
    }

    /// Returns the directory and the name in it.
    fn place(&mut self, path: &Path) -> io::Result<(NodeId, OsString)> {
        let path = std::path::absolute(path)?;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        Ok((self.find(parent)?, name.to_owned()))
    }

    fn dir(&self, node: NodeId) -> io::Result<&DirNode> {
        match &self.nodes[node] {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn dir_mut(&mut self, node: NodeId) -> io::Result<&mut DirNode> {
        match &mut self.nodes[node] {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }
}

impl DirNode {
    fn surviving(&self, names: SurvivingNames) -> &BTreeMap<OsString, NodeId> {
        match names {
            SurvivingNames::Synced => &self.durable,
            SurvivingNames::All => &self.names,
        }
    }
}

fn read_range(file: &File, start: u64, end: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; (end - start) as usize];
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes)
}
