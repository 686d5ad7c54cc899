//! Calls requesters that have gone with an upload unfinished.
//!
//! Invariant: no payload leaves here. A call proves the other's identity, says what was begun, set by
//! set, and hears what becomes of each; a requester that still wants one dials and opens it itself
//! (I6). `logic::ledger::Calls` bounds how many calls are under way, `ANSWERS_TIME_MAX` how long one
//! of them takes. However a call ends, by a panic too, what it did not ask after waits again. Ends
//! with the node.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::context::Context;
use super::dial::bind_for;
use super::uploads::Uploads;
use crate::base::{NodeId, NodeLabel, PeerInfo, Ports};
use crate::io::clock;
use crate::io::failpoint::fail_point;
use crate::io::link::{self, Closer, Link, LinkError};
use crate::logic::ledger::{self, Answer, Calls, Met};
use crate::wire::Message;
use crate::wire::message::knock::{Knock, Knocked};

/// Between two looks at who is to be called.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Who was met has so long for all answers of a call. Others wait for their turn; who needs longer,
/// to make a file durable, has done so when it is called next.
const ANSWERS_TIME_MAX: Duration = Duration::from_secs(5);

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

/// One call from its beginning to its end, which is told when this is dropped.
struct Calling {
    caller: Arc<Caller>,
    peer: PeerInfo,
    /// What was not answered yet.
    left: VecDeque<ledger::Knock>,
    met: Met,
    /// What becomes of what is left.
    rest: Answer,
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
        while let Some(first) = self.next_call() {
            let this = self.clone();
            let run = move || {
                let mut next = Some(first);
                while let Some(calling) = next {
                    calling.make();
                    next = this.next_call();
                }
            };
            if let Err(e) = self.ctx.group.spawn("call", run) {
                log::warn!(target: "upload", "cannot start a thread to call a requester: {e}");
                return;
            }
        }
    }

    fn next_call(self: &Arc<Self>) -> Option<Calling> {
        if self.ctx.stop.is_stopped() {
            return None;
        }
        let call = self.calls.lock().next_call()?;
        Some(Calling {
            caller: self.clone(),
            peer: call.peer,
            left: call.knocks.into(),
            met: Met::NotTried,
            rest: Answer::NotTried("this node has no thread for it".to_owned()),
        })
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

    fn ask(
        &self,
        link: &mut Link,
        knock: &ledger::Knock,
        within: Duration,
    ) -> Result<Answer, LinkError> {
        if self.ctx.stop.is_stopped() {
            return Err(LinkError::Closed);
        }
        let ledger::Knock { set, content, .. } = *knock;
        link.send(Knock { set, content, label: self.label.clone(), ports: self.ports })?;
        let heard = link.recv(within)?;
        fail_point!("knock.answered").map_err(LinkError::Io)?;
        match heard {
            Message::Knocked(Knocked::Coming) => Ok(Answer::Coming),
            Message::Knocked(Knocked::Done) => Ok(Answer::Done),
            Message::Knocked(Knocked::NotWanted(why)) => Ok(Answer::Cancelled(why.shown())),
            Message::Knocked(Knocked::Later(why)) => Ok(Answer::Later(why.shown())),
            Message::Refused(refused) => Err(LinkError::Refused(refused)),
            other => Err(LinkError::Unexpected(other.kind())),
        }
    }
}

impl Calling {
    fn make(mut self) {
        let (ctx, addr, who) = (&self.caller.ctx, self.peer.chunk(), self.peer.id);
        let dialled = fail_point!("knock.dial")
            .map_err(LinkError::Io)
            .and_then(|()| link::dial(addr, bind_for(ctx, addr), &ctx.link, Some(who)));
        match dialled {
            Ok(link) => self.ask_all(link),
            Err(e) if e.is_ours() => self.rest = Answer::NotTried(e.to_string()),
            Err(e) => (self.met, self.rest) = (Met::Nobody, Answer::Away(e.to_string())),
        }
    }

    /// Asks after one upload after the other, as far as the time allows.
    fn ask_all(&mut self, mut link: Link) {
        let caller = self.caller.clone();
        caller.open.lock().insert(self.peer.id, link.closer());
        let deadline = clock::now() + ANSWERS_TIME_MAX;
        self.met = Met::Answered;
        let mut heard = false;
        while let Some(knock) = self.left.front() {
            // It may have been opened again meanwhile: a knock would break that off.
            if !caller.uploads.is_missed(knock) {
                self.left.pop_front();
                continue;
            }
            let within = deadline.since(clock::now());
            if heard && within.is_zero() {
                self.rest = Answer::NotTried("the call took too long already".to_owned());
                break;
            }
            match caller.ask(&mut link, knock, within) {
                Ok(answer) => {
                    heard = true;
                    log::info!(target: "upload", "knocked at {}: {answer:?}", self.peer.shown());
                    caller.uploads.heard(knock, answer);
                    self.left.pop_front();
                }
                Err(e) => {
                    let refused = matches!(e, LinkError::Refused(_));
                    self.met = if heard || refused { Met::Answered } else { Met::Mute };
                    self.rest = Answer::Away(e.to_string());
                    break;
                }
            }
        }
        caller.open.lock().remove(&self.peer.id);
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        let (uploads, peer) = (&self.caller.uploads, &self.peer);
        if !self.left.is_empty() {
            log::info!(target: "upload", "knocked at {}: {:?}", peer.shown(), self.rest);
        }
        self.left.iter().for_each(|knock| uploads.heard(knock, self.rest.clone()));
        uploads.called(peer, self.met);
        self.caller.open.lock().remove(&peer.id);
        self.caller.calls.lock().done();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::ledger::{Lost, Opening};
    use crate::node::samples;
    use crate::wire::List;
    use crate::wire::message::tracker::{PeersDelta, Stamp};

    /// alice, who misses bob.
    fn alice() -> Arc<Caller> {
        let (bob, (ctx, uploads)) = (samples::peer(1), samples::uploads());
        let listed = PeersDelta {
            stamp: Stamp { epoch: 1, version: 1 },
            reset: true,
            more: false,
            changed: List::of(vec![bob.clone()]),
            stale: List::default(),
            gone: List::default(),
        };
        ctx.peers.lock().apply(clock::now(), 0, listed);
        let opening = Opening {
            requester: bob.id,
            set: [7; 32],
            name: "film".into(),
            content: None,
            total: 10,
            resumable: true,
        };
        uploads.begin(opening, bob.ip, Closer::of_nothing()).unwrap().end(Lost::Silent);
        Arc::new(Caller {
            label: "alice".parse().unwrap(),
            ports: bob.ports,
            calls: Mutex::default(),
            open: Mutex::default(),
            uploads,
            ctx,
        })
    }

    #[test]
    fn a_call_that_no_thread_makes_is_made_later_and_counts_against_nobody() {
        let (alice, bob) = (alice(), samples::peer(1));
        let due = alice.uploads.tick();
        assert_eq!(due.len(), 1);
        assert!(!alice.uploads.may_call(&bob), "he is about to be called");
        alice.calls.lock().add(due);
        // As where the system has no thread to give, or the one it gave panics.
        drop(alice.next_call().unwrap());
        let row = &alice.uploads.rows()[0];
        assert!(row.reason.starts_with("it could not be called: this node has no"), "{row:?}");
        assert!(alice.uploads.may_call(&bob));
        for _ in 0..10 {
            let call = ledger::Call { peer: bob.clone(), knocks: Vec::new() };
            alice.calls.lock().add(vec![call]);
            assert!(alice.next_call().is_some(), "a call that ended keeps others out");
        }
    }
}
