//! What the doctor is told of a running tracker.

use std::time::Duration;

use super::Tracker;
use crate::base::Fault;
use crate::base::name::PRIVATE_FOLDER;
use crate::io::clock;
use crate::io::doctor::{addresses, clock_and_limits, disk, key_file};
use crate::logic::doctor::{Facts, Met, Report, Role, SwarmKey, examine};

/// The calls to itself end by then.
const CALLS_TIME_MAX: Duration = Duration::from_secs(2);
/// Nodes told of that cannot be reached; more tell nothing new.
const NODES_MAX: usize = 32;

impl Tracker {
    /// What is wrong with this tracker, its machine and its nodes, and what to do. Takes seconds at most.
    ///
    /// # Errors
    /// It is being found out already.
    pub fn doctor(&self) -> Result<Report, Fault> {
        let busy = || Fault::other("a doctor is here already; ask again in a few seconds");
        let _alone = self.calls.begin().ok_or_else(busy)?;
        Ok(examine(&self.facts()))
    }

    fn facts(&self) -> Facts {
        let listen = self.addr.ip();
        let here = match listen.is_unspecified() {
            true => crate::io::local::usual_address(),
            false => listen,
        };
        let deadline = clock::now() + CALLS_TIME_MAX;
        let port = [("tracker", self.addr.port())];
        let listeners = self.calls.listeners((self.id, here), listen, &port, deadline);
        let (clock, limits) = clock_and_limits(&self.path, Some(&self.started));
        let (nodes, nodes_known) = self.nodes();
        Facts {
            role: Role::Tracker,
            running: true,
            disk: disk(&self.path),
            clock,
            limits,
            listeners: listeners.wait(),
            addresses: addresses(listen, None),
            identity: key_file(&self.path.join(PRIVATE_FOLDER).join("id")),
            swarm_key: if self.closed { SwarmKey::Given } else { SwarmKey::None },
            trackers: Vec::new(),
            nodes,
            nodes_known,
        }
    }

    /// The nodes that were dialled back, those that were not met first, and how many are listed.
    fn nodes(&self) -> (Vec<Met>, u64) {
        let rows = self.service.peers();
        let known = rows.len() as u64;
        let mut nodes: Vec<Met> = rows
            .into_iter()
            .filter_map(|row| {
                let failed = match row.reachable? {
                    true => None,
                    false => Some("this tracker called it back and did not meet it".to_owned()),
                };
                Some(Met { label: row.node.to_string(), addr: row.addr, failed })
            })
            .collect();
        nodes.sort_by_key(|node| node.failed.is_none());
        nodes.truncate(NODES_MAX);
        (nodes, known)
    }
}
