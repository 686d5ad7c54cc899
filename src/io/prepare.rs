//! Makes ready what containers mount, before they start: folders that their user can write, the
//! first files of new nodes, a swarm key.
//!
//! Invariant: what is there stays as it is. A node's folder is filled only when it is missing or
//! empty, through a folder beside it that gets its name when it is complete, so that a preparation
//! that was killed is begun again. Only what was made here, and the top folders, change hands.
//!
//! ```text
//! FIRST/node1/...            copied to VOLUMES/node1/...
//! FIRST/large-files          lines: NAME SIZE NODE...; generated, the same bytes for each NODE
//! LOGS/node1/                made
//! KEYS/swarm.key             made, mode 0600
//! ```

use std::fs::{self, DirBuilder, FileTimes, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytesize::ByteSize;

use super::generate::{self, GenerateError};
use super::link::{KeyError, SwarmKey};
use crate::base::Name;

/// The file that names what is generated instead of copied.
const LARGE_FILES: &str = "large-files";
/// The swarm key's file.
pub const SWARM_KEY: &str = "swarm.key";

/// Whose the folders are: what `id -u` and `id -g` print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl FromStr for Owner {
    type Err = String;
    fn from_str(text: &str) -> Result<Owner, String> {
        let ids = text
            .split_once(':')
            .and_then(|(uid, gid)| Some(Owner { uid: uid.parse().ok()?, gid: gid.parse().ok()? }));
        ids.ok_or_else(|| "an owner is UID:GID, in numbers, like 1000:1000".to_owned())
    }
}

/// What to make ready.
#[derive(Debug, Clone)]
pub struct Preparation {
    /// Below it, a data directory a node.
    pub volumes: PathBuf,
    /// Below it, a folder of logs a node.
    pub logs: PathBuf,
    /// Where the swarm key lies.
    pub keys: PathBuf,
    /// Below it, the first files of each node.
    pub first_files: Option<PathBuf>,
    /// Who must be able to write; nobody else than now when not given.
    pub owner: Option<Owner>,
    /// The nodes, the tracker among them.
    pub names: Vec<String>,
}

/// Why it could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The system said no.
    #[error("could not {what} {path}: {source}", path = .path.display())]
    Io {
        /// What was attempted.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// A line that says what to generate is wrong.
    #[error("{path}, line {line}: expected NAME SIZE NODE..., like film.bin 256MiB node1", path = .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// A name that would lie elsewhere.
    #[error("{0:?} cannot be the name of a node's folder: it begins with a dot")]
    Name(String),
    /// A first file could not be generated.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// There could be no key.
    #[error("could not make a swarm key: {0}")]
    Key(KeyError),
}

fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> PrepareError + 'a {
    move |source| PrepareError::Io { what, path: path.to_owned(), source }
}

impl Preparation {
    /// Does it; returns the nodes that got first files.
    ///
    /// # Errors
    /// The first thing that could not be done; what is done stays, and is not done again.
    pub fn run(&self) -> Result<Vec<String>, PrepareError> {
        if let Some(name) = self.names.iter().find(|name| name.starts_with('.')) {
            return Err(PrepareError::Name(name.clone()));
        }
        for folder in [&self.volumes, &self.logs, &self.keys] {
            self.make_folder(folder)?;
        }
        self.make_key()?;
        let large = self.first_files.as_deref().map_or(Ok(Vec::new()), large_files)?;
        let mut filled = Vec::new();
        for name in &self.names {
            self.make_folder(&self.logs.join(name))?;
            if self.fill(name, &large)? {
                filled.push(name.clone());
            }
        }
        Ok(filled)
    }

    /// A folder of the owner's; one that is there changes hands, alone.
    fn make_folder(&self, path: &Path) -> Result<(), PrepareError> {
        fs::create_dir_all(path).map_err(failed("make", path))?;
        self.hand_over(path)
    }

    fn hand_over(&self, path: &Path) -> Result<(), PrepareError> {
        let Some(Owner { uid, gid }) = self.owner else { return Ok(()) };
        let meta = fs::symlink_metadata(path).map_err(failed("look at", path))?;
        if (meta.uid(), meta.gid()) == (uid, gid) {
            return Ok(());
        }
        chown(path, Some(uid), Some(gid)).map_err(failed("give away", path))
    }

    fn make_key(&self) -> Result<(), PrepareError> {
        let path = self.keys.join(SWARM_KEY);
        if !path.exists() {
            let key = SwarmKey::generate().map_err(PrepareError::Key)?;
            let new = self.keys.join(format!(".{SWARM_KEY}.new"));
            let mut open = OpenOptions::new();
            let file = open.write(true).create(true).truncate(true).mode(0o600).open(&new);
            file.and_then(|mut file| writeln!(file, "{}", *key.to_hex()))
                .map_err(failed("write", &new))?;
            fs::rename(&new, &path).map_err(failed("name", &path))?;
        }
        self.hand_over(&path)
    }

    /// Gives a new node its folder; tells whether there were files for it.
    fn fill(&self, name: &str, large: &[LargeFile]) -> Result<bool, PrepareError> {
        let volume = self.volumes.join(name);
        if !is_new(&volume)? {
            self.hand_over(&volume)?;
            return Ok(false);
        }
        let from = self.first_files.as_ref().map(|first| first.join(name));
        let Some(from) = from.filter(|from| from.is_dir()) else {
            self.make_folder(&volume)?;
            return Ok(false);
        };
        let new = self.volumes.join(format!(".{name}.new"));
        match fs::remove_dir_all(&new) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(failed("remove", &new)(e)),
            _ => {}
        }
        self.copy_folder(&from, &new)?;
        let shared = new.join("shared");
        self.make_folder(&shared)?;
        for file in large.iter().filter(|file| file.nodes.iter().any(|node| node == name)) {
            let path = shared.join(&file.name);
            generate::generate_file(&path, file.bytes, file.seed)?;
            self.hand_over(&path)?;
        }
        fs::rename(&new, &volume).map_err(failed("name", &volume))?;
        Ok(true)
    }

    /// Copies a tree of files and folders; others, links among them, are left out.
    fn copy_folder(&self, from: &Path, to: &Path) -> Result<(), PrepareError> {
        DirBuilder::new().mode(0o755).create(to).map_err(failed("make", to))?;
        self.hand_over(to)?;
        for entry in fs::read_dir(from).map_err(failed("read", from))? {
            let entry = entry.map_err(failed("read", from))?;
            let (source, target) = (entry.path(), to.join(entry.file_name()));
            let kind = entry.file_type().map_err(failed("look at", &source))?;
            if kind.is_dir() {
                self.copy_folder(&source, &target)?;
            } else if kind.is_file() {
                copy_file(&source, &target).map_err(failed("copy", &source))?;
                self.hand_over(&target)?;
            }
        }
        Ok(())
    }
}

/// Bytes, mode and modification time.
fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    let modified = fs::metadata(from)?.modified()?;
    fs::File::open(to)?.set_times(FileTimes::new().set_modified(modified))
}

/// Missing or empty.
fn is_new(volume: &Path) -> Result<bool, PrepareError> {
    match fs::read_dir(volume) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(true),
        Err(e) => Err(failed("read", volume)(e)),
    }
}

/// A file that is generated, the same for all its nodes.
#[derive(Debug, PartialEq, Eq)]
struct LargeFile {
    name: String,
    bytes: u64,
    seed: u64,
    nodes: Vec<String>,
}

/// What the file of large files says; nothing when there is none. `#` begins a comment.
fn large_files(first: &Path) -> Result<Vec<LargeFile>, PrepareError> {
    let path = first.join(LARGE_FILES);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed("read", &path)(e)),
    };
    let lines = text.lines().enumerate().map(|(n, line)| (n + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(n, line)| {
            let file = large_file(n as u64, line);
            file.ok_or_else(|| PrepareError::Line { path: path.clone(), line: n })
        })
        .collect()
}

fn large_file(seed: u64, line: &str) -> Option<LargeFile> {
    let mut words = line.split_whitespace().map(str::to_owned);
    let (name, size) = (words.next()?, words.next()?);
    // Checked as names from the network are: nothing that climbs out of the folder.
    name.parse::<Name>().ok()?;
    let bytes = size.parse::<ByteSize>().ok()?.as_u64();
    let nodes: Vec<String> = words.collect();
    (!nodes.is_empty()).then_some(LargeFile { name, bytes, seed, nodes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, SystemTime};

    fn preparation(dir: &Path, names: &[&str]) -> Preparation {
        Preparation {
            volumes: dir.join("volumes"),
            logs: dir.join("logs"),
            keys: dir.join("keys"),
            first_files: Some(dir.join("first")),
            owner: None,
            names: names.iter().map(|n| (*n).to_owned()).collect(),
        }
    }

    fn put(path: PathBuf, text: &str) -> PathBuf {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    #[test]
    fn a_new_node_gets_its_first_files_and_an_old_one_keeps_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let first = put(dir.join("first/node1/shared/poems/sea.txt"), "waves");
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let times = FileTimes::new().set_modified(long_ago);
        fs::File::options().write(true).open(&first).unwrap().set_times(times).unwrap();
        put(dir.join("first/large-files"), "# comment\n\nocean.bin 3MiB node1 node2\n");
        fs::create_dir_all(dir.join("first/node2")).unwrap();
        put(dir.join("volumes/node3/shared/mine.txt"), "mine");
        fs::create_dir_all(dir.join("first/node3")).unwrap();
        fs::create_dir_all(dir.join("volumes/node1")).unwrap();
        // A preparation that was killed.
        put(dir.join("volumes/.node1.new/shared/half"), "");

        let all = preparation(dir, &["tracker", "node1", "node2", "node3", "node4"]);
        assert_eq!(all.run().unwrap(), ["node1", "node2"]);
        let copied = dir.join("volumes/node1/shared/poems/sea.txt");
        assert_eq!(read(&copied), "waves");
        assert_eq!(fs::metadata(&copied).unwrap().modified().unwrap(), long_ago);
        assert!(!dir.join("volumes/node1/shared/half").exists());
        let ocean = |node| fs::read(dir.join("volumes").join(node).join("shared/ocean.bin"));
        assert_eq!(ocean("node1").unwrap().len(), 3 << 20);
        assert_eq!(ocean("node1").unwrap(), ocean("node2").unwrap(), "one file, two owners");
        assert!(ocean("node3").is_err(), "a node with files of its own gets none");
        for made in ["volumes/node4", "volumes/tracker", "logs/node3", "logs/tracker"] {
            assert!(dir.join(made).is_dir(), "{made}");
        }

        put(dir.join("volumes/node1/shared/poems/sea.txt"), "calm");
        assert!(all.run().unwrap().is_empty(), "a second run fills nothing");
        assert_eq!(read(&dir.join("volumes/node1/shared/poems/sea.txt")), "calm");
    }

    #[test]
    fn the_swarm_key_is_made_once_and_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/swarm.key");
        preparation(dir.path(), &[]).run().unwrap();
        let key = read(&path);
        assert!(SwarmKey::from_file(&path).is_ok());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        preparation(dir.path(), &[]).run().unwrap();
        assert_eq!(read(&path), key);
    }

    #[test]
    fn what_was_made_as_root_belongs_to_the_owner() {
        let dir = tempfile::tempdir().unwrap();
        if !rustix::process::geteuid().is_root() {
            return; // Nobody else may give files away.
        }
        put(dir.path().join("first/node1/shared/a.txt"), "a");
        fs::create_dir_all(dir.path().join("volumes/node2")).unwrap();
        put(dir.path().join("volumes/node3/theirs"), "not ours to give");
        let mut all = preparation(dir.path(), &["node1", "node2", "node3"]);
        all.owner = Some("1234:4321".parse().unwrap());
        all.run().unwrap();
        let owner = |path: &str| {
            let meta = fs::metadata(dir.path().join(path)).unwrap();
            (meta.uid(), meta.gid())
        };
        for path in ["volumes", "volumes/node1/shared/a.txt", "volumes/node2", "logs/node1"] {
            assert_eq!(owner(path), (1234, 4321), "{path}");
        }
        assert_eq!(owner("keys/swarm.key"), (1234, 4321));
        assert_eq!(owner("volumes/node3"), (1234, 4321));
        assert_eq!(owner("volumes/node3/theirs").0, 0);
    }

    #[test]
    fn a_line_that_says_nothing_useful_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for bad in ["film.bin", "film.bin 3MiB", "film.bin big node1", "../film.bin 1MiB node1"] {
            put(dir.path().join("first/large-files"), &format!("# one\n{bad}\n"));
            let error = preparation(dir.path(), &["node1"]).run().unwrap_err().to_string();
            assert!(
                error.contains("large-files, line 2: expected NAME SIZE NODE"),
                "{bad}: {error}"
            );
        }
    }

    #[test]
    fn a_name_with_a_dot_in_front_makes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let error = preparation(dir.path(), &["node1", ".."]).run().unwrap_err();
        assert!(matches!(error, PrepareError::Name(name) if name == ".."));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_owner_is_two_numbers() {
        assert_eq!("10:20".parse(), Ok(Owner { uid: 10, gid: 20 }));
        for bad in ["", "10", "root:root", "1:2:3", "-1:0"] {
            assert!(bad.parse::<Owner>().is_err(), "{bad}");
        }
    }
}
