//! A copy of the scripts in a folder of its own, with a swarm that nobody else has.
//!
//! Ends with `reset.sh -v`, so that nothing is left even when a test fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parvi::io::clock;
use parvi::io::threads::StopToken;
use serde_json::Value;

/// The image that `tests/containers.sh` builds.
pub const IMAGE: &str = "parvi-test";

/// Nothing in these tests takes long; a wait that ends is a failure.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What the scripts need of the repository.
const PARTS: [&str; 9] = [
    "config.sh",
    "run.sh",
    "reset.sh",
    "scripts",
    "docker/Dockerfile",
    "docker-compose.yml",
    ".dockerignore",
    ".env",
    ".volumes_start",
];

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

/// What a command said.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    fn from(output: &Output) -> Said {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said {
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// Fails with all that was said unless the exit code is `code`.
    #[track_caller]
    pub fn ended(self, code: i32) -> Said {
        assert_eq!(self.code, code, "it said:\n{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.err))
    }
}

/// The folder and its swarm.
pub struct Place {
    folder: tempfile::TempDir,
    pub project: String,
    pub subnet: String,
    pub image: String,
    /// Where commands are looked for.
    pub path: String,
}

impl Place {
    /// With the binary that `tests/containers.sh` had built.
    pub fn containers() -> Place {
        let place = Place::new();
        let binary = repository().join("docker/parvi");
        assert!(binary.exists(), "no docker/parvi; run tests/containers.sh");
        fs::copy(binary, place.root().join("docker/parvi")).unwrap();
        place
    }

    /// With the binary of this build, which may need shared libraries.
    pub fn local() -> Place {
        let place = Place::new();
        fs::copy(env!("CARGO_BIN_EXE_parvi"), place.root().join("docker/parvi")).unwrap();
        place
    }

    fn new() -> Place {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::Builder::new().prefix("parvi swarm ").tempdir().unwrap();
        let place = Place {
            project: format!("parvitest{pid}x{count}"),
            subnet: format!("10.{}.{}.0/24", 100 + (pid / 250 + count) % 100, pid % 250),
            image: IMAGE.to_owned(),
            path: std::env::var("PATH").unwrap(),
            folder,
        };
        for part in PARTS {
            copy(&repository().join(part), &place.root().join(part));
        }
        // Small enough for a test, large enough for three owners.
        let large = "ocean.bin 24MiB node1 node2 node3\n";
        fs::write(place.root().join(".volumes_start/large-files"), large).unwrap();
        place
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A path in a node's data directory.
    pub fn volume(&self, node: &str, path: &str) -> PathBuf {
        self.root().join("volumes").join(node).join(path)
    }

    /// A command in this swarm's environment, started from somewhere else than its folder.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PARVI_")) {
            command.env_remove(name);
        }
        command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").env_remove("TMUX");
        command.env("PATH", &self.path).env("PARVI_HEARTBEAT", "1").env("PARVI_FSYNC", "no");
        command.env("PARVI_PROJECT", &self.project).env("PARVI_SUBNET", &self.subnet);
        command.env("PARVI_IMAGE", &self.image);
        command
    }

    /// Runs one of the scripts.
    pub fn script(&self, script: &str, words: &[&str]) -> Said {
        let mut command = self.command(self.root().join(script));
        Said::from(&command.args(words).output().unwrap())
    }

    /// Runs `docker`.
    pub fn docker(&self, words: &[&str]) -> Said {
        Said::from(&self.command("docker").args(words).output().unwrap())
    }

    /// What `docker inspect` says with a format.
    #[track_caller]
    pub fn inspect(&self, node: &str, format: &str) -> String {
        let container = self.container(node);
        let said = self.docker(&["inspect", "--format", format, &container]).ended(0);
        said.out.trim().to_owned()
    }

    pub fn container(&self, node: &str) -> String {
        format!("{}-{node}", self.project)
    }

    /// `parvi ctl --json` in a node's container.
    pub fn ctl(&self, node: &str, words: &[&str]) -> Said {
        let container = self.container(node);
        let mut all = vec!["exec", &container, "/parvi", "ctl", "--json"];
        all.extend(words);
        self.docker(&all)
    }

    /// `parvi ctl --json` to a node that runs as a process.
    pub fn ctl_local(&self, node: &str, words: &[&str]) -> Said {
        let mut command = self.command(self.root().join("docker/parvi"));
        command.arg("ctl").arg("--json").arg("--data").arg(self.volume(node, ""));
        Said::from(&command.args(words).output().unwrap())
    }

    /// Waits until the tracker's log says `words`.
    #[track_caller]
    pub fn tracker_tells(&self, words: &str) {
        let log = self.root().join("logs/tracker/parvi.log");
        until(&format!("the tracker tells: {words}"), || {
            fs::read_to_string(&log).ok().filter(|text| text.contains(words))
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let said = self.script("reset.sh", &["-v"]);
        if said.code != 0 {
            eprintln!("reset.sh failed: {}{}", said.out, said.err);
        }
    }
}

/// Waits until `lookup NAME`, asked through `ctl`, names `count` owners.
#[track_caller]
pub fn wait_for_owners(ctl: impl Fn(&[&str]) -> Said, name: &str, count: usize) {
    until(&format!("{name} has {count} owners"), || {
        let found: Value = serde_json::from_str(&ctl(&["lookup", name]).out).ok()?;
        (found["owners"].as_array()?.len() == count).then_some(())
    });
}

/// The BLAKE3 hash of a file.
#[track_caller]
pub fn hash(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    blake3::hash(&bytes).to_string()
}

/// How many bytes each source gave, of an answer to `download`.
pub fn shares(answer: &Value) -> Vec<u64> {
    let sources = answer["sources"].as_array().unwrap();
    sources.iter().map(|source| source["bytes"].as_u64().unwrap()).collect()
}

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    if !from.is_dir() {
        fs::copy(from, to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}
