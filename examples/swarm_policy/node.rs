//! A node, which fetches the file and serves what it has of it, and a connection between two nodes.
//!
//! Invariant: what decides is the production's: `Shares` and `Owners` of a node that fetches, its
//! `Spread`, and one `Upload` a connection. The rest of `node::swarm` and `node::fetch::set` that one
//! needs for it (outbox, what to tell as HAVE, the lanes) is written again here, in a few lines.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use parvi::base::{Bitmap, NodeId, PeerInfo, Ports, Range, Time};
use parvi::logic::haves::Haves;
use parvi::logic::items::Items;
use parvi::logic::ledger::SetKey;
use parvi::logic::owners::Owners;
use parvi::logic::shares::{OwnerKey, Shares, Verdict};
use parvi::logic::spread::Spread;
use parvi::logic::turns::Turns;
use parvi::logic::upload::Upload;
use parvi::wire::message::transfer::Have;
use parvi::wire::{List, Message};

use crate::net::{Dice, Line};
use crate::plan::Part;

/// Connections of one set at once, as in `node::fetch::supervisor`.
pub(crate) const LANES_MAX: usize = 16;
/// Chunk connections that a node serves at once, as in `node::serve::crowd`.
pub(crate) const SERVED_MAX: usize = 112;

/// A connection's number; never used again.
pub(crate) type ConnId = usize;

/// A requester dials an owner.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dial {
    pub(crate) requester: usize,
    pub(crate) owner: usize,
    pub(crate) key: OwnerKey,
}

/// Why a dial brings no transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The owner serves as many as it can.
    Busy,
    /// Nobody is there.
    Away,
    /// It has nothing of the file.
    NotHere,
}

/// A lane of a requester.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) owner: NodeId,
    /// Its connection, once there is one.
    pub(crate) conn: Option<ConnId>,
}

/// What all files of a machine share.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) line: Line,
    /// Connections that it serves.
    pub(crate) served: usize,
    /// Whose turn it is, of all sets.
    pub(crate) turns: Turns,
}

/// A machine's part in the swarm of one file.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) info: PeerInfo,
    pub(crate) machine: usize,
    pub(crate) file: usize,
    /// What it still fetches.
    pub(crate) shares: Option<Shares>,
    pub(crate) owners: Option<Owners>,
    pub(crate) lanes: BTreeMap<OwnerKey, Lane>,
    pub(crate) next_key: u64,
    /// Whether it has all of the file.
    pub(crate) is_full: bool,
    /// Whether it has left.
    pub(crate) is_gone: bool,
    pub(crate) begun: Time,
    pub(crate) done: Option<Time>,
    pub(crate) spread: Spread,
    /// Who fetches from it, and where each of them serves.
    pub(crate) members: BTreeMap<ConnId, Option<PeerInfo>>,
    /// Bytes that were here already when they had arrived.
    pub(crate) twice: u64,
}

impl Node {
    /// Names the set that it fetches or has.
    pub(crate) fn set(&self) -> SetKey {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(self.file as u64).to_be_bytes());
        key
    }

    pub(crate) fn new(index: usize, of: Part, items: u32, dice: &mut Dice) -> Option<Node> {
        let info = PeerInfo {
            id: id_of(index, dice),
            label: format!("n{index}").parse().ok()?,
            ip: IpAddr::from([10, (index >> 16) as u8, (index >> 8) as u8, index as u8]),
            ports: Ports { search: 1, size: 2, chunk: 3 },
            files: 0,
        };
        Some(Node {
            info,
            machine: of.machine,
            file: of.file,
            shares: None,
            owners: None,
            lanes: BTreeMap::new(),
            next_key: 0,
            is_full: false,
            is_gone: false,
            begun: Time::ZERO,
            done: None,
            spread: Spread::new(items),
            members: BTreeMap::new(),
            twice: 0,
        })
    }

    /// What it can send; `None` when the file is nothing to it.
    pub(crate) fn have(&self, count: u32) -> Option<Bitmap> {
        if self.is_full {
            return Some(Bitmap::all(count));
        }
        self.shares.as_ref().map(|shares| shares.verified().clone())
    }

    /// Whether it fetches.
    pub(crate) fn is_fetching(&self) -> bool {
        self.shares.is_some() && !self.is_gone
    }

    /// The connection of a lane.
    pub(crate) fn conn_of(&self, key: OwnerKey) -> Option<ConnId> {
        self.lanes.get(&key).and_then(|lane| lane.conn)
    }
}

/// A transfer between two nodes.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) dial: Dial,
    pub(crate) upload: Upload,
    /// Messages of the owner that are not part of the upload's own steps.
    pub(crate) outbox: VecDeque<Message>,
    /// What the requester does not know yet that is at the owner.
    pub(crate) haves: Haves,
    /// The run that is going out, and its bytes that are not out.
    pub(crate) sending: Option<(Range, u64)>,
    /// Bytes that are out and have not arrived.
    pub(crate) in_flight: u64,
    /// Whether it has its turn on the owner's uplink.
    pub(crate) is_queued: bool,
    /// When the last that the owner has said or sent arrives: one stream has one order.
    pub(crate) arrives: Time,
    /// When its writer looks whether it is its turn.
    pub(crate) looks: Time,
    /// What is arriving, and what is to be done with it.
    pub(crate) taking: Option<(Range, Verdict)>,
}

impl Conn {
    pub(crate) fn new(dial: Dial, items: Items, have: Bitmap) -> Conn {
        Conn {
            dial,
            upload: Upload::new(items, have),
            outbox: VecDeque::new(),
            haves: Haves::default(),
            sending: None,
            in_flight: 0,
            is_queued: false,
            arrives: Time::ZERO,
            looks: Time::ZERO,
            taking: None,
        }
    }

    /// What the owner says now, but for the upload's own steps.
    pub(crate) fn next_message(&mut self, now: Time) -> Option<Message> {
        if let Some(message) = self.outbox.pop_front() {
            return Some(message);
        }
        let runs = self.haves.next(now)?;
        Some(Have { items: List::of(runs) }.into())
    }
}

/// A random identity that ends with the node's number.
fn id_of(index: usize, dice: &mut Dice) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&dice.throw().to_le_bytes());
    bytes[24..].copy_from_slice(&(index as u64).to_le_bytes());
    NodeId::from_bytes(bytes)
}

/// The number of a node by its identity.
pub(crate) fn index_of(id: &NodeId) -> usize {
    id.as_bytes().last_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b) as usize)
}
