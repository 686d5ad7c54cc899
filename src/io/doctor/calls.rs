//! Calls to trackers and nodes: each on a thread of its own, all by one deadline.
//!
//! Calls are made under an identity of the moment, so that a tracker tells what it tells strangers of this
//! node too, and nobody takes the call for a node's own connection.
//!
//! Bounds: `NODES_MAX` nodes, a thread a call, one doctor at a time (`Calls::begin`). A name that is being
//! resolved cannot be interrupted: its thread ends by itself, its caller no longer waits, and the next
//! doctor is told to come later.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use parking_lot::{Mutex, MutexGuard};

use crate::base::{NodeId, PeerInfo, Time};
use crate::io::clock;
use crate::io::link::{
    Bulk, KeyError, KeyMismatch, Link, LinkConfig, LinkError, StaticKey, SwarmKey, Timeouts, dial,
};
use crate::io::threads::{Group, receive};
use crate::logic::doctor::{Answered, Call, Door, Listener, Met, Unreachable};
use crate::wire::Message;
use crate::wire::message::tracker::{PeersQuestion, Stamp, Why};

/// Nodes called.
const NODES_MAX: usize = 8;
/// Trackers called: each has its thread.
const TRACKERS_MAX: usize = 16;
/// Pages of a tracker's list that are looked through for this node.
const PAGES_MAX: u32 = 12;
/// Why a call that took too long has not met anybody.
const LATE: &str = "no answer in time";
/// With less time than this left, no call is begun.
const CALL_TIME_MIN: Duration = Duration::from_millis(100);

/// Who calls.
pub struct Calls {
    config: LinkConfig,
    bind: IpAddr,
    group: Group,
    /// One for each call that goes on.
    permits: Arc<()>,
    one: Mutex<()>,
}

/// What came of a call to a tracker.
#[derive(Debug, Clone)]
pub struct Answer {
    /// How it went.
    pub call: Call,
    /// Some of the nodes it lists.
    pub nodes: Vec<PeerInfo>,
}

impl Answer {
    /// How many nodes it lists.
    pub fn known(&self) -> u64 {
        match &self.call {
            Call::Answered(answered) => answered.nodes,
            _ => 0,
        }
    }
}

impl Calls {
    /// Calls from `bind`, in a swarm of this key, on threads of `group`.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn new(bind: IpAddr, swarm: Option<SwarmKey>, group: Group) -> Result<Calls, KeyError> {
        let config = LinkConfig::new(StaticKey::generate()?, swarm, Bulk::Private);
        Ok(Calls { config, bind, group, permits: Arc::default(), one: Mutex::default() })
    }

    /// The right to call, for one at a time; none while calls of the last one still go on.
    pub fn begin(&self) -> Option<MutexGuard<'_, ()>> {
        self.one.try_lock().filter(|_| Arc::strong_count(&self.permits) == 1)
    }

    /// Calls all of `trackers`, by name, and looks for `me` on their lists.
    pub fn trackers(
        &self,
        trackers: &[String],
        me: Option<NodeId>,
        deadline: Time,
    ) -> Pending<Answer> {
        let (config, bind) = (self.config.clone(), self.bind);
        let late = |name: &String| (name.clone(), Answer { call: Call::Late, nodes: Vec::new() });
        let ask = move |name: String| ask_tracker(&name, bind, &config, me, deadline);
        self.all(trackers.iter().take(TRACKERS_MAX).map(late).collect(), ask, deadline)
    }

    /// Calls some of these nodes at their chunk listeners.
    pub fn nodes(&self, nodes: Vec<PeerInfo>, deadline: Time) -> Pending<Met> {
        let (config, bind) = (self.config.clone(), self.bind);
        let met = |node: &PeerInfo, failed| Met {
            label: node.label.to_string(),
            addr: node.chunk(),
            failed,
        };
        let call = move |node: PeerInfo| {
            let failed = call(node.chunk(), bind, &config, Some(node.id), deadline).err();
            met(&node, failed.map(|e| e.to_string()))
        };
        let late = |node: PeerInfo| (node.clone(), met(&node, Some(LATE.into())));
        self.all(nodes.into_iter().take(NODES_MAX).map(late).collect(), call, deadline)
    }

    /// Calls our own listeners from here: `me` must answer at `dial`.
    pub fn listeners(
        &self,
        (me, dial): (NodeId, IpAddr),
        listen: IpAddr,
        ports: &[(&'static str, u16)],
        deadline: Time,
    ) -> Pending<Listener> {
        let config = self.config.clone();
        let listener =
            move |(name, port), door| Listener { name, addr: SocketAddr::new(listen, port), door };
        let late = |port: &(&'static str, u16)| (*port, listener(*port, Door::Silent(LATE.into())));
        let call = move |port: (&'static str, u16)| {
            let at = SocketAddr::new(dial, port.1);
            let met = call(at, listen, &config, Some(me), deadline);
            listener(port, met.map_or_else(|e| Door::Silent(e.to_string()), |_| Door::Serves))
        };
        self.all(ports.iter().map(late).collect(), call, deadline)
    }

    /// Begins to do `each` of these on a thread of its own; beside each what it is when it is late.
    fn all<A: Send + 'static, B: Send + 'static>(
        &self,
        what: Vec<(A, B)>,
        each: impl Fn(A) -> B + Send + Sync + 'static,
        deadline: Time,
    ) -> Pending<B> {
        let (send, answers) = bounded(what.len());
        let (each, mut done) = (Arc::new(each), Vec::new());
        for (number, (one, late)) in what.into_iter().enumerate() {
            let (send, each, permit) = (send.clone(), each.clone(), self.permits.clone());
            let run = move || {
                let answer = each(one);
                // Nobody waits any more for one that is late.
                send.send((number, answer)).ok();
                drop(permit);
            };
            if let Err(e) = self.group.spawn("doctor", run) {
                log::warn!("the doctor has no thread for a call: {e}");
            }
            done.push(late);
        }
        Pending { answers, done, deadline }
    }
}

/// Calls that go on.
#[must_use = "they are made to be waited for"]
pub struct Pending<B> {
    answers: Receiver<(usize, B)>,
    done: Vec<B>,
    deadline: Time,
}

impl<B> Pending<B> {
    /// What came of them, in the order in which they were asked for.
    pub fn wait(mut self) -> Vec<B> {
        while let Some((number, answer)) = receive(&self.answers, self.deadline, &|| false) {
            self.done[number] = answer;
        }
        self.done
    }
}

/// A handshake that ends before the deadline.
fn call(
    addr: SocketAddr,
    bind: IpAddr,
    config: &LinkConfig,
    expect: Option<NodeId>,
    deadline: Time,
) -> Result<Link, LinkError> {
    let left = deadline.since(clock::now());
    if left < CALL_TIME_MIN {
        return Err(LinkError::Timeout(crate::io::link::Phase::Handshake));
    }
    // One after the other; together they are a little less than what is left.
    let timeouts = Timeouts {
        connect: left * 2 / 5,
        handshake: left * 2 / 5,
        answer: left / 6,
        ..config.timeouts
    };
    dial(addr, bind, &LinkConfig { timeouts, ..config.clone() }, expect)
}

/// Resolves a tracker's name and asks the first of its addresses that answers.
fn ask_tracker(
    name: &str,
    bind: IpAddr,
    config: &LinkConfig,
    me: Option<NodeId>,
    deadline: Time,
) -> Answer {
    let mut last = Call::NoName("no address for it".into());
    let addresses = match name.to_socket_addrs() {
        Ok(addresses) => addresses,
        Err(e) => return Answer { call: Call::NoName(e.to_string()), nodes: Vec::new() },
    };
    for at in addresses {
        let began = clock::now();
        let asked = call(at, bind, config, None, deadline)
            .and_then(|mut link| list(&mut link, me, deadline));
        match asked {
            Ok((nodes, known, listed)) => {
                let took = clock::now().since(began);
                let call = Call::Answered(Answered { at, took, nodes: known, listed });
                return Answer { call, nodes };
            }
            Err(e) => last = unanswered(at, e),
        }
    }
    Answer { call: last, nodes: Vec::new() }
}

/// The nodes that a tracker lists: some of them, how many, and where it lists this one.
fn list(
    link: &mut Link,
    me: Option<NodeId>,
    deadline: Time,
) -> Result<(Vec<PeerInfo>, u64, Option<IpAddr>), LinkError> {
    let (mut some, mut known, mut listed) = (Vec::new(), 0, None);
    let mut from = Stamp::default();
    for _ in 0..PAGES_MAX {
        let page = match link.ask(PeersQuestion { peers: from })? {
            Message::PeersAnswer(answer) => answer.peers,
            other => return Err(LinkError::Unexpected(other.kind())),
        };
        for peer in page.changed.into_vec() {
            if Some(peer.id) == me {
                listed = Some(peer.ip);
                continue;
            }
            known += 1;
            if some.len() < NODES_MAX {
                some.push(peer);
            }
        }
        if !page.more || deadline.since(clock::now()).is_zero() {
            break;
        }
        from = page.stamp;
    }
    Ok((some, known, listed))
}

fn unanswered(at: SocketAddr, error: LinkError) -> Call {
    use std::io::ErrorKind::{
        ConnectionRefused, HostUnreachable, NetworkUnreachable, TimedOut, WouldBlock,
    };
    match error {
        LinkError::Connect { source, .. } => Call::NoWay(
            at,
            match source.kind() {
                ConnectionRefused => Unreachable::Refused,
                TimedOut | WouldBlock => Unreachable::Silent,
                HostUnreachable | NetworkUnreachable => Unreachable::NoRoute,
                _ => Unreachable::Other(source.to_string()),
            },
        ),
        LinkError::NotParvi => Call::NotParvi(at),
        LinkError::Closed => Call::Failed("it hung up: no parvi, or one that is ending".into()),
        LinkError::Version { ours, theirs } => Call::Version { ours, theirs },
        LinkError::WrongKey(KeyMismatch::Differ) => Call::KeysDiffer,
        LinkError::WrongKey(KeyMismatch::OnlyHere) => Call::KeyOnlyHere,
        LinkError::WrongKey(KeyMismatch::OnlyThere) => Call::KeyOnlyThere,
        LinkError::Busy => Call::Busy,
        LinkError::Refused(no) if no.why == Why::Unexpected => Call::NotATracker(at),
        LinkError::Refused(no) if no.why == Why::Busy => Call::Busy,
        LinkError::Timeout(_) => Call::Late,
        other => Call::Failed(other.to_string()),
    }
}
