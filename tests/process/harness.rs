//! Processes of parvi in a temporary folder, and what tests need to look at them.
//!
//! Invariant: no process outlives its handle. A handle that is dropped by a failing test prints
//! what its process said. Files are made from a seed, so that every run moves the same bytes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use parvi::io::clock;
use parvi::io::threads::StopToken;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub const MIB: usize = 1 << 20;

/// Nothing in these tests takes long; a wait that ends is a failure.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until there is something; fails with `what` was waited for.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let (began, rest) = (clock::now(), StopToken::new());
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock::now().since(began) < PATIENCE, "this did not happen in time: {what}");
        rest.wait(LOOK_EVERY);
    }
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
        let mut daemon = self.launch(name, words, more);
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

    /// Starts a daemon without waiting for anything.
    pub fn launch(&self, name: &str, words: &[&str], more: &[&str]) -> Daemon {
        let log = |end: &str| {
            let path = self.path().join(format!("{name}.{end}"));
            let file = File::create(&path).unwrap();
            (path, file)
        };
        let ((out, out_file), (err, err_file)) = (log("out"), log("err"));
        let data = self.data(name);
        let mut command = self.parvi(words);
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
        let mut command = Command::new(env!("CARGO_BIN_EXE_parvi"));
        command.env_clear().env("HOME", self.path()).current_dir(self.path()).args(words);
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

/// What a finished process said.
#[derive(Debug)]
pub struct Answer {
    /// Exit code; -1 after a signal.
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Answer {
    fn from(output: Output) -> Answer {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap_or(-1);
        Answer { code, out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Answer {
    /// The JSON document of a success.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Ended with `code`, and the messages contain `words`.
    #[track_caller]
    pub fn refused(&self, code: i32, words: &str) {
        assert!(self.code == code && self.err.contains(words), "{code}, {words:?}: {self:?}");
    }
}

/// A tracker or node that runs.
pub struct Daemon {
    pub child: Child,
    pub data: PathBuf,
    /// Its `ready` line.
    pub ready: String,
    out: PathBuf,
    err: PathBuf,
}

impl Daemon {
    /// The last address of the `ready` line: where a tracker listens, where a node sends chunks.
    pub fn addr(&self) -> String {
        self.ready.rsplit('=').next().unwrap().to_owned()
    }

    /// All it has written to standard output.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.out).unwrap()
    }

    /// All it has written to standard error.
    pub fn logged(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    /// Waits until it has told `words` to the person in front.
    #[track_caller]
    pub fn tells(&self, words: &str) {
        until(&format!("it tells {words:?}"), || self.said().contains(words).then_some(()));
    }

    /// A prompt command, sent as a script does.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parvi"));
        command.env_clear().args(["ctl", "--data"]).arg(&self.data).args(words);
        command
    }

    pub fn ctl(&self, words: &[&str]) -> Answer {
        Answer::from(self.command(words).output().unwrap())
    }

    /// The document that a command answers.
    #[track_caller]
    pub fn json(&self, words: &[&str]) -> Value {
        self.ctl(&[&["--json"], words].concat()).json()
    }

    /// Looks a name up until `owners` have it.
    #[track_caller]
    pub fn finds(&self, name: &str, owners: usize) -> Value {
        until(&format!("{name} is found at {owners}"), || {
            let answer = self.ctl(&["--json", "lookup", name]);
            let found = (answer.code == 0).then(|| answer.json())?;
            (found["owners"].as_array()?.len() == owners).then_some(found)
        })
    }

    /// Looks a name up until nobody has it.
    #[track_caller]
    pub fn loses(&self, name: &str) {
        until(&format!("{name} is gone"), || (self.ctl(&["lookup", name]).code == 3).then_some(()));
    }

    /// Its latest transfer of which `enough` is true, once there is one.
    #[track_caller]
    pub fn transfer(&self, what: &str, enough: impl Fn(&Value) -> bool) -> Value {
        until(what, || {
            self.json(&["transfers"]).as_array()?.iter().rev().find(|t| enough(t)).cloned()
        })
    }

    /// Waits until it sends nothing to anybody.
    #[track_caller]
    pub fn transfer_gone(&self, what: &str) {
        until(what, || {
            let rows = self.json(&["transfers"]);
            rows.as_array()?.iter().all(|t| t["dir"] != "up").then_some(())
        });
    }

    /// Waits until it knows `count` peers.
    #[track_caller]
    pub fn peers(&self, count: usize) -> Value {
        until(&format!("{count} peers"), || {
            let peers = self.json(&["peers"]);
            (peers.as_array().unwrap().len() == count).then_some(peers)
        })
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(pid(&self.child), signal).unwrap();
    }

    /// Ends it as a power cut does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        until("the process ends", || self.child.try_wait().unwrap())
    }

    /// Asks it to exit, and waits.
    #[track_caller]
    pub fn exit(mut self) {
        assert_eq!(self.ctl(&["exit", "--now"]).code, 0);
        assert_eq!(self.ended().code(), Some(0));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
        if std::thread::panicking() {
            let log = self.logged();
            let from = log.len().saturating_sub(6_000);
            let end = String::from_utf8_lossy(&log.as_bytes()[from..]);
            eprintln!("---- {}\n{}{end}", self.data.display(), self.said());
        }
    }
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
