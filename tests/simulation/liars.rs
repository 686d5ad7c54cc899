//! Nodes that lie about a file which they only fetch: as requesters they are like all others.
//!
//! Invariant: a liar costs an honest requester three wrong chunks a try and some time, never a wrong
//! file, and never a download that does not end.

use std::time::Duration;

use parvi::base::Range;
use parvi::wire::List;
use parvi::wire::message::transfer::Have;

use crate::event::Event;
use crate::network::{ConnId, Side};
use crate::world::World;

/// How often one who talks to seem alive does so.
const TALK_EVERY: Duration = Duration::from_millis(200);

/// What a liar does with those who fetch from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// It sends other bytes.
    WrongBytes,
    /// It says that it has everything, and sends other bytes for what it does not have.
    Boasts,
    /// It says that it has everything, announces what it sends next, and never sends it.
    Announces,
    /// It says that it has everything, again and again, and nothing else.
    Talks,
    /// It sends the first bytes of each chunk.
    Begins,
}

pub const LIES: [Lie; 5] = [Lie::WrongBytes, Lie::Boasts, Lie::Announces, Lie::Talks, Lie::Begins];

impl Lie {
    /// Whether it claims what it does not have.
    pub fn claims_all(self) -> bool {
        matches!(self, Lie::Boasts | Lie::Announces | Lie::Talks)
    }
}

impl World {
    /// How a node lies on this connection that it serves.
    pub fn lie(&self, owner: usize, conn: ConnId) -> Option<Lie> {
        let lie = *self.plan.liars.get(&owner)?;
        let serving = self.nodes[owner].process.as_ref()?.serving.get(&conn)?;
        let own = serving.files.iter().any(|file| self.plan.files[*file].holders.contains(&owner));
        (!own && !serving.upload.items().is_batch()).then_some(lie)
    }

    /// An opened transfer is one to lie on: that everything is here, for some.
    pub fn claim(&mut self, owner: usize, conn: ConnId) {
        if !self.lie(owner, conn).is_some_and(Lie::claims_all) {
            return;
        }
        let now = self.local(owner);
        let process = self.nodes[owner].process.as_mut().expect("it runs");
        let Some(serving) = process.serving.get_mut(&conn) else { return };
        let all: Vec<u32> = (0..serving.upload.items().count()).collect();
        let claimed = serving.upload.on_gained(&all);
        serving.haves.gained(now, claimed, 1);
    }

    pub fn is_liar(&self, node: usize) -> bool {
        self.plan.liars.contains_key(&node)
    }

    /// Time to seem alive.
    pub fn on_talk(&mut self, node: usize, life: u64) {
        let process = self.nodes[node].process.as_ref().expect("it runs");
        let open = process.serving.iter().filter(|(_, serving)| serving.open);
        let all: Vec<(ConnId, u32)> =
            open.map(|(conn, serving)| (*conn, serving.upload.items().count())).collect();
        for (conn, count) in all {
            if self.lie(node, conn) == Some(Lie::Talks) {
                let items = List::of(vec![Range { first: 0, count }]);
                self.say_steadily(conn, Side::Acceptor, Have { items }.into());
            }
        }
        self.after(TALK_EVERY, Event::Talk { node, life });
    }

    /// Begins with that, where it is one who does.
    pub fn begin_to_talk(&mut self, node: usize) {
        if self.plan.liars.get(&node) == Some(&Lie::Talks) {
            let life = self.nodes[node].life;
            self.after(TALK_EVERY, Event::Talk { node, life });
        }
    }
}
