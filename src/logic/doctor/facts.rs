//! What the rules go by: plain values, gathered elsewhere (`io::doctor`, and whoever runs).
//!
//! Invariant: bounded, and nothing secret in it: of a key only whether it is one.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// All of it.
#[derive(Debug, Clone)]
pub struct Facts {
    /// A node or a tracker.
    pub role: Role,
    /// Whether it runs; otherwise these are the facts that it would start with.
    pub running: bool,
    /// Where its files are.
    pub disk: Disk,
    /// What time it is.
    pub clock: Clock,
    /// What the system lets it have.
    pub limits: Limits,
    /// Its listeners; none where it takes any free ports.
    pub listeners: Vec<Listener>,
    /// Its addresses.
    pub addresses: Addresses,
    /// The file of its identity.
    pub identity: KeyFile,
    /// The swarm's key.
    pub swarm_key: SwarmKey,
    /// A node's trackers.
    pub trackers: Vec<Tracker>,
    /// Some of the nodes that are known.
    pub nodes: Vec<Met>,
    /// How many are known in all.
    pub nodes_known: u64,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A node.
    Node,
    /// A tracker.
    Tracker,
}

/// The file system below the data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// On a disk, as far as can be told.
    Local,
    /// In memory: gone after a restart.
    Memory,
    /// On another machine; with its name.
    Network(&'static str),
}

/// The data directory.
#[derive(Debug, Clone)]
pub struct Disk {
    /// The data directory.
    pub path: String,
    /// Whether it is there; otherwise the rest is about the folder in which it would be made.
    pub exists: bool,
    /// What could not be found out, in words.
    pub unknown: Option<String>,
    /// The kind of file system.
    pub kind: FileSystem,
    /// Nothing can be written.
    pub read_only: bool,
    /// Bytes free for this user.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
    /// Files that can be made, and that there can be; where the file system has a bound.
    pub inodes: Option<(u64, u64)>,
    /// Folders that this user may not write, or read.
    pub denied: Vec<(String, &'static str)>,
    /// Others may look into `.parvi`: its mode.
    pub open_mode: Option<u32>,
    /// Files on their way that wait.
    pub parts: u64,
    /// The room they have taken, bytes.
    pub parts_bytes: u64,
}

/// A file of the person whose time is to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Future {
    /// How many there are.
    pub files: u64,
    /// The furthest of them.
    pub path: String,
    /// How far ahead that is.
    pub ahead: Duration,
}

/// The wall clock.
#[derive(Debug, Clone)]
pub struct Clock {
    /// Seconds since 1970.
    pub unix_s: i64,
    /// The same for people.
    pub shown: String,
    /// Seconds that the wall clock has gone further than the monotonic one since the start.
    pub jumped_s: Option<i64>,
    /// Files from the future.
    pub future: Option<Future>,
}

/// What the system lets a process have.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open files and connections at once; none: no bound.
    pub files: Option<u64>,
    /// The most that can be asked for.
    pub files_hard: Option<u64>,
    /// Open now.
    pub files_open: u64,
    /// Folders that this user may watch.
    pub watches: Option<u64>,
    /// Folders that are shared.
    pub folders: u64,
}

/// A port.
#[derive(Debug, Clone)]
pub struct Listener {
    /// `search`, `size`, `chunk`, `tracker`.
    pub name: &'static str,
    /// Where.
    pub addr: SocketAddr,
    /// What is there.
    pub door: Door,
}

/// What there is at a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Door {
    /// Nobody listens: it can be taken.
    Free,
    /// Somebody else listens.
    Taken,
    /// The address is not this machine's.
    NotOurs,
    /// This user may not take it.
    Forbidden,
    /// It cannot be taken for another reason.
    Unusable(String),
    /// We listen, and answered a call from here.
    Serves,
    /// We listen, and a call from here did not come through.
    Silent(String),
}

/// An address of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name, `eth0`.
    pub name: String,
    /// The address.
    pub ip: IpAddr,
    /// Bits of it that all on the same network have.
    pub prefix: u8,
}

/// The addresses.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// `--listen`.
    pub listen: IpAddr,
    /// `--advertise`.
    pub advertise: Option<IpAddr>,
    /// All that the machine has.
    pub interfaces: Vec<Interface>,
    /// Whether this process is in a container.
    pub container: bool,
}

/// A file with a key in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// Where.
    pub path: String,
    /// How it is.
    pub state: KeyState,
}

/// How a key file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyState {
    /// There is none.
    Missing,
    /// It cannot be read.
    Unreadable(String),
    /// There is no key in it.
    Malformed,
    /// Others can read it: its mode.
    Open(u32),
    /// A key, and only its owner's.
    Fine,
}

/// The swarm's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SwarmKey {
    /// None.
    None,
    /// One, and no file to look at.
    Given,
    /// One in a file.
    File(KeyFile),
}

/// A tracker, as a node sees it.
#[derive(Debug, Clone)]
pub struct Tracker {
    /// As given.
    pub name: String,
    /// How a call there went.
    pub call: Call,
    /// A running node's registration.
    pub registered: Option<Registered>,
}

/// A node's registration at a tracker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// For how long; none: it is not registered.
    pub since: Option<Duration>,
    /// Why not.
    pub reason: String,
    /// Whether that is because another node there has the same identity.
    pub in_use: bool,
    /// Whether the tracker has called the node back.
    pub called_back: bool,
}

/// How a call to a tracker went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// It took too long.
    Late,
    /// The name means no address: why.
    NoName(String),
    /// Nobody there.
    NoWay(SocketAddr, Unreachable),
    /// Somebody else is there.
    NotParvi(SocketAddr),
    /// Another version.
    Version {
        /// Ours.
        ours: u16,
        /// Theirs.
        theirs: u16,
    },
    /// It has another swarm key.
    KeysDiffer,
    /// It has a swarm key, and we have none.
    KeyOnlyThere,
    /// We have a swarm key, and it has none.
    KeyOnlyHere,
    /// It has no room.
    Busy,
    /// It is a node.
    NotATracker(SocketAddr),
    /// Anything else.
    Failed(String),
    /// It answered.
    Answered(Answered),
}

/// What a tracker answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Where.
    pub at: SocketAddr,
    /// How long it took from the dial to the answer.
    pub took: Duration,
    /// How many nodes it lists.
    pub nodes: u64,
    /// Under which address it lists this node.
    pub listed: Option<IpAddr>,
}

/// Why nobody could be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreachable {
    /// Nothing listens on that port.
    Refused,
    /// No answer at all.
    Silent,
    /// There is no way there.
    NoRoute,
    /// Anything else.
    Other(String),
}

/// A node that was called, or that a tracker has called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    /// Its label.
    pub label: String,
    /// Its chunk listener.
    pub addr: SocketAddr,
    /// Why it was not met there, if it was not.
    pub failed: Option<String>,
}
