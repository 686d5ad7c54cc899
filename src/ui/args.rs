//! The command line: every subcommand and flag, with its words.
//!
//! Invariant: each flag `--some-flag` has the twin `PARVI_SOME_FLAG` in the environment and the
//! key `some-flag` in the file of `--config`. `ui::layers` derives both from the name, so none can
//! be forgotten; nothing here reads the environment.

mod eval;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

pub use self::eval::{EvalArgs, What};
use super::values;
use crate::base::{Name, NodeLabel, Rate, RootPrefix};
use crate::io::link::Bulk;
use crate::io::prepare::Owner;
use crate::logic::scrub::ScrubPace;
use crate::wire::message::find::Pattern;

const AFTER: &str = "Every flag can also be given as PARVI_<FLAG> in the environment (--ack-timeout: \
PARVI_ACK_TIMEOUT) and, where --config is taken, as a key of that file (ack-timeout = 20).\n\
Order: flag, environment, file, default. PARVI_LOG filters the log (warn, debug, parvi::node=trace).\n\
A swarm key comes from --swarm-key-file or PARVI_SWARM_KEY, never from the command line.\n\n\
Exit codes: 0 done, 1 other, 2 usage, 3 not found, 4 no owner reachable, 5 integrity,\n\
6 network or timeout, 7 unfinished but resumable, 9 disk full, 13 exists or conflict.";

/// Share files by name among the machines of a lab, a class, an office: verified, in parallel.
#[derive(Debug, Parser)]
#[command(name = "parvi", version, about, after_help = AFTER, disable_help_subcommand = true)]
#[command(max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub task: Task,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Run a tracker: it knows the live nodes and what they have.
    Tracker(TrackerArgs),
    /// Run a node: it shares a data directory and downloads into it.
    Node(NodeArgs),
    /// Send a prompt command to the node or tracker that runs on a data directory.
    Ctl(CtlArgs),
    /// Fetch a file or folder once, without a daemon: find, fetch, verify, leave.
    Get(GetArgs),
    /// Show it all: a tracker and four nodes on loopback in a temporary folder.
    Demo(DemoArgs),
    /// Measure swarms of several sizes on this machine, and write tables and plots.
    Eval(EvalArgs),
    /// Write a reproducible data set: the same seed gives the same bytes.
    Generate(GenerateArgs),
    /// Exit 0 when the tracker or node on a data directory answers (for container health checks).
    Health(HealthArgs),
    /// Say what is wrong with a node, its machine and its swarm, and what to do about it.
    Doctor(DoctorArgs),
    /// Print a systemd unit for a node or tracker, and how to install it.
    Service(ServiceArgs),
    /// Print a new swarm key.
    Key,
    /// Make ready what containers mount: folders, first files, a swarm key.
    #[command(hide = true)]
    Prepare(PrepareArgs),
    /// Look at a node's log of uploads; nothing is changed.
    Wal {
        /// What to do.
        #[command(subcommand)]
        task: WalTask,
    },
    /// Print the completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff).
    Man,
}

/// `parvi wal`.
#[derive(Debug, Subcommand)]
pub enum WalTask {
    /// Print every record.
    Dump {
        /// A node's data directory, or its log's.
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
    /// Say what is damaged, and how many records a node would get.
    Verify {
        /// A node's data directory, or its log's.
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

/// Flags of everything that talks to peers.
#[derive(Debug, Args)]
pub struct SwarmArgs {
    /// File with the swarm key: 64 hex digits. Only nodes with the same key meet.
    #[arg(long, value_name = "FILE")]
    pub swarm_key_file: Option<PathBuf>,
    /// Chunk bytes: private (inside the cipher) or clear (raw where both ends say so; still verified).
    #[arg(long, value_name = "private|clear", default_value = "private", value_parser = values::bulk)]
    pub bulk: Bulk,
    /// Whether a file is on disk before it gets its name.
    #[arg(long, value_name = "yes|no", default_value = "yes", value_parser = values::yes_no)]
    #[arg(action = clap::ArgAction::Set)]
    pub fsync: bool,
    /// Be killed when the process PID, which has started this one, ends: for demonstrations.
    #[arg(long, value_name = "PID", hide = true)]
    pub end_with: Option<u32>,
    /// Write the log to FILE (appended) instead of standard error.
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Read flags from FILE: `flag = value`, one a line.
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
}

/// `parvi tracker`.
#[derive(Debug, Args)]
pub struct TrackerArgs {
    /// Where to serve; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:12345", value_parser = values::socket)]
    pub listen: SocketAddr,
    /// Data directory [default: ~/.local/state/parvi-tracker].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Copies of every shared file on different nodes, its owner's counted; 1 makes none.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value = "2", value_parser = values::replicas)]
    pub replicas: u32,
    /// Other numbers for some files, like *.tmp=1; the first that fits a name counts. Several with
    /// commas or by repeating the flag.
    #[arg(long, value_name = "PATTERN=N", value_delimiter = ',', value_parser = values::replicas_for)]
    pub replicas_for: Vec<(Pattern, u32)>,
    /// How long a node may be away before its files are copied elsewhere.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = values::seconds, hide = true)]
    pub replica_grace: Duration,
    /// How long copies that are too many are kept after the last change among them.
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = values::seconds, hide = true)]
    pub replica_calm: Duration,
    /// No prompt: do not read standard input.
    #[arg(long)]
    pub headless: bool,
    /// What all that talk to peers share.
    #[command(flatten)]
    pub swarm: SwarmArgs,
}

/// `parvi node`.
#[derive(Debug, Args)]
pub struct NodeArgs {
    /// A tracker; several with commas or by repeating the flag.
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', value_parser = values::host_port)]
    pub tracker: Vec<String>,
    /// Data directory, with shared/ and downloaded/ inside [default: ~/parvi].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// What others call this node [default: the host's name].
    #[arg(long, value_name = "NAME", value_parser = values::label)]
    pub name: Option<NodeLabel>,
    /// The address to serve on and to dial from.
    #[arg(long, value_name = "IP", default_value = "0.0.0.0", value_parser = values::ip)]
    pub listen: IpAddr,
    /// The address at which others reach this node, where it differs.
    #[arg(long, value_name = "IP", value_parser = values::dialable_ip)]
    pub advertise: Option<IpAddr>,
    /// Search, size and chunk ports: PORT and the two after it [default: free ones].
    #[arg(long, value_name = "PORT", allow_negative_numbers = true, value_parser = values::port_base)]
    pub port_base: Option<u16>,
    /// How long a transfer may stand still before its connection is given up and made anew.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, default_value = "20", value_parser = values::seconds)]
    pub ack_timeout: Duration,
    /// How often the tracker is told that this node lives.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, default_value = "10", value_parser = values::seconds)]
    pub heartbeat: Duration,
    /// Most bytes per second sent, like 20MiB [default: no bound].
    #[arg(long, value_name = "RATE", value_parser = values::rate)]
    pub up: Option<Rate>,
    /// Most bytes per second received [default: no bound].
    #[arg(long, value_name = "RATE", value_parser = values::rate)]
    pub down: Option<Rate>,
    /// Most bytes of copies kept for others, like 20GiB [default: a tenth of the disk].
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    pub replica_quota: Option<u64>,
    /// Keep no further copies for others; those that are here stay.
    #[arg(long)]
    pub no_replicas: bool,
    /// Whether others may have what was downloaded.
    #[arg(long, value_name = "yes|no", default_value = "yes", value_parser = values::yes_no)]
    #[arg(action = clap::ArgAction::Set)]
    pub share_downloaded: bool,
    /// How fast stored files are read to find what rots, like 5MiB; off: only when asked for
    /// [default: all of them in a month].
    #[arg(long, value_name = "RATE|off", default_value = "auto", hide_default_value = true)]
    #[arg(value_parser = values::scrub_rate)]
    pub scrub_rate: ScrubPace,
    /// Something to share at once: a folder of generated files, when nothing is shared yet.
    #[arg(long)]
    pub generate_if_empty: bool,
    /// No prompt: do not read standard input.
    #[arg(long)]
    pub headless: bool,
    /// What all that talk to peers share.
    #[command(flatten)]
    pub swarm: SwarmArgs,
}

/// `parvi ctl`.
#[derive(Debug, Args)]
pub struct CtlArgs {
    /// Data directory of the running node or tracker [default: ~/parvi].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// One JSON document on standard output.
    #[arg(long)]
    pub json: bool,
    /// The command; `help` lists them.
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub words: Vec<String>,
}

/// `parvi get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// The file or folder; of several files of one name, the one with this root.
    #[arg(value_name = "NAME[@ROOT]", value_parser = values::content)]
    pub name: (Name, Option<RootPrefix>),
    /// A tracker; several with commas or by repeating the flag.
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', value_parser = values::host_port)]
    pub tracker: Vec<String>,
    /// Folder to put it in.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// The address to dial from.
    #[arg(long, value_name = "IP", default_value = "0.0.0.0", value_parser = values::ip)]
    pub listen: IpAddr,
    /// Most bytes per second received [default: no bound].
    #[arg(long, value_name = "RATE", value_parser = values::rate)]
    pub down: Option<Rate>,
    /// How long all owners may be silent before the attempt is given up.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, default_value = "20", value_parser = values::seconds)]
    pub ack_timeout: Duration,
    /// One JSON document on standard output.
    #[arg(long)]
    pub json: bool,
    /// What all that talk to peers share.
    #[command(flatten)]
    pub swarm: SwarmArgs,
}

/// `parvi demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Size of the file fetched from three owners, MiB.
    #[arg(long, value_name = "MIB", allow_negative_numbers = true, default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub size: u32,
}

/// `parvi doctor`.
#[derive(Debug, Args)]
#[command(
    after_help = "Takes the flags that the node is started with. Where a node or tracker runs on the \
data directory, that one is asked and answers for itself.\nExit code: 0 when there is no problem, 1 otherwise."
)]
pub struct DoctorArgs {
    /// One JSON document on standard output.
    #[arg(long)]
    pub json: bool,
    /// As of `parvi node`.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// `parvi service`.
#[derive(Debug, Args)]
pub struct ServiceArgs {
    /// For your own systemd: it runs as you, from your home.
    #[arg(long, conflicts_with = "system")]
    pub user: bool,
    /// For the machine's systemd, which is the default.
    #[arg(long)]
    pub system: bool,
    /// The user it runs as [default: one that systemd makes, or parvi when --data is given].
    #[arg(long, value_name = "USER", value_parser = values::account)]
    pub account: Option<String>,
    /// What to run.
    #[arg(value_enum, default_value = "node")]
    pub role: ServiceRole,
    /// Its flags, as after `parvi node` or `parvi tracker`.
    #[arg(value_name = "FLAGS", last = true)]
    pub flags: Vec<String>,
}

/// What a service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ServiceRole {
    /// A node.
    Node,
    /// A tracker.
    Tracker,
}

/// `parvi generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// Folder to write into; made when missing.
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Text files of 1 to 10 KiB.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub small: u32,
    /// Binary files of 5 to 10 MiB.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 4,
        value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub large: u32,
    /// What the bytes follow from.
    #[arg(long, value_name = "S", allow_negative_numbers = true, default_value_t = 1)]
    pub seed: u64,
}

/// `parvi prepare`: what the scripts and docker-compose.yml run before nodes start.
#[derive(Debug, Args)]
pub struct PrepareArgs {
    /// Below it, a data directory for each NAME.
    #[arg(long, value_name = "DIR")]
    pub volumes: PathBuf,
    /// Below it, a folder of logs for each NAME.
    #[arg(long, value_name = "DIR")]
    pub logs: PathBuf,
    /// Where swarm.key is made, when missing.
    #[arg(long, value_name = "DIR")]
    pub keys: PathBuf,
    /// First files for a NAME whose directory is missing or empty.
    #[arg(long, value_name = "DIR")]
    pub first_files: Option<PathBuf>,
    /// Who must be able to write it all.
    #[arg(long, value_name = "UID:GID")]
    pub owner: Option<Owner>,
    /// Nodes, or the tracker.
    #[arg(value_name = "NAME", value_parser = values::label)]
    pub names: Vec<NodeLabel>,
}

/// `parvi health`.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Data directory of the node or tracker [default: ~/parvi].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}
