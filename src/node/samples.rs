//! Peers, what they answered, and the uploads of a node without listeners, for this folder's tests.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::journal::Journal;
use super::lookup::Hit;
use super::start::context;
use super::uploads::Uploads;
use super::{NodeConfig, ReplicaConfig};
use crate::base::{FileEntry, Modified, NodeId, PeerInfo, Ports, Root};
use crate::io::link::{Bulk, StaticKey};
use crate::logic::scrub::ScrubPace;

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
    let owners = owners.iter().map(|n| peer(*n)).collect();
    Hit { entry, owners, fetchers: Vec::new() }
}

/// The uploads of a node whose log is in memory; whoever goes is missed at once.
pub(super) fn uploads() -> (Arc<Context>, Arc<Uploads>) {
    let config = NodeConfig {
        trackers: vec!["nowhere".into()],
        data: PathBuf::new(),
        label: None,
        listen: Ipv4Addr::LOCALHOST.into(),
        advertise: None,
        port_base: None,
        heartbeat: Duration::from_secs(10),
        ack_timeout: Duration::ZERO,
        up: None,
        down: None,
        swarm_key: None,
        bulk: Bulk::Private,
        fsync: true,
        share_downloaded: true,
        replicas: ReplicaConfig::default(),
        scrub: ScrubPace::Off,
    };
    let ctx = context(&config, StaticKey::generate().unwrap(), None);
    let uploads = Uploads::new(ctx.clone(), Arc::default(), Journal::in_memory(), Vec::new(), true);
    (ctx, Arc::new(uploads))
}
