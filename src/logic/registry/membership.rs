//! How nodes come onto the list and off it.

use std::net::{IpAddr, SocketAddr};

use super::dial_back::{DialLimits, DialOutcome};
use super::node::{Contact, Node};
use super::{ClosedBy, Effect, Limits, Registry, SessionToken};
use crate::base::{NodeId, Time};
use crate::wire::message::tracker::{Refused, Register, Registered, Why};

impl Registry {
    /// The node `id`, come from `remote`, wants to be listed.
    ///
    /// # Errors
    /// Refused when its identity is in use, or when there is no room.
    pub fn on_register(
        &mut self,
        now: Time,
        session: SessionToken,
        id: NodeId,
        remote: IpAddr,
        register: &Register,
    ) -> Result<(Registered, Vec<Effect>), Refused> {
        let remote = remote.to_canonical();
        self.check_clash(now, &id, register)?;
        self.check_room(&id, remote)?;
        let source = SocketAddr::new(remote, register.ports.chunk);
        let mut node = Node::new(now, session, id, source, register);
        let mut effects = Vec::new();
        let earlier = self.nodes.remove(&id);
        let is_new = earlier.as_ref().is_none_or(|earlier| earlier.instance != node.instance);
        if let Some(earlier) = earlier {
            self.on_taken_over(now, earlier, &mut node, is_new, register, &mut effects);
        }
        if is_new {
            effects.push(Effect::Joined { label: node.label.clone(), addr: node.addr() });
        }
        effects.extend(dial(&mut self.dials, now, &mut node));
        *self.per_address.entry(remote).or_default() += 1;
        self.sessions.insert(session, id);
        self.remembered.remove(&id);
        self.index.confirm(&id, register.catalogue.epoch);
        self.peers.list(node.info(self.index.files_of(&node.id)), false);
        self.nodes.insert(id, node);
        let duties = self.keep_on_register(&id);
        self.relist(&id);
        let catalogue = self.index.stamp(&id);
        Ok((Registered { seen_as: remote, catalogue, duties }, effects))
    }

    fn check_clash(&self, now: Time, id: &NodeId, register: &Register) -> Result<(), Refused> {
        let Some(node) = self.nodes.get(id) else { return Ok(()) };
        if node.instance == register.instance || !node.is_surely_alive(now) {
            return Ok(());
        }
        let heard_s = now.since(node.last_heard).as_secs() as u32;
        let at = node.addr();
        let text = format!(
            "another node with this identity is at {at}, heard {heard_s} s ago: this data \
             directory was probably copied; delete .parvi/id in the copy to give it its own identity"
        );
        Err(Refused::new(Why::IdentityInUse { at, heard_s }, text))
    }

    fn check_room(&self, id: &NodeId, remote: IpAddr) -> Result<(), Refused> {
        let known = self.nodes.get(id);
        let Limits { nodes, per_address, .. } = self.limits;
        if known.is_none() && self.nodes.len() >= nodes {
            let text = format!("this tracker has {nodes} nodes already; try again later");
            return Err(Refused::new(Why::Busy, text));
        }
        let here = self.per_address.get(&remote).copied().unwrap_or(0);
        let counted = known.is_some_and(|node| node.probes.source.addr.ip() == remote);
        if !counted && here >= per_address {
            let text = format!("{per_address} nodes at {remote} are registered already");
            return Err(Refused::new(Why::Busy, text));
        }
        Ok(())
    }

    /// Another session, or a restarted process, now speaks for the identity.
    fn on_taken_over(
        &mut self,
        now: Time,
        mut earlier: Node,
        node: &mut Node,
        is_new: bool,
        register: &Register,
        effects: &mut Vec<Effect>,
    ) {
        self.release(&earlier);
        if let Contact::Open(session) = earlier.contact
            && node.contact != earlier.contact
        {
            effects.push(Effect::Close(session));
        }
        if is_new {
            let (label, why) = (earlier.label, "restarted".to_owned());
            effects.push(Effect::Left { label, intentionally: false, why });
        }
        earlier.probes.renew(now, node.probes.source.addr, register.advertise);
        node.probes = earlier.probes;
    }

    /// Takes back what `register` counted for a node that is off the map.
    fn release(&mut self, node: &Node) {
        if let Contact::Open(session) = node.contact {
            self.sessions.remove(&session);
        }
        let ip = node.probes.source.addr.ip();
        if let Some(count) = self.per_address.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&ip);
            }
        }
    }

    fn drop_node(&mut self, now: Time, id: &NodeId) -> Option<Node> {
        let node = self.nodes.remove(id)?;
        self.release(&node);
        self.peers.remove(*id);
        self.keep_on_gone(now, &node);
        Some(node)
    }

    /// A node leaves on purpose.
    ///
    /// # Errors
    /// Refused when not registered.
    pub fn on_exit(&mut self, now: Time, session: SessionToken) -> Result<Vec<Effect>, Refused> {
        let id = self.heard(now, session)?;
        let gone = self.drop_node(now, &id).map(|node| Effect::Left {
            label: node.label,
            intentionally: true,
            why: String::new(),
        });
        Ok(gone.into_iter().collect())
    }

    /// A connection has ended; a node that registered on it is lost, not yet gone.
    pub fn on_session_closed(&mut self, now: Time, session: SessionToken, by: ClosedBy) {
        let Some(id) = self.sessions.remove(&session) else { return };
        if let Some(node) = self.nodes.get_mut(&id) {
            node.contact = Contact::Lost { at: now, by };
        }
    }

    /// Once a second: drops who is gone, dials who is due.
    pub fn on_tick(&mut self, now: Time) -> Vec<Effect> {
        let mut effects = Vec::new();
        let gone: Vec<(NodeId, String)> =
            self.nodes.values().filter_map(|node| Some((node.id, node.is_gone(now)?))).collect();
        for (id, why) in gone {
            let Some(node) = self.drop_node(now, &id) else { continue };
            effects.push(Effect::Left { label: node.label, intentionally: false, why });
            if let Contact::Open(session) = node.contact {
                effects.push(Effect::Close(session));
            }
        }
        for (id, node) in self.remembered.overdue(now) {
            self.peers.remove(id);
            self.index.park(&id);
            let (label, why) = (node.info.label, "not heard since this tracker started".into());
            effects.push(Effect::Left { label, intentionally: false, why });
        }
        for node in self.nodes.values_mut() {
            effects.extend(dial(&mut self.dials, now, node));
        }
        self.keep_on_tick(now);
        effects
    }

    /// A dial-back has ended.
    pub fn on_dial_back(&mut self, now: Time, id: &NodeId, addr: SocketAddr, outcome: DialOutcome) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        if node.probes.claimed.as_ref().is_some_and(|claimed| claimed.addr == addr) {
            self.dials.on_outcome(addr, outcome);
        }
        node.probes.on_outcome(now, addr, outcome);
        let info = node.info(self.index.files_of(id));
        self.peers.list(info, false);
    }
}

fn dial(limits: &mut DialLimits, now: Time, node: &mut Node) -> Vec<Effect> {
    let id = node.id;
    let due = limits.due(now, &mut node.probes);
    due.into_iter().map(|addr| Effect::DialBack { id, addr }).collect()
}
