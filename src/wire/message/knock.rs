//! What an owner says to a requester that has gone, and what the requester answers.
//!
//! ```text
//! owner                requester (its chunk listener)
//! Knock          ->    I have begun to send you this, and you are not here any more
//!                <-    Knocked: I open it again, I have it, I do not want it, later
//! Knock          ->    the next one, and so on; the owner closes
//! ```
//!
//! No payload travels on this connection. A requester that answers `Coming` dials the owner, as it
//! did the first time: so bytes go only to where somebody asked for them.

use serde::{Deserialize, Serialize};

use super::transfer::Content;
use crate::base::{NodeLabel, Ports};
use crate::wire::bounded::Text;

/// I have begun to send you this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knock {
    /// The set's key.
    pub set: [u8; 32],
    /// What it is, when it is one file: a requester that has restarted may have it already.
    pub content: Option<Content>,
    /// What the owner is called.
    pub label: NodeLabel,
    /// Where it can be dialled, at the address that this connection comes from.
    pub ports: Ports,
}

/// The requester's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Knocked {
    /// It opens the set again.
    Coming,
    /// It has everything, synced and named.
    Done,
    /// It does not want it any more.
    NotWanted(Text<256>),
    /// Not now, and why.
    Later(Text<256>),
}
