//! Why a file has the copies it has: for a person who asks.
//!
//! Invariant: what it says is what `plan` goes by, since both ask `stand` and `choose`.

use std::fmt;
use std::time::Duration;

use super::choose::{Load, targets};
use super::stand::Stand;
use super::{Standing, View};
use crate::base::{NodeId, Root, Time};

/// What keeps a copy from being made. The later ones pass sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// Every node that keeps copies for others, and is there, has it or was told to copy it.
    NoTarget,
    /// No further node has room for it.
    NoRoom,
    /// Those that have room are copying other files.
    Busy,
    /// Those that could take it have failed to, not long ago.
    Failed,
    /// Nobody who has it is there.
    NoSource,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Obstacle::NoTarget => "no further node is there that keeps copies for others",
            Obstacle::NoRoom => "no further node has room for it",
            Obstacle::Busy => "the nodes with room for it are copying other files",
            Obstacle::Failed => "those that could take it failed to, and are asked again later",
            Obstacle::NoSource => "nobody who has it is there",
        })
    }
}

/// How it stands with the copies of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// How many there are to be; none of what was withdrawn.
    pub wanted: usize,
    /// Nodes that are there and have all of it, verified.
    pub there: Vec<NodeId>,
    /// Nodes that have it and are waited for; for how long at most.
    pub away: Vec<NodeId>,
    /// How long the last of these is still waited for.
    pub waits: Duration,
    /// Nodes that are copying it.
    pub coming: Vec<NodeId>,
    /// Nodes that have it, they say, and could not give it.
    pub doubted: Vec<NodeId>,
    /// Nodes that were told to remove it.
    pub leaving: Vec<NodeId>,
    /// How many copies are still to be ordered.
    pub lacking: usize,
    /// What keeps these from being ordered; `None`: nothing.
    pub obstacle: Option<Obstacle>,
    /// How many replicas are too many, and after how long they may go.
    pub surplus: (usize, Duration),
    /// Whether the tracker waits until all nodes have told what they have.
    pub starting: bool,
    /// Whether its publisher took it back.
    pub withdrawn: bool,
}

/// How it stands with a file; `None`: it was not published.
pub fn why(view: &View, now: Time, root: &Root) -> Option<Why> {
    let file = view.files.get(root)?;
    let stand = Stand::of(file, view, now);
    let lacking = stand.lacking();
    // Choosing costs a hash a node.
    let obstacle = match lacking {
        0 => None,
        _ => targets(view, &Load::of(view), (root, file), &stand).err(),
    };
    Some(Why {
        wanted: stand.wanted,
        waits: stand.waits_until.map_or(Duration::ZERO, |until| until.since(now)),
        lacking,
        obstacle,
        surplus: (stand.surplus(file), (file.changed + view.patience.calm).since(now)),
        starting: !view.is_complete,
        withdrawn: file.standing == Standing::Withdrawn,
        there: stand.there,
        away: stand.away,
        coming: stand.coming,
        doubted: stand.doubted,
        leaving: stand.leaving,
    })
}

impl fmt::Display for Why {
    /// `2 wanted, 1 there, 1 away and waited for 40 s`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.withdrawn {
            true => write!(f, "withdrawn")?,
            false => write!(f, "{} wanted", self.wanted)?,
        }
        write!(f, ", {} there", self.there.len())?;
        if !self.away.is_empty() {
            write!(f, ", {} away and waited for", self.away.len())?;
            if self.waits > Duration::ZERO {
                write!(f, " {} s", self.waits.as_secs())?;
            }
        }
        if !self.coming.is_empty() {
            write!(f, ", {} on the way", self.coming.len())?;
        }
        if !self.doubted.is_empty() {
            write!(f, ", {} that could not be copied from", self.doubted.len())?;
        }
        if !self.leaving.is_empty() {
            write!(f, ", {} being removed", self.leaving.len())?;
        }
        if self.starting {
            return write!(
                f,
                "; the tracker has just started and waits until all nodes were heard"
            );
        }
        if self.lacking > 0 {
            write!(f, "; {} to be made", self.lacking)?;
        }
        if let Some(obstacle) = &self.obstacle {
            write!(f, ", but {obstacle}")?;
        }
        match self.surplus {
            (0, _) => Ok(()),
            (n, wait) => write!(f, "; {n} too many, kept for {} s at least", wait.as_secs()),
        }
    }
}
