//! From parsed arguments to a running node or tracker.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::{Signal, set_parent_process_death_signal};

use super::args::{NodeArgs, SwarmArgs, TrackerArgs};
use super::daemon::Daemon;
use super::layers::Environment;
use super::life::Life;
use super::node_commands::NodeDaemon;
use super::printer::Printer;
use super::serve::{Serving, serve, watch_signals};
use super::tracker_commands::TrackerDaemon;
use super::{logging, terminal, tools};
use crate::base::{Fault, FaultKind};
use crate::io::link::SwarmKey;
use crate::io::{descriptors, local};
use crate::logic::replication::Patience;
use crate::node::{Node, NodeConfig, ReplicaConfig};
use crate::tracker::{Replicas, Tracker, TrackerConfig};

/// `parvi node`.
///
/// # Errors
/// What kept the node from serving.
pub(super) fn node(args: NodeArgs, env: Environment<'_>) -> Result<(), Fault> {
    let data = node_data(args.data, env)?;
    let swarm_key = swarm_key(&args.swarm, env)?;
    let (life, printer) = prepare(&args.swarm, args.headless, env)?;
    if args.generate_if_empty {
        tools::generate_if_empty(&data.join("shared"), args.name.as_ref())?;
    }
    let node = Node::start(&NodeConfig {
        trackers: args.tracker,
        data: data.clone(),
        label: args.name,
        listen: args.listen,
        advertise: args.advertise,
        port_base: args.port_base,
        heartbeat: args.heartbeat,
        ack_timeout: args.ack_timeout,
        up: args.up,
        down: args.down,
        swarm_key,
        bulk: args.swarm.bulk,
        fsync: args.swarm.fsync,
        share_downloaded: args.share_downloaded,
        replicas: ReplicaConfig { off: args.no_replicas, quota: args.replica_quota },
        scrub: args.scrub_rate,
    })?;
    let ready = node.ready();
    let greeting = format!(
        "***** START {} *****\nready {} search={} size={} chunk={}\n",
        node.ip(),
        ready.node,
        ready.search,
        ready.size,
        ready.chunk
    );
    let daemon: Arc<dyn Daemon> = Arc::new(NodeDaemon(node));
    let how = Serving { data: &data, headless: args.headless, greeting };
    serve(&daemon, &life, &printer, &how)
}

/// `parvi tracker`.
///
/// # Errors
/// What kept the tracker from serving.
pub(super) fn tracker(args: TrackerArgs, env: Environment<'_>) -> Result<(), Fault> {
    let data = match args.data {
        Some(data) => data,
        None => home(env)?.join(".local/state/parvi-tracker"),
    };
    let swarm_key = swarm_key(&args.swarm, env)?;
    let (life, printer) = prepare(&args.swarm, args.headless, env)?;
    let patience = Patience { grace: args.replica_grace, calm: args.replica_calm };
    let replicas = Replicas { copies: args.replicas, rules: args.replicas_for, patience };
    let tracker = Tracker::start(TrackerConfig {
        listen: args.listen,
        data: data.clone(),
        swarm_key,
        bulk: args.swarm.bulk,
        replicas,
    })?;
    let greeting = tracker_greeting(tracker.addr());
    let daemon: Arc<dyn Daemon> = Arc::new(TrackerDaemon(tracker));
    serve(&daemon, &life, &printer, &Serving { data: &data, headless: args.headless, greeting })
}

/// A tracker's first lines: an address that others can use, also where it listens on all of them.
fn tracker_greeting(mut addr: SocketAddr) -> String {
    if addr.ip().is_unspecified() {
        addr.set_ip(local::usual_address());
    }
    format!("***** START {} *****\nready tracker listen={addr}\n", addr.ip())
}

/// Printer, log and signals, in this order: a start that fails must be able to say so.
fn prepare(
    swarm: &SwarmArgs,
    headless: bool,
    env: Environment<'_>,
) -> Result<(Arc<Life>, Printer), Fault> {
    if let Some(parent) = swarm.end_with {
        end_with(parent)?;
    }
    let (life, printer) = (Arc::new(Life::default()), Printer::start()?);
    start_log(swarm, env, Some(&printer))?;
    watch_signals(&life)?;
    if !headless && std::io::stdin().is_terminal() {
        terminal::cap_descriptors();
    } else {
        descriptors::raise();
    }
    Ok((life, printer))
}

/// Has the kernel kill this process when `parent` ends, which has started it.
///
/// # Errors
/// It has ended already.
fn end_with(parent: u32) -> Result<(), Fault> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|e| Fault::other(format!("cannot watch the process of --end-with: {e}")))?;
    if std::os::unix::process::parent_id() == parent {
        return Ok(());
    }
    Err(Fault::other(format!("--end-with {parent}: it has not started this process, or has ended")))
}

/// Starts the log as the flags and `PARVI_LOG` say.
///
/// # Errors
/// When the log file cannot be opened.
pub(super) fn start_log(
    swarm: &SwarmArgs,
    env: Environment<'_>,
    printer: Option<&Printer>,
) -> Result<(), Fault> {
    logging::start(log_filter(env).as_deref(), swarm.log_file.as_deref(), printer)
}

/// `PARVI_LOG`.
pub(super) fn log_filter(env: Environment<'_>) -> Option<String> {
    env("PARVI_LOG").filter(|v| !v.is_empty()).map(|v| v.to_string_lossy().into_owned())
}

/// The data directory of a node, and of what talks to one.
///
/// # Errors
/// `Usage` when neither a flag nor a home tells.
pub(super) fn node_data(given: Option<PathBuf>, env: Environment<'_>) -> Result<PathBuf, Fault> {
    given.map_or_else(|| Ok(home(env)?.join("parvi")), Ok)
}

fn home(env: Environment<'_>) -> Result<PathBuf, Fault> {
    let set = env("HOME").filter(|home: &OsString| Path::new(home).is_absolute());
    set.map(PathBuf::from).ok_or_else(|| {
        Fault::new(FaultKind::Usage, "HOME is not set; name a directory with --data")
    })
}

/// The swarm's key: from the file that a flag names, else `PARVI_SWARM_KEY` itself.
///
/// # Errors
/// `Usage`: the file cannot be read, or there is no key in it or in the variable.
pub(super) fn swarm_key(
    swarm: &SwarmArgs,
    env: Environment<'_>,
) -> Result<Option<SwarmKey>, Fault> {
    let usage = |text: String| Fault::new(FaultKind::Usage, text);
    if let Some(path) = &swarm.swarm_key_file {
        let shown = path.display();
        let key = SwarmKey::from_file(path);
        return key.map(Some).map_err(|e| usage(format!("--swarm-key-file {shown}: {e}")));
    }
    let Some(key) = env("PARVI_SWARM_KEY").filter(|k| !k.is_empty()) else { return Ok(None) };
    let key = key.to_string_lossy().parse::<SwarmKey>();
    key.map(Some).map_err(|e| usage(format!("PARVI_SWARM_KEY: {e}; parvi key makes one")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracker_on_all_addresses_names_one_that_can_be_dialled() {
        for any in ["0.0.0.0:12345", "[::]:12345"] {
            let greeting = tracker_greeting(any.parse().unwrap());
            let usual = SocketAddr::new(local::usual_address(), 12345);
            assert!(greeting.ends_with(&format!("ready tracker listen={usual}\n")), "{greeting}");
            assert!(!usual.ip().is_unspecified(), "{usual}");
        }
        let one = tracker_greeting("10.0.0.1:7".parse().unwrap());
        assert_eq!(one, "***** START 10.0.0.1 *****\nready tracker listen=10.0.0.1:7\n");
    }
}
