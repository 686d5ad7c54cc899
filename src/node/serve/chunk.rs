//! The chunk listener: one transfer a connection, from `Open` to its end; or an owner's `Knock`.
//!
//! The connection's thread reads (WANT, SKIP, ACK, DONE); a second one writes (`upload`). They
//! share the pure `logic::upload::Upload` under a lock. Ends with DONE, CANCEL, a violation, a
//! requester that is silent for longer than the patience, a newer connection for the same
//! transfer, or the node's end; the writer is joined before the reader returns.

use super::transfer::{Owner, Transfer};
use super::upload;
use crate::base::limits::HEADER_TIME_MAX;
use crate::base::{Bitmap, FaultKind};
use crate::io::failpoint::fail_point;
use crate::io::link::{Link, LinkError, Phase};
use crate::io::threads;
use crate::logic::batch::set_key;
use crate::logic::items::Items;
use crate::logic::ledger::{Lost, Opening};
use crate::logic::upload::Upload;
use crate::node::uploads::Begun;
use crate::wire::Message;
use crate::wire::message::tracker::{Refused, Why};
use crate::wire::message::transfer::{Content, Open, Opened, Set};

/// One connection.
pub(in crate::node) fn serve(mut link: Link, owner: &Owner) {
    let (remote, peer) = (link.remote, link.peer);
    let Some(_place) = owner.crowd.enter(peer) else {
        log::info!(target: "upload", "{remote} {}: has too many connections", peer.short());
        let refused = Refused::new(Why::Busy, "you have too many connections here; close some");
        link.send(refused).unwrap_or_default();
        return;
    };
    let end = match link.recv(HEADER_TIME_MAX) {
        Ok(Message::Open(open)) => transfer(link, owner, &open),
        Ok(Message::Knock(knock)) => {
            let answer = fail_point!("knock.heard")
                .map(|()| owner.downloads.knocked(link.peer, link.remote.ip(), &knock))
                .map_err(LinkError::Io);
            answer.and_then(|answer| {
                fail_point!("knock.reply").map_err(LinkError::Io)?;
                link.send(answer)
            })
        }
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

fn transfer(mut link: Link, owner: &Owner, open: &Open) -> Result<(), LinkError> {
    fail_point!("serve.open").map_err(LinkError::Io)?;
    let set = &open.set;
    let (items, contents) = (Items::of(set), contents(set));
    let have = match what_is_here(owner, set, &contents, &items) {
        Ok(have) => have,
        Err(refused) => {
            if refused.why == Why::NotHere {
                owner.uploads.gone(link.peer, set_key(set));
            }
            return link.send(refused);
        }
    };
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
    let Begun { connection, attempt, limit } = match begun {
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
    let opened = fail_point!("serve.begun")
        .map_err(LinkError::Io)
        .and_then(|()| link.send(Opened { attempt, have: have.clone() }))
        .and_then(|()| fail_point!("serve.opened").map_err(LinkError::Io));
    let swarm = owner.ctx.swarms.of(set_key(set), items.count());
    let place = swarm.join(connection, Upload::new(items, have));
    // What has arrived here meanwhile was told to those who had joined.
    if let Some((have, _)) = owner.ctx.fetching.growing(&set_key(set)) {
        place.outgoing().gained(&have.iter().collect::<Vec<_>>());
    }
    let transfer = Transfer {
        owner,
        connection,
        set: set_key(set),
        peer: (link.peer, link.remote.ip()),
        contents,
        batch: matches!(set, Set::Batch(_)),
        limit,
        place,
    };
    let Link { mut reader, mut writer, .. } = link;
    let end = opened.and_then(|()| {
        std::thread::scope(|scope| {
            let write = || {
                let end = upload::write(&transfer, &mut writer);
                closer.close();
                end
            };
            let writing =
                threads::spawn_scoped(scope, format!("upload {} out", connection.0), write)
                    .map_err(LinkError::Io)?;
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
    owner.uploads.end(connection, how);
    fail_point!("serve.ended").map_err(LinkError::Io)?;
    end
}

fn contents(set: &Set) -> Vec<Content> {
    match set {
        Set::File(content) => vec![*content],
        Set::Batch(list) => list.to_vec(),
    }
}

/// Which items can be sent. While the folders are looked through, what is missing may be found yet.
fn what_is_here(
    owner: &Owner,
    set: &Set,
    contents: &[Content],
    items: &Items,
) -> Result<Bitmap, Refused> {
    let looking = owner.index.is_looking();
    let here = |c: &Content| owner.index.entry_of(&c.root).is_some_and(|e| e.size == c.size);
    let have = match set {
        Set::File(content) if here(content) => Bitmap::all(items.count()),
        // Whoever comes before the first chunk is told when that is here.
        Set::File(_) => match owner.ctx.fetching.growing(&set_key(set)) {
            Some((have, _)) => return Ok(have),
            None => Bitmap::none(items.count()),
        },
        Set::Batch(_) => {
            let mut have = Bitmap::none(items.count());
            (0_u32..).zip(contents).filter(|(_, c)| here(c)).for_each(|(i, _)| {
                have.insert(i);
            });
            have
        }
    };
    if have.is_empty() || looking && !have.is_full() {
        return Err(super::absent(looking, "the file is not here, or no longer"));
    }
    Ok(have)
}

/// What `transfers` calls it.
fn name_of(owner: &Owner, set: &Set, contents: &[Content]) -> String {
    let first = contents.first().and_then(|c| owner.index.entry_of(&c.root));
    let first = first.map(|entry| entry.name.to_string());
    let fetched = || owner.ctx.fetching.growing(&set_key(set)).map(|(_, name)| name.to_string());
    let first = first.or_else(fetched).unwrap_or_else(|| "?".into());
    match contents.len() {
        1 => first,
        n => format!("{first} and {} more", n - 1),
    }
}
