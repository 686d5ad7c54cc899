//! A tracker and nodes in this process, and what every test asks of them.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::Duration;

use parking_lot::Mutex;
use parvi::base::{Fault, Name, Root};
use parvi::io::clock;
use parvi::io::link::{Bulk, SwarmKey};
use parvi::io::threads::StopToken;
use parvi::logic::scrub::ScrubPace;
use parvi::node::view::{DownloadReport, From};
use parvi::node::{GetConfig, Node, NodeConfig, ReplicaConfig};
use parvi::tracker::{Replicas, Tracker, TrackerConfig};

/// Longer than anything here may take; only a hang is as long.
pub const LONG: Duration = Duration::from_secs(60);

static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Records panics of the program's own threads; those of tests (named `module::test`) are libtest's.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            let name = thread.name().unwrap_or("?");
            if !name.contains("::") && name != "main" {
                PANICS.lock().push(format!("{name}: {panic}"));
            }
            usual(panic);
        }));
    });
}

/// Waits for `true`, looking again every 10 ms.
pub fn until(what: &str, within: Duration, mut happened: impl FnMut() -> bool) {
    let (deadline, never) = (clock::now() + within, StopToken::new());
    while !happened() {
        assert!(clock::now() < deadline, "{what}: not within {within:?}");
        never.wait(Duration::from_millis(10));
    }
}

/// How often a test repeats itself: `PARVI_SOAK` times `usual`.
pub fn soak(usual: usize) -> usize {
    let times = std::env::var("PARVI_SOAK").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    usual * times
}

/// Bytes that differ everywhere and with `seed`.
pub fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub struct Swarm {
    pub dir: tempfile::TempDir,
    pub tracker: Arc<Tracker>,
    key: Option<SwarmKey>,
    nodes: Mutex<Vec<Arc<Node>>>,
}

impl Swarm {
    pub fn new() -> Swarm {
        Swarm::with_key(None)
    }

    pub fn with_key(key: Option<SwarmKey>) -> Swarm {
        watch_panics();
        let dir = tempfile::tempdir().unwrap();
        let tracker = Tracker::start(TrackerConfig {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            data: dir.path().join("tracker"),
            swarm_key: key.clone(),
            bulk: Bulk::Private,
            replicas: Replicas::default(),
        });
        Swarm { dir, tracker: tracker.unwrap(), key, nodes: Mutex::default() }
    }

    /// A node's data directory.
    pub fn data(&self, label: &str) -> PathBuf {
        self.dir.path().join(label)
    }

    pub fn config(&self, label: &str) -> NodeConfig {
        NodeConfig {
            trackers: vec![self.tracker.addr().to_string()],
            data: self.data(label),
            label: Some(label.parse().unwrap()),
            listen: Ipv4Addr::LOCALHOST.into(),
            advertise: None,
            port_base: None,
            heartbeat: Duration::from_secs(1),
            ack_timeout: Duration::from_secs(8),
            up: None,
            down: None,
            swarm_key: self.key.clone(),
            bulk: Bulk::Private,
            share_downloaded: true,
            replicas: ReplicaConfig::default(),
            scrub: ScrubPace::Off,
            fsync: false,
        }
    }

    pub fn start(&self, config: &NodeConfig) -> Arc<Node> {
        let node = Node::start(config).unwrap();
        self.nodes.lock().push(node.clone());
        node
    }

    pub fn node(&self, label: &str) -> Arc<Node> {
        self.start(&self.config(label))
    }

    /// A node that shares `files`; the tracker knows of all of them when this returns.
    pub fn sharing(&self, label: &str, files: &[(&str, &[u8])]) -> Arc<Node> {
        self.sharing_with(&self.config(label), files)
    }

    pub fn sharing_with(&self, config: &NodeConfig, files: &[(&str, &[u8])]) -> Arc<Node> {
        for (name, bytes) in files {
            write(&config.data.join("shared").join(name), bytes);
        }
        let node = self.start(config);
        self.wait_for(config.label.as_ref().unwrap().as_str(), files.len());
        node
    }

    /// New nodes, each of which has found `wanted` and then all of them have begun to download it, with
    /// the numbers of their downloads.
    pub fn requesters(&self, wanted: &str, labels: &[&str]) -> Vec<(Arc<Node>, u64)> {
        let nodes = labels.iter().map(|label| self.node(label)).collect::<Vec<_>>();
        for node in &nodes {
            until("its owner is found", LONG, || node.lookup(&name(wanted)).is_ok());
        }
        let begin = |node: Arc<Node>| {
            let id = node.download(&name(wanted), From::All).unwrap();
            (node, id)
        };
        nodes.into_iter().map(begin).collect()
    }

    /// Until the tracker lists `label` with so many files.
    pub fn wait_for(&self, label: &str, files: usize) {
        let lists = || {
            let peers = self.tracker.peers();
            peers.iter().any(|p| p.node.as_str() == label && p.files >= files as u64)
        };
        until(&format!("{label} is listed with {files} files"), LONG, lists);
    }

    /// Lets go of nodes that a test has dropped, so that they can be started again.
    pub fn forget(&self) {
        self.nodes.lock().retain(|node| Arc::strong_count(node) > 1);
    }

    /// What `parvi get` would do.
    pub fn get(
        &self,
        wanted: &str,
        out: &Path,
        ack: Duration,
    ) -> Result<Vec<DownloadReport>, Fault> {
        let config = GetConfig {
            name: name(wanted),
            from: From::All,
            trackers: vec![self.tracker.addr().to_string()],
            out: out.to_owned(),
            listen: Ipv4Addr::LOCALHOST.into(),
            swarm_key: self.key.clone(),
            bulk: Bulk::Private,
            fsync: false,
            down: None,
            ack_timeout: ack,
        };
        parvi::node::get(config, &|| false, &mut |_| {}).map(|(_, reports)| reports)
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        self.nodes.lock().iter().for_each(|node| node.stop());
        self.tracker.stop();
        if !std::thread::panicking() {
            assert_eq!(*PANICS.lock(), Vec::<String>::new());
        }
    }
}

/// Downloads `wanted` from everybody and waits for its end.
pub fn download(node: &Node, wanted: &str) -> Result<Vec<DownloadReport>, Fault> {
    let id = node.download(&name(wanted), From::All)?;
    match node.wait(id, LONG)? {
        Some(reports) => Ok(reports),
        None => panic!("{wanted} hangs: {:?}", node.transfers()),
    }
}

/// Downloads one file, which must arrive as `content`; returns its report.
pub fn download_equal(node: &Node, wanted: &str, content: &[u8]) -> DownloadReport {
    let report = download(node, wanted).unwrap().remove(0);
    assert_eq!(report.root, Root::of(content), "{wanted}: another content was asked for");
    assert!(fs::read(&report.path).unwrap() == content, "{wanted}: wrong bytes under its name");
    report
}

/// Bytes that one owner sent of a file.
pub fn from_node(report: &DownloadReport, label: &str) -> u64 {
    report.sources.iter().filter(|s| s.node.as_str() == label).map(|s| s.bytes).sum()
}

pub fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Every path below `dir`, ascending.
pub fn tree(dir: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        paths.push(entry.path());
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            paths.extend(tree(&entry.path()));
        }
    }
    paths.sort();
    paths
}
