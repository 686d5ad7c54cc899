//! Where a node is found: its label, its address and the ports of its three listeners.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::id::NodeId;

/// Longest label, bytes.
pub const LABEL_BYTES_MAX: usize = 64;

/// What a person calls a node: letters, digits, `.`, `_`, `-`. Not unique; the identity is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeLabel(Arc<str>);

/// Why a text is no label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a node's name has 1 to {LABEL_BYTES_MAX} letters, digits, or . _ -")]
pub struct LabelError;

impl NodeLabel {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for NodeLabel {
    type Err = LabelError;
    fn from_str(text: &str) -> Result<Self, LabelError> {
        let ok = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
        if (1..=LABEL_BYTES_MAX).contains(&text.len()) && text.bytes().all(ok) {
            Ok(NodeLabel(text.into()))
        } else {
            Err(LabelError)
        }
    }
}

impl std::fmt::Display for NodeLabel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl std::fmt::Debug for NodeLabel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for NodeLabel {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for NodeLabel {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        super::text::deserialize_checked(d, str::parse)
    }
}

/// The TCP ports of a node's three listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ports {
    /// Who has this name?
    pub search: u16,
    /// Size, manifest, which chunks?
    pub size: u16,
    /// Transfers.
    pub chunk: u16,
}

/// A node as the tracker lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerInfo {
    /// Who it is; whoever dials it checks this.
    pub id: NodeId,
    /// What people call it.
    pub label: NodeLabel,
    /// Where it is.
    pub ip: IpAddr,
    /// Its listeners.
    pub ports: Ports,
    /// Files it shares, as far as the tracker knows.
    pub files: u32,
}

impl PeerInfo {
    /// The search listener.
    pub fn search(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.ports.search)
    }
    /// The size listener.
    pub fn size(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.ports.size)
    }
    /// The chunk listener.
    pub fn chunk(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.ports.chunk)
    }
    /// Whether both say the same place.
    pub fn is_at_same_place(&self, other: &PeerInfo) -> bool {
        self.ip == other.ip && self.ports == other.ports
    }
    /// Label and address, as shown to people.
    pub fn shown(&self) -> String {
        format!("{} ({})", self.label, self.chunk())
    }
}
