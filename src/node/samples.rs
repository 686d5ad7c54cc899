//! Peers, and what they answered, for this folder's tests.

use super::lookup::Hit;
use crate::base::{FileEntry, Modified, NodeId, PeerInfo, Ports, Root};

/// alice, bob and eve; identities ascend.
pub(super) fn peer(n: u8) -> PeerInfo {
    PeerInfo {
        id: NodeId::from_bytes([n; 32]),
        label: ["alice", "bob", "eve"][n as usize].parse().unwrap(),
        ip: [10, 0, 0, n].into(),
        ports: Ports { search: 1, size: 2, chunk: 3 },
        files: 1,
    }
}

/// What a lookup says of `content` under a name.
pub(super) fn hit(name: &str, content: &[u8], owners: &[u8]) -> Hit {
    let entry = FileEntry {
        name: name.parse().unwrap(),
        size: content.len() as u64,
        root: Root::of(content),
        modified: Modified::default(),
        executable: false,
    };
    Hit { entry, owners: owners.iter().map(|n| peer(*n)).collect() }
}
