//! The chunk listener: one transfer a connection, from `Open` to its end; or an owner's `Knock`.
//!
//! The connection's thread reads (WANT, SKIP, ACK, DONE); a second one writes (`upload`). They
//! share the pure `logic::upload::Upload` under a lock. Ends with DONE, CANCEL, a violation, a
//! requester that is silent for longer than the patience, a newer connection for the same
//! transfer, a newcomer that needs its place when it moves nothing (`crowd`), or the node's end; the
//! writer is joined before the reader returns. A requester may take what is sent as slowly as it likes,
//! since it may keep to a rate: as long as it says WORKING it lives.

use std::time::Duration;

use super::crowd::Place;
use super::transfer::{Owner, Transfer};
use super::{knock, upload};
use crate::base::limits::HEADER_TIME_MAX;
use crate::base::{Bitmap, FaultKind};
use crate::io::clock;
use crate::io::failpoint::fail_point;
use crate::io::link::{Closer, Link, LinkError, Phase};
use crate::io::threads;
use crate::logic::batch::set_key;
use crate::logic::items::Items;
use crate::logic::ledger::{Lost, Opening, SetKey};
use crate::logic::upload::Upload;
use crate::node::fetch::given;
use crate::wire::message::tracker::{Refused, Why};
use crate::wire::message::transfer::{Content, Fetchers, Open, Opened, Set};
use crate::wire::{List, Message};

/// One who is refused for want of room has so long to say what it wanted.
const OPEN_TIME: Duration = Duration::from_millis(500);

/// One connection.
pub(in crate::node) fn serve(mut link: Link, owner: &Owner) {
    let (remote, peer) = (link.remote, link.peer);
    let closer = link.closer();
    let moved = |upload| owner.uploads.last_moved(upload);
    let who = (peer, remote.ip());
    let place = owner.crowd.enter(clock::now(), who, &moved, move || closer.close());
    let Some(place) = place else {
        log::info!(target: "upload", "{remote} {}: there is no place left for it", peer.short());
        let refused = Refused::new(Why::Busy, "there are too many connections here, or of yours");
        // Which set it wants is said right behind the handshake, unless it still asks for the hashes.
        if let Ok(Message::Open(open)) = link.recv(OPEN_TIME) {
            name_others(&mut link, owner, &set_key(&open.set));
        }
        link.send(refused).unwrap_or_default();
        return;
    };
    let end = match link.recv(HEADER_TIME_MAX) {
        Ok(Message::Open(open)) => transfer(link, owner, &place, &open),
        Ok(Message::Knock(knock)) => knock::answer(link, owner, knock),
        Ok(other) => {
            let end = link.send(super::unexpected(&other, "chunk"));
            end.and(Err(LinkError::Unexpected(other.kind())))
        }
        Err(e) => Err(e),
    };
    match end {
        Ok(()) => log::debug!(target: "upload", "{remote} {}: done", peer.short()),
        Err(e) => log::debug!(target: "upload", "{remote} {}: {e}", peer.short()),
    }
}

/// Who is refused for want of room may ask those who are served, as they may ask each other.
fn name_others(link: &mut Link, owner: &Owner, set: &SetKey) {
    let mut nodes = owner.ctx.swarms.some_of(set, clock::random_u64());
    nodes.retain(|info| info.id != link.peer);
    if !nodes.is_empty() {
        // What it does not hear costs it a while.
        link.send(Fetchers { nodes: List::of(nodes) }).unwrap_or_default();
    }
}

fn transfer(
    mut link: Link,
    owner: &Owner,
    place: &Place<'_>,
    open: &Open,
) -> Result<(), LinkError> {
    fail_point!("serve.open").map_err(LinkError::Io)?;
    let set = &open.set;
    let (items, contents) = (Items::of(set), set.contents().to_vec());
    let sure = owner.index.is_sure();
    let Here { have, grows } = match what_is_here(owner, set, &items) {
        Ok(here) => here,
        Err(refused) => {
            // It may have been touched, and be found again: then the requester is to be called.
            if refused.why == Why::NotHere && sure && owner.index.is_sure() {
                owner.uploads.gone(link.peer, set_key(set));
            }
            return link.send(refused);
        }
    };
    let moved = |upload| owner.uploads.last_moved(upload);
    if !place.opens(clock::now(), owner.ctx.up.uploads(), set_key(set), &moved) {
        name_others(&mut link, owner, &set_key(set));
        return link.send(Refused::new(Why::Busy, "other uploads use all that --up allows"));
    }
    let closer = link.closer();
    let opening = Opening {
        requester: link.peer,
        set: set_key(set),
        name: name_of(owner, set, &contents),
        content: if let Set::File(content) = set { Some(*content) } else { None },
        total: items.total(),
        resumable: open.resumable,
    };
    let begun = owner.uploads.begin(opening, link.remote.ip(), closer.clone());
    let begun = match begun {
        Ok(begun) => begun,
        Err(fault) => {
            log::error!(target: "upload", "an upload is refused: {fault}");
            let words = match fault.kind {
                FaultKind::DiskFull => "its log of uploads is full, since its disk has no room",
                _ => "its log of uploads takes nothing now",
            };
            return link.send(Refused::new(Why::Busy, words));
        }
    };
    place.opened(begun.connection);
    let opened = fail_point!("serve.begun")
        .map_err(LinkError::Io)
        .and_then(|()| link.send(Opened { attempt: begun.attempt, have: have.clone(), grows }))
        .and_then(|()| fail_point!("serve.opened").map_err(LinkError::Io));
    let swarm = owner.ctx.swarms.of(set_key(set), items.count());
    let joined = swarm.join(begun.connection, Upload::new(items.clone(), have), grows);
    // What has arrived here meanwhile, the last of it too, or was taken back, was told to those who had
    // joined.
    let here = what_is_here(owner, set, &items);
    let here = here.unwrap_or_else(|_| Here { have: Bitmap::none(items.count()), grows: false });
    joined.outgoing().gained(clock::now(), &here.have.iter().collect::<Vec<_>>(), 1);
    if !here.grows {
        joined.outgoing().withdrawn(&here.have);
    }
    let transfer = Transfer {
        owner,
        connection: begun.connection,
        set: set_key(set),
        peer: (link.peer, link.remote.ip()),
        contents,
        batch: matches!(set, Set::Batch(_)),
        limit: begun.limit.clone(),
        joined,
    };
    let Link { mut reader, mut writer, .. } = link;
    // The reader hears the requester, and ends the link when it does not.
    writer.overseen();
    let end = opened.and_then(|()| {
        std::thread::scope(|scope| {
            let write = || {
                let _closes = Closes(&closer);
                upload::write(&transfer, &mut writer)
            };
            let name = format!("upload {} out", begun.connection.0);
            let writing = threads::spawn_scoped(scope, name, write).map_err(LinkError::Io)?;
            let end = transfer.read(&mut reader);
            transfer.end();
            closer.close();
            match writing.join() {
                Ok(Err(writer_end)) if end.is_err() => Err(writer_end),
                _ => end,
            }
        })
    });
    let (how, end) = match end {
        Ok(how) => (how, Ok(())),
        Err(e @ LinkError::Timeout(Phase::Header)) => (Lost::Silent, Err(e)),
        Err(e) => (Lost::Broken, Err(e)),
    };
    begun.end(how);
    fail_point!("serve.ended").map_err(LinkError::Io)?;
    end
}

/// Closes the connection when it is dropped: a writer that panics leaves no reader waiting.
struct Closes<'a>(&'a Closer);

impl Drop for Closes<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What of a set can be sent.
struct Here {
    have: Bitmap,
    /// This node is fetching the set itself, and hopes to have more.
    grows: bool,
}

/// Which items can be sent. What is being fetched is looked at first: it is shared before that is over.
fn what_is_here(owner: &Owner, set: &Set, items: &Items) -> Result<Here, Refused> {
    let (looking, starting) = (owner.index.is_looking(), owner.index.is_starting());
    let growing = owner.ctx.fetching.growing(&set_key(set));
    let is_fetched = growing.is_some();
    let hopes = growing.as_ref().is_some_and(|growing| growing.hopes);
    let mut have = given::shared(&owner.index, set, items.count());
    growing.iter().flat_map(|growing| growing.have.iter()).for_each(|item| {
        have.insert(item);
    });
    owner.unreadable.lock().leave_out(clock::now(), set_key(set), &mut have);
    // Whoever comes before the first item of a fetch is told when that is here.
    if !is_fetched && !is_enough(&have, starting) {
        if let Some(words) = owner.downloads.stands_still(set) {
            return Err(Refused::new(Why::Later, words));
        }
        return Err(super::absent(looking, "the file is not here, or no longer"));
    }
    let grows = hopes && !have.is_full();
    Ok(Here { have, grows })
}

/// Whether these items are worth opening a transfer. While the node starts all that is missing may be
/// found yet; later, when a folder was just shared, what is here is not held up by that.
fn is_enough(have: &Bitmap, starting: bool) -> bool {
    !have.is_empty() && (have.is_full() || !starting)
}

/// What `transfers` calls it.
fn name_of(owner: &Owner, set: &Set, contents: &[Content]) -> String {
    let first = contents.first().and_then(|c| owner.index.entry_of(&c.root));
    let first = first.map(|entry| entry.name.to_string());
    let fetched = || owner.ctx.fetching.growing(&set_key(set)).map(|g| g.name.to_string());
    let first = first.or_else(fetched).unwrap_or_else(|| "?".into());
    match contents.len() {
        1 => first,
        n => format!("{first} and {} more", n - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_batch_is_sent_but_while_the_rest_of_it_may_be_found_at_a_start() {
        let mut part = Bitmap::none(3);
        assert!(!is_enough(&part, false) && !is_enough(&part, true));
        part.insert(1);
        assert!(is_enough(&part, false) && !is_enough(&part, true));
        assert!(is_enough(&Bitmap::all(3), true));
    }
}
