//! What the doctor is told of a running node.

use std::sync::Arc;
use std::time::Duration;

use super::Node;
use super::registration::Registration;
use crate::base::Fault;
use crate::io::clock;
use crate::io::doctor::{Answer, addresses, clock_and_limits, disk, key_file};
use crate::logic::doctor::{Facts, Report, Role, SwarmKey, Tracker, examine};

/// All calls end by then.
const CALLS_TIME_MAX: Duration = Duration::from_secs(3);

impl Node {
    /// What is wrong with this node, its machine and its swarm, and what to do. Takes a few seconds at most.
    ///
    /// # Errors
    /// It is being found out already.
    pub fn doctor(&self) -> Result<Report, Fault> {
        let busy = || Fault::other("a doctor is here already; ask again in a few seconds");
        let _alone = self.calls.begin().ok_or_else(busy)?;
        Ok(examine(&self.facts()))
    }

    fn facts(&self) -> Facts {
        let (ctx, data) = (&self.ctx, self.data.path());
        let (listen, advertise) = self.listen;
        let known = ctx.peers.lock().all();
        let nodes_known = known.len() as u64;
        let others = known.into_iter().map(|known| known.info).collect();
        let ready = &self.ready;
        let ports = [
            ("search", ready.search.port()),
            ("size", ready.size.port()),
            ("chunk", ready.chunk.port()),
        ];
        let here = match listen.is_unspecified() {
            true => ready.search.ip(),
            false => listen,
        };
        let deadline = clock::now() + CALLS_TIME_MAX;
        let calls = &self.calls;
        let trackers = calls.trackers(&ctx.trackers, Some(ctx.me), deadline);
        let listeners = calls.listeners((ctx.me, here), listen, &ports, deadline);
        let nodes = calls.nodes(others, deadline);
        let (clock, limits) = clock_and_limits(data, Some(&self.started));
        Facts {
            role: Role::Node,
            running: true,
            disk: disk(data),
            clock,
            limits,
            listeners: listeners.wait(),
            addresses: addresses(listen, advertise),
            identity: key_file(&self.data.private("id")),
            swarm_key: if ctx.link.swarm.is_some() { SwarmKey::Given } else { SwarmKey::None },
            trackers: self.tracker_facts(trackers.wait()),
            nodes: nodes.wait(),
            nodes_known,
        }
    }

    fn tracker_facts(&self, answers: Vec<Answer>) -> Vec<Tracker> {
        let one = |(registration, answer): (&Arc<Registration>, Answer)| Tracker {
            name: registration.row().addr,
            call: answer.call,
            registered: Some(registration.registered(&self.ctx)),
        };
        self.registrations.iter().zip(answers).map(one).collect()
    }
}
