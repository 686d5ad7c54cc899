//! The writing half of a transfer: what `node/serve/upload` does with a thread, here with events.

use std::time::Duration;

use parvi::base::Range;
use parvi::logic::upload::Step;
use parvi::wire::message::transfer::{Chunk, Have, Next};
use parvi::wire::{List, Message};

use crate::event::Event;
use crate::liars::Lie;
use crate::network::{ConnId, Packet, Side};
use crate::swarm::Read;
use crate::world::World;

/// Bytes travel in pieces of this.
const PIECE: u64 = 64 * 1024;

impl World {
    /// The writer: sends what comes next, unless it is at it.
    pub fn pump(&mut self, conn: ConnId) {
        let Some(owner) = self.node_of(conn, Side::Acceptor) else { return };
        let (lie, now) = (self.lie(owner, conn), self.local(owner));
        loop {
            let Some(process) = self.nodes[owner].process.as_mut() else { return };
            let Some(serving) = process.serving.get_mut(&conn) else { return };
            if serving.writing || !serving.open {
                return;
            }
            let said = serving.outbox.pop_front();
            let have = |runs| Have { items: List::of(runs) }.into();
            let next = said.or_else(|| serving.haves.next(now).map(have));
            let due = serving.haves.due(now);
            if let Some(message) = next {
                if let (Message::Have(_), Some(due)) = (&message, due) {
                    let wait = due.since(now).div_f64(self.nodes[owner].drift);
                    self.after(wait + Duration::from_millis(1), Event::Tell { conn });
                }
                self.say(conn, Side::Acceptor, message);
                continue;
            }
            if lie == Some(Lie::Talks) {
                return;
            }
            let spread = process.spreads.get_mut(&serving.set).expect("it has joined");
            match serving.upload.next(spread) {
                None => return,
                Some(Step::Announce(items)) => {
                    self.say(conn, Side::Acceptor, Next { items }.into());
                }
                Some(Step::Send(_)) if lie == Some(Lie::Announces) => {
                    serving.writing = true;
                    return;
                }
                Some(Step::Send(items)) => match self.what_it_reads(owner, conn, items, lie) {
                    Read::Gone => self.stale(owner, conn),
                    read => return self.send_run(owner, conn, items, read == Read::Right),
                },
            }
        }
    }

    /// What there is to be sent. An honest node has nothing that is wrong.
    fn what_it_reads(
        &mut self,
        owner: usize,
        conn: ConnId,
        items: Range,
        lie: Option<Lie>,
    ) -> Read {
        let reads: Vec<Read> = items.iter().map(|item| self.read(owner, conn, item)).collect();
        let of = |what: Read| reads.contains(&what);
        match lie {
            Some(Lie::WrongBytes) => return Read::Wrong,
            Some(_) if !of(Read::Right) => return Read::Wrong,
            Some(_) => return Read::Right,
            None => {}
        }
        if of(Read::Wrong) {
            let words = format!("I1: {owner} serves items {items:?} that it has not verified");
            self.oracle.fail(words);
        }
        if of(Read::Gone) { Read::Gone } else { Read::Right }
    }

    fn send_run(&mut self, owner: usize, conn: ConnId, items: Range, right: bool) {
        let (now, speed) = (self.now, self.plan.up[owner]);
        let only_begins = self.lie(owner, conn) == Some(Lie::Begins);
        let process = self.nodes[owner].process.as_mut().expect("it runs");
        let Some(serving) = process.serving.get_mut(&conn) else { return };
        serving.writing = true;
        let len = serving.upload.items().bytes(items);
        let begins = process.line_free.max(now);
        let takes = |bytes: u64| Duration::from_secs_f64(bytes as f64 / speed as f64);
        if !only_begins {
            process.line_free = begins + takes(len);
        }
        let ends = process.line_free;
        self.check_payload(owner, conn);
        self.send_at(begins, conn, Side::Acceptor, Packet::Message(Chunk { items, len }.into()));
        let mut sent = 0;
        loop {
            let piece = PIECE.min(len - sent);
            sent += piece;
            let last = sent == len;
            if only_begins && last {
                return;
            }
            let packet = Packet::Bytes { items, len: piece, last, right };
            self.send_at(begins + takes(sent), conn, Side::Acceptor, packet);
            if only_begins {
                return;
            }
            if last {
                break;
            }
        }
        self.at(ends, Event::Sent { conn, items });
    }

    /// The last byte of a run is out.
    pub fn on_sent(&mut self, conn: ConnId, items: Range) {
        let now = self.now;
        let Some(owner) = self.node_of(conn, Side::Acceptor) else { return };
        let Some(process) = self.nodes[owner].process.as_mut() else { return };
        let Some(serving) = process.serving.get_mut(&conn) else { return };
        serving.upload.on_sent(items);
        serving.moved = now;
        serving.writing = false;
        self.pump(conn);
    }
}
