//! Processes of parvi in a temporary folder, and what tests need to look at them.
//!
//! Files are made from a seed, so that every run moves the same bytes. Whatever takes time goes
//! through `until`, which fails with what it waited for.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use parvi::io::clock;
use parvi::io::threads::StopToken;
use rustix::process::Pid;
use serde_json::Value;

pub use crate::daemon::{Answer, Daemon};

pub const MIB: usize = 1 << 20;

/// Nothing in these tests takes long; a wait that ends is a failure.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until there is something; fails with `what` was waited for.
#[track_caller]
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, look)
}

/// The same where there is a bound on how long it may take.
#[track_caller]
pub fn until_within<T>(within: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let (began, rest) = (clock::now(), StopToken::new());
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock::now().since(began) < within, "not within {within:?}: {what}");
        rest.wait(LOOK_EVERY);
    }
}

/// An address of this machine that no other test uses, so that a port there stays free while who has
/// it is away: no socket that asks for any port gets that one.
pub fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., third, fourth] = std::process::id().to_be_bytes();
    let second = NEXT.fetch_add(1, Ordering::Relaxed);
    Ipv4Addr::new(127, second, third, fourth)
}

/// A folder with a swarm in it. Declare it first: it is removed when its processes are gone.
pub struct Swarm {
    folder: tempfile::TempDir,
}

impl Swarm {
    pub fn new() -> Swarm {
        Swarm { folder: tempfile::Builder::new().prefix("parvi-test-").tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The data directory of a node or tracker.
    pub fn data(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// A path in the shared folder of a node.
    pub fn shared(&self, node: &str, file: &str) -> PathBuf {
        self.data(node).join("shared").join(file)
    }

    /// A path where downloads of a node arrive.
    pub fn downloaded(&self, node: &str, file: &str) -> PathBuf {
        self.data(node).join("downloaded").join(file)
    }

    /// Puts `bytes` into a node's shared folder.
    pub fn put(&self, node: &str, file: &str, bytes: impl AsRef<[u8]>) {
        write(&self.shared(node, file), bytes);
    }

    /// Starts a tracker on a port of the system's choice.
    pub fn tracker(&self) -> Daemon {
        self.start("tracker", &["tracker", "--listen", "127.0.0.1:0"], &[])
    }

    /// Starts a node at `tracker`.
    pub fn node(&self, name: &str, tracker: &Daemon) -> Daemon {
        self.node_with(name, tracker, &[])
    }

    pub fn node_with(&self, name: &str, tracker: &Daemon, more: &[&str]) -> Daemon {
        let addr = tracker.addr();
        self.lone_node(name, &[&["--tracker", &addr], more].concat())
    }

    /// Starts a node that knows no tracker but those in `more`.
    pub fn lone_node(&self, name: &str, more: &[&str]) -> Daemon {
        let words = ["node", "--listen", "127.0.0.1", "--heartbeat", "1", "--name", name];
        self.start(name, &words, more)
    }

    /// Starts a daemon on the data directory `name` and waits until it serves.
    #[track_caller]
    pub fn start(&self, name: &str, words: &[&str], more: &[&str]) -> Daemon {
        serving(name, self.launch(name, words, more))
    }

    /// Starts `command`, which runs a daemon on the data directory `name`, and waits until that
    /// serves.
    #[track_caller]
    pub fn start_by(&self, name: &str, command: Command, more: &[&str]) -> Daemon {
        serving(name, self.launch_by(name, command, more))
    }

    /// Starts a daemon without waiting for anything.
    pub fn launch(&self, name: &str, words: &[&str], more: &[&str]) -> Daemon {
        self.launch_by(name, self.parvi(words), more)
    }

    /// Starts `command` on the data directory `name` without waiting for anything.
    pub fn launch_by(&self, name: &str, mut command: Command, more: &[&str]) -> Daemon {
        let log = |end: &str| {
            let path = self.path().join(format!("{name}.{end}"));
            let file = File::create(&path).unwrap();
            (path, file)
        };
        let ((out, out_file), (err, err_file)) = (log("out"), log("err"));
        let data = self.data(name);
        command.args(["--headless", "--data"]).arg(&data).args(more);
        let child = command
            .env("PARVI_LOG", "debug")
            .stdin(Stdio::null())
            .stdout(out_file)
            .stderr(err_file)
            .spawn()
            .unwrap();
        Daemon { child, data, ready: String::new(), out, err }
    }

    /// parvi with a clean environment and its home in the folder.
    pub fn parvi(&self, words: &[&str]) -> Command {
        self.parvi_under(&[], words)
    }

    /// The same, started by another program and its arguments.
    pub fn parvi_under(&self, starter: &[String], words: &[&str]) -> Command {
        let mut all = starter.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_parvi")]);
        let mut command = Command::new(all.next().unwrap());
        command.env_clear().env("HOME", self.path()).current_dir(self.path());
        command.args(all).args(words);
        command
    }

    /// Runs parvi to its end.
    pub fn run(&self, words: &[&str]) -> Answer {
        Answer::from(self.parvi(words).output().unwrap())
    }

    /// `parvi get NAME --out OUT` at `tracker`.
    pub fn get(&self, name: &str, out: &str, tracker: &Daemon, more: &[&str]) -> Answer {
        self.run(&[&["get", name, "--out", out, "--tracker", &tracker.addr()], more].concat())
    }
}

/// Waits until a daemon serves.
#[track_caller]
fn serving(name: &str, mut daemon: Daemon) -> Daemon {
    let ready = until(&format!("{name} is ready"), || {
        if let Some(status) = daemon.child.try_wait().unwrap() {
            panic!("{name} ended with {status}");
        }
        let said = daemon.said();
        let line = said.lines().find(|line| line.starts_with("ready "))?;
        said.contains(&format!("{line}\n")).then(|| line.to_owned())
    });
    daemon.ready = ready;
    daemon
}

pub fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Writes a file and the folders above it.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// `len` bytes that follow from `seed` and that nothing compresses.
pub fn noise(seed: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}

/// What b3sum prints.
pub fn root(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_string()
}

/// The bytes that arrived, or words about why there are none.
#[track_caller]
pub fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All that the sources of a report sent.
pub fn sent(report: &Value) -> u64 {
    report["sources"].as_array().unwrap().iter().map(|s| s["bytes"].as_u64().unwrap()).sum()
}

/// The values of one field, in order.
pub fn column<'a>(rows: &'a Value, field: &str) -> Vec<&'a str> {
    rows.as_array().unwrap().iter().map(|row| row[field].as_str().unwrap()).collect()
}
