//! Calls requesters that have gone with an upload unfinished.
//!
//! Invariant: no payload leaves here. A call proves the other's identity, says what was begun, and
//! hears what becomes of it; a requester that still wants it dials and opens the set itself (I6).
//! `logic::ledger::Calls` bounds how many calls are under way. Ends with the node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::context::Context;
use super::dial::bind_for;
use super::uploads::Uploads;
use crate::base::{NodeId, NodeLabel, Ports};
use crate::io::failpoint::fail_point;
use crate::io::link::{self, Closer, Link, LinkError};
use crate::logic::ledger::{Answer, Call, Calls};
use crate::wire::Message;
use crate::wire::message::knock::{Knock, Knocked};

/// Between two looks at who is to be called.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Who calls.
pub(super) struct Caller {
    pub(super) ctx: Arc<Context>,
    pub(super) uploads: Arc<Uploads>,
    pub(super) label: NodeLabel,
    pub(super) ports: Ports,
    pub(super) calls: Mutex<Calls>,
    /// The connections of the calls under way, by requester, to be closed at the end.
    pub(super) open: Mutex<BTreeMap<NodeId, Closer>>,
}

impl Caller {
    /// The thread.
    pub(super) fn run(self: &Arc<Self>) {
        let mut away = BTreeSet::new();
        while !self.ctx.stop.wait(LOOK_EVERY) {
            self.look_for_returned(&mut away);
            let due = self.uploads.tick();
            self.calls.lock().add(due);
            self.start_calls();
        }
        self.open.lock().values().for_each(Closer::close);
    }

    /// A thread for each call that may be made now; it goes on with those that wait.
    fn start_calls(self: &Arc<Self>) {
        loop {
            let Some(call) = self.next_call(None) else { return };
            let (this, first) = (self.clone(), call.clone());
            let run = move || {
                let mut next = Some(first);
                while let Some(call) = next {
                    this.make(&call);
                    next = this.next_call(Some(&call));
                }
            };
            if let Err(e) = self.ctx.group.spawn("call", run) {
                let why = format!("cannot start a thread to call it: {e}");
                self.uploads.answered(&call, false, Answer::Away(why));
                self.calls.lock().done(call.knock.requester);
                return;
            }
        }
    }

    /// The next call, after `done` is over.
    fn next_call(&self, done: Option<&Call>) -> Option<Call> {
        let mut calls = self.calls.lock();
        if let Some(call) = done {
            calls.done(call.knock.requester);
        }
        if self.ctx.stop.is_stopped() { None } else { calls.next_call() }
    }

    /// Whoever was not listed and is now need not be waited for any longer.
    fn look_for_returned(&self, away: &mut BTreeSet<NodeId>) {
        let mut still = BTreeSet::new();
        for requester in self.uploads.waited_for() {
            // One lock at a time: the uploads are asked below.
            let listed = self.ctx.peers.lock().get(&requester);
            match listed {
                None => {
                    still.insert(requester);
                }
                Some(peer) if away.contains(&requester) => {
                    self.uploads.returned(requester, peer.ip);
                }
                Some(_) => {}
            }
        }
        *away = still;
    }

    fn make(&self, call: &Call) {
        let (addr, who) = (call.peer.chunk(), call.peer.id);
        let dialled = fail_point!("knock.dial")
            .map_err(LinkError::Io)
            .and_then(|()| link::dial(addr, bind_for(&self.ctx, addr), &self.ctx.link, Some(who)));
        let met = dialled.is_ok();
        let answer = dialled.and_then(|link| self.ask(link, call));
        let answer = answer.unwrap_or_else(|e| Answer::Away(e.to_string()));
        log::info!(target: "upload", "knocked at {}: {answer:?}", call.peer.shown());
        self.uploads.answered(call, met, answer);
    }

    fn ask(&self, mut link: Link, call: &Call) -> Result<Answer, LinkError> {
        let who = call.knock.requester;
        self.open.lock().insert(who, link.closer());
        let knock = Knock {
            set: call.knock.set,
            content: call.knock.content,
            label: self.label.clone(),
            ports: self.ports,
        };
        let heard =
            if self.ctx.stop.is_stopped() { Err(LinkError::Closed) } else { link.ask(knock) };
        self.open.lock().remove(&who);
        let heard = heard?;
        fail_point!("knock.answered").map_err(LinkError::Io)?;
        match heard {
            Message::Knocked(Knocked::Coming) => Ok(Answer::Coming),
            Message::Knocked(Knocked::Done) => Ok(Answer::Done),
            Message::Knocked(Knocked::NotWanted(why)) => Ok(Answer::Cancelled(why.shown())),
            Message::Knocked(Knocked::Later(why)) => Ok(Answer::Later(why.shown())),
            other => Err(LinkError::Unexpected(other.kind())),
        }
    }
}
