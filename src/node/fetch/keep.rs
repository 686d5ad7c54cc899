//! What becomes of a run of bytes that a lane has received: verified, written, told to who must know.
//!
//! Invariant: the owner hears ACK, and others that we have an item, only of what is verified and written.

use super::set::Fetch;
use super::sink::Written;
use crate::base::{PeerInfo, Range};
use crate::io::clock;
use crate::io::link::{Closer, LinkError};
use crate::logic::shares::{Action, OwnerKey};
use crate::wire::List;
use crate::wire::message::transfer::Ack;

/// Wakes the reader when a panic ends its keeper.
struct Wakes<'a>(&'a Closer);

impl Drop for Wakes<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close();
        }
    }
}

/// Verifies, writes, and tells who must know.
#[derive(Clone)]
pub(super) struct Keeper<'a> {
    pub(super) fetch: &'a Fetch,
    pub(super) key: OwnerKey,
    pub(super) peer: &'a PeerInfo,
    /// Wakes the reader when the disk fails.
    pub(super) closer: Closer,
}

impl Keeper<'_> {
    /// Verifies and writes what `buffer` begins with, tells the scheduler and the owner.
    ///
    /// # Errors
    /// The disk has failed.
    pub(super) fn keep(&self, items: Range, buffer: &[u8]) -> Result<(), LinkError> {
        let _wakes = Wakes(&self.closer);
        let len = self.fetch.items.bytes(items) as usize;
        let written = match self.fetch.sink.read().as_ref() {
            None => return Ok(()),
            Some(sink) => sink.write(items, &buffer[..len]),
        };
        let written = match written {
            Ok(written) => written,
            Err(e) => {
                self.fetch.disk_failed(e);
                self.closer.close();
                return Err(LinkError::Closed);
            }
        };
        let (fresh, actions, complete) = self.decide(&written);
        self.fetch.swarm.gained(&fresh);
        self.acknowledge(&written, &fresh);
        self.fetch.carry_out(actions);
        if complete {
            self.fetch.changed.notify_all();
        }
        Ok(())
    }

    /// Tells the shares; returns the items that nobody had brought before, what is to be done, and
    /// whether the set is complete.
    fn decide(&self, written: &Written) -> (Vec<u32>, Vec<Action>, bool) {
        let (now, key) = (clock::now(), self.key);
        let mut state = self.fetch.state.lock();
        let (mut fresh, mut actions) = (Vec::new(), Vec::new());
        for item in &written.good {
            if !state.shares.verified().contains(*item) {
                fresh.push(*item);
                state.origins[*item as usize] = Some(self.peer.label.clone());
            }
        }
        if !written.good.is_empty() {
            state.owners.useful(self.peer.id);
        }
        for items in Range::collect(written.good.iter().copied()) {
            actions.extend(state.shares.on_verified(now, key, items));
        }
        for item in &written.corrupt {
            actions.extend(state.shares.on_corrupt(now, key, *item));
        }
        (fresh, actions, state.shares.is_complete())
    }

    fn acknowledge(&self, written: &Written, fresh: &[u32]) {
        let (ctx, mut brought) = (&self.fetch.ctx, 0);
        for item in fresh {
            let bytes = self.fetch.items.len(*item);
            self.fetch.progress.verified(self.peer.id, self.peer.label.as_str(), bytes);
            brought += bytes;
        }
        let corrupt = written.corrupt.len() as u64;
        ctx.statistics.note(|s| {
            s.downloads.corrupt += corrupt;
            s.downloads.sources.add(&self.peer.label, brought);
        });
        if corrupt > 0 {
            self.fetch.blamed.lock().insert(self.peer.id);
            ctx.notices.tell(format!(
                "{} sent {} chunk(s) that do not match the file's hash; not used",
                self.peer.shown(),
                written.corrupt.len()
            ));
        }
        if !written.good.is_empty() {
            let items = List::of(Range::collect(written.good.iter().copied()));
            self.fetch.send(self.key, Ack { items }.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::{IpAddr, Ipv4Addr};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::time::Duration;

    use crossbeam_channel::bounded;

    use super::*;
    use crate::io::link::{self, Bulk, Link, LinkConfig, Phase, StaticKey};
    use crate::io::listen::{Listener, accept_each};
    use crate::io::threads::{Group, StopToken};
    use crate::node::fetch::hand::{Hand, Spare};

    const LONG: Duration = Duration::from_secs(20);

    /// A link, and its other end, which says nothing.
    fn linked() -> (Link, Link) {
        let config = || LinkConfig::new(StaticKey::generate().unwrap(), None, Bulk::Private);
        let here = IpAddr::from(Ipv4Addr::LOCALHOST);
        let listener = Listener::bind((here, 0).into()).unwrap();
        let (addr, theirs) = (listener.local_addr(), config());
        let (group, stop) = (Group::new("test"), StopToken::new());
        let (found, pipes) = bounded(1);
        let take = move |pipe| found.send(pipe).map_err(io::Error::other);
        accept_each(listener, "test", theirs.timeouts.poll, &group, &stop, take).unwrap();
        let links = std::thread::scope(|scope| {
            let accept = || link::accept_over(Arc::new(pipes.recv().unwrap()), &theirs).unwrap();
            let theirs = scope.spawn(accept);
            (link::dial(addr, here, &config(), None).unwrap(), theirs.join().unwrap())
        });
        stop.stop();
        assert_eq!(group.join_all(LONG), Vec::<String>::new());
        links
    }

    #[test]
    fn a_panic_of_the_keepers_own_thread_wakes_the_reader() {
        let (mut ours, _theirs) = linked();
        let (closer, spare, mut heard) = (ours.closer(), Spare::default(), None);
        let keep = move |_: Range, _: &[u8]| -> Result<(), LinkError> {
            let _wakes = Wakes(&closer);
            panic!("on purpose");
        };
        let lane = || {
            std::thread::scope(|scope| {
                let mut hand = Hand::new(scope, "keeper".into(), (&spare, 4), keep);
                let buffer = hand.buffer(4).unwrap();
                hand.keep(Range::one(0), buffer, true).unwrap();
                heard = Some(ours.recv(LONG));
            });
        };
        assert!(catch_unwind(AssertUnwindSafe(lane)).is_err(), "nothing has panicked");
        let end = heard.unwrap().expect_err("nobody has said anything");
        assert!(!matches!(end, LinkError::Timeout(Phase::Header)), "the reader has slept on");
    }

    #[test]
    fn who_keeps_well_leaves_the_link_open() {
        let (mut ours, mut theirs) = linked();
        drop(Wakes(&ours.closer()));
        ours.send(Ack { items: List::default() }).unwrap();
        assert!(theirs.recv(LONG).is_ok());
    }
}
