//! `parvi doctor`: asks whoever runs on the data directory, or looks around as a node would that is
//! started with these flags.
//!
//! Invariant: nothing is changed, and every wait has its deadline: five seconds in all. Ends with 0 when
//! there is no problem, with 1 otherwise.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::{DoctorArgs, NodeArgs};
use super::ctl::Answer;
use super::ctl::client::Client;
use super::daemon::Request;
use super::layers::Environment;
use super::outcome::Outcome;
use super::render::render;
use super::{output, run};
use crate::base::name::PRIVATE_FOLDER;
use crate::base::{Fault, PeerInfo};
use crate::io::clock;
use crate::io::doctor::{
    Answer as Told, Calls, addresses, clock_and_limits, disk, free_ports, key_file,
};
use crate::io::link::SwarmKey as Key;
use crate::io::threads::Group;
use crate::logic::doctor::{Facts, KeyState, Role, SwarmKey, Tracker, examine};

/// Trackers have so long to answer, and then nodes.
const TRACKERS_TIME_MAX: Duration = Duration::from_millis(2_500);
const NODES_TIME_MAX: Duration = Duration::from_millis(1_500);
/// A daemon that is well answers sooner.
const DAEMON_TIME_MAX: Duration = Duration::from_secs(6);

/// `parvi doctor`; returns the exit code.
///
/// # Errors
/// A daemon runs and does not answer; flags that no node starts with.
pub(super) fn doctor(args: DoctorArgs, env: Environment<'_>) -> Result<u8, Fault> {
    let data = run::node_data(args.node.data.clone(), env)?;
    if let Ok(client) = Client::connect(&data) {
        return ask(client, &data, args.json);
    }
    run::start_log(&args.node.swarm, env, None)?;
    let outcome = Outcome::Doctor(examine(&facts(args.node, &data, env)?));
    output::out(&render(&outcome, args.json)?);
    outcome.fault().map_or(Ok(0), Err)
}

/// The running daemon knows best.
fn ask(client: Client, data: &Path, json: bool) -> Result<u8, Fault> {
    let hangs = |why: String| {
        let shown = data.display();
        Fault::other(format!(
            "a node or tracker runs on {shown} and does not answer: {why}; end it (its number is in \
             {shown}/{PRIVATE_FOLDER}/lock) and start it again"
        ))
    };
    client.set_patience(DAEMON_TIME_MAX).map_err(|e| hangs(e.to_string()))?;
    let request = Request { words: vec!["doctor".into()], json, folder: None };
    let tell = &mut |answer: &Answer| match answer {
        Answer::Out(text) => output::out(text),
        Answer::Err(text) => output::err(text),
        Answer::Exit(_) => {}
    };
    client.ask(&request, tell).map_err(|fault| hangs(fault.text))
}

/// What a node would find that is started with these flags.
fn facts(args: NodeArgs, data: &Path, env: Environment<'_>) -> Result<Facts, Fault> {
    let (swarm_key, key) = swarm_key(&args, env)?;
    let calls = Calls::new(args.listen, key, Group::new("doctor"));
    let calls = calls.map_err(|e| Fault::other(e.to_string()))?;
    let asked = calls.trackers(&args.tracker, None, clock::now() + TRACKERS_TIME_MAX);
    let listeners = args.port_base.map(|base| free_ports(args.listen, base)).unwrap_or_default();
    let (clock, limits) = clock_and_limits(data, None);
    let answers = asked.wait();
    let known: Vec<PeerInfo> = answers.iter().flat_map(|a| a.nodes.iter().cloned()).collect();
    let mut nodes = known;
    nodes.sort_by_key(|node| node.id);
    nodes.dedup_by_key(|node| node.id);
    let nodes_known = answers.iter().map(Told::known).max().unwrap_or(0);
    let nodes = calls.nodes(nodes, clock::now() + NODES_TIME_MAX).wait();
    let names = args.tracker.into_iter();
    let trackers = names
        .zip(answers)
        .map(|(name, answer)| Tracker { name, call: answer.call, registered: None })
        .collect();
    Ok(Facts {
        role: Role::Node,
        running: false,
        disk: disk(data),
        clock,
        limits,
        listeners,
        addresses: addresses(args.listen, args.advertise),
        identity: key_file(&data.join(PRIVATE_FOLDER).join("id")),
        swarm_key,
        trackers,
        nodes,
        nodes_known,
    })
}

/// The swarm's key, and how it looks; one in a file that cannot be used is none.
fn swarm_key(args: &NodeArgs, env: Environment<'_>) -> Result<(SwarmKey, Option<Key>), Fault> {
    let file: Option<&PathBuf> = args.swarm.swarm_key_file.as_ref();
    if let Some(seen) = file.map(|path| key_file(path)) {
        let usable = matches!(seen.state, KeyState::Fine | KeyState::Open(_));
        let key = if usable { run::swarm_key(&args.swarm, env)? } else { None };
        return Ok((SwarmKey::File(seen), key));
    }
    let key = run::swarm_key(&args.swarm, env)?;
    Ok((if key.is_some() { SwarmKey::Given } else { SwarmKey::None }, key))
}
