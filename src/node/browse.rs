//! Looking around: files by pattern, a tracker's index, another node's list.
//!
//! A lookup by pattern is as good as one by name: what it tells, an owner has said. The index is read
//! as it is, a hint from one tracker, and so is quick. Everything ends with its time, or at
//! `PEER_ROOM` files.

use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::dial::{bind_for, dial_tracker};
use super::fetch::resolve::is_meant;
use super::lookup::room::PEER_ROOM;
use super::lookup::{Query, ask_patiently, in_time, look_for, refresh_peers, whole_name, with_age};
use super::view::{FileRow, From, IndexedFile, LookupHit};
use super::{Node, SEEN_NAMES_MAX, hit_view};
use crate::base::{
    Fault, FaultKind, FileEntry, Name, NodeId, NodeLabel, PeerInfo, RootPrefix, Time,
};
use crate::io::clock;
use crate::io::link::{self, LinkError};
use crate::logic::pattern::Matcher;
use crate::wire::Message;
use crate::wire::message::find::{FindQuestion, Pattern};

/// A whole list, from a tracker or from a node.
const LIST_TIME_MAX: Duration = Duration::from_secs(30);

/// A list, and whether it was cut off because it is too long.
pub type Cut<T> = (Vec<T>, bool);

/// What a lookup has found.
#[derive(Debug)]
pub struct Found {
    /// The files and who has them.
    pub hits: Vec<LookupHit>,
    /// The nodes that have more of them than a lookup takes from one.
    pub cut_off: Vec<String>,
}

impl Node {
    /// Who has files like this: as `lookup`, for a pattern.
    ///
    /// # Errors
    /// As `lookup`; the pattern is malformed.
    pub fn find(&self, pattern: &Pattern) -> Result<Found, Fault> {
        let query = Arc::new(Query::of(pattern)?);
        let mut mine = Vec::new();
        if let Query::Pattern(_, matcher) = &*query {
            mine = self.own_like(matcher);
        }
        self.hits(&query, mine)
    }

    /// `NAME@ROOT` as one name, when anything is called so.
    pub fn whole_name(&self, name: &Name, root: &RootPrefix) -> Option<Name> {
        let mine = |whole: &Name| !self.own_files(whole).is_empty();
        whole_name(&self.ctx, (name, root), &mine, &|| self.ctx.stop.is_stopped())
    }

    /// Who has this file with these bytes.
    ///
    /// # Errors
    /// As `lookup`; nobody has it with these bytes.
    pub fn lookup_content(&self, name: &Name, root: &RootPrefix) -> Result<Found, Fault> {
        let Found { mut hits, cut_off } = self.lookup(name)?;
        let others = hits.len();
        hits.retain(|hit| root.fits(&hit.root));
        if hits.is_empty() {
            let text = format!(
                "nobody has {name} with a root that begins {root}; {others} with others: lookup {name}"
            );
            return Err(Fault::new(FaultKind::NotFound, text));
        }
        Ok(Found { hits, cut_off })
    }

    /// What others have, and what this node has.
    pub(super) fn hits(&self, query: &Arc<Query>, mine: Vec<FileEntry>) -> Result<Found, Fault> {
        let found = look_for(&self.ctx, query, &|| self.ctx.stop.is_stopped());
        if found.hits.is_empty() && mine.is_empty() {
            return Err(found.nothing_found(query));
        }
        let mut hits: Vec<LookupHit> = found.hits.into_iter().map(hit_view).collect();
        self.add_own(&mut hits, mine);
        self.remember(hits.iter().map(|hit| hit.name.clone()).take(SEEN_NAMES_MAX - 1));
        let cut_off = found.cut_off.iter().map(PeerInfo::shown).collect();
        Ok(Found { hits, cut_off })
    }

    fn own_like(&self, matcher: &Matcher) -> Vec<FileEntry> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let (mut page, next) = self.index.search(matcher, after.as_ref());
            all.append(&mut page);
            after = next;
            if after.is_none() {
                return all;
            }
        }
    }

    /// What the first tracker that answers has in its index.
    ///
    /// # Errors
    /// There is no tracker, or none answers; the pattern is malformed.
    pub fn files(&self, pattern: &Pattern) -> Result<Cut<IndexedFile>, Fault> {
        Query::of(pattern)?;
        let mut away = Vec::new();
        for (number, tracker) in self.ctx.trackers.iter().enumerate() {
            match self.files_of(number, tracker, pattern) {
                Ok(files) => return Ok(files),
                Err(e) => away.push(format!("{tracker}: {e}")),
            }
        }
        let text = match away.is_empty() {
            true => {
                "this node has no tracker whose index could be read; show NODE asks a node".into()
            }
            false => format!("no tracker could be asked for its files: {}", away.join("; ")),
        };
        Err(Fault::new(FaultKind::Network, text))
    }

    fn files_of(
        &self,
        number: usize,
        tracker: &str,
        pattern: &Pattern,
    ) -> Result<Cut<IndexedFile>, LinkError> {
        let (ctx, deadline) = (&self.ctx, clock::now() + LIST_TIME_MAX);
        let mut link = dial_tracker(ctx, tracker)?;
        refresh_peers(ctx, number, &mut link, deadline)?;
        let label = |id: &NodeId| self.label_of(id);
        let (mut files, mut room, mut after) = (Vec::new(), PEER_ROOM, None);
        loop {
            in_time(ctx, deadline)?;
            let question: Message = FindQuestion { pattern: pattern.clone(), after }.into();
            let page = match ask_patiently(ctx, &mut link, &question, deadline)? {
                Message::FindAnswer(page) => page,
                other => return Err(LinkError::Unexpected(other.kind())),
            };
            for listed in page.found.into_vec() {
                if !room.take(&listed.entry) {
                    return Ok((files, true));
                }
                files.push(IndexedFile {
                    size: listed.entry.size,
                    root: listed.entry.root,
                    name: listed.entry.name,
                    copies: listed.copies,
                    stale: listed.stale,
                    last_seen_s: listed.seen_s,
                    owners: listed.owners.iter().map(label).collect(),
                });
            }
            after = page.next;
            if after.is_none() {
                return Ok((files, false));
            }
            if clock::now() >= deadline {
                return Ok((files, true));
            }
        }
    }

    /// What people call a node, or the start of its identity.
    fn label_of(&self, id: &NodeId) -> String {
        if *id == self.ctx.me {
            return self.label.to_string();
        }
        let known = self.ctx.peers.lock().get(id);
        known.map_or_else(|| id.short(), |known| known.label.to_string())
    }

    /// What a node shares, as it says itself.
    ///
    /// # Errors
    /// No such node, or several; it cannot be reached.
    pub fn browse(&self, node: &str) -> Result<Cut<FileRow>, Fault> {
        let from = From::One(node.to_owned());
        let known = self.ctx.peers.lock().all().into_iter().map(|known| known.info);
        let peers: Vec<PeerInfo> = known.filter(|peer| is_meant(peer, &from)).collect();
        let (files, is_cut_off) = match &peers[..] {
            [peer] => list_of(&self.ctx, peer).map_err(|e| {
                let why = with_age(&self.ctx, &peer.id, e.to_string());
                let text = format!("cannot list the files of {}: {why}", peer.shown());
                Fault::new(FaultKind::NoOwner, text)
            })?,
            [] if self.is_called(node) => (self.own_like(&Matcher::all()), false),
            [] => return Err(no_such_node(node)),
            several => return Err(several_nodes(node, several)),
        };
        let row = |file: FileEntry| FileRow { name: file.name, size: file.size, root: file.root };
        Ok((files.into_iter().map(row).collect(), is_cut_off))
    }

    fn is_called(&self, node: &str) -> bool {
        NodeLabel::as_str(&self.label) == node || self.ctx.me.to_string() == node
    }
}

fn no_such_node(node: &str) -> Fault {
    let shown = crate::base::name::printable(node);
    let text = format!("no node is known as {shown}; `peers` lists those that are");
    Fault::new(FaultKind::NotFound, text)
}

fn several_nodes(node: &str, several: &[PeerInfo]) -> Fault {
    let shown = crate::base::name::printable(node);
    let ids: Vec<String> = several.iter().map(|peer| peer.id.short()).collect();
    let text = format!("{} nodes are called {shown}; choose one: {}", ids.len(), ids.join(", "));
    Fault::new(FaultKind::Exists, text)
}

/// Everything a peer shares, as far as there is room.
fn list_of(ctx: &Context, peer: &PeerInfo) -> Result<Cut<FileEntry>, LinkError> {
    let (addr, deadline): (_, Time) = (peer.search(), clock::now() + LIST_TIME_MAX);
    let mut link = link::dial(addr, bind_for(ctx, addr), &ctx.link, Some(peer.id))?;
    let query = Query::Pattern(Pattern::All, Box::new(Matcher::all()));
    let (mut files, mut room, mut after): (Vec<FileEntry>, _, Option<Name>) =
        (Vec::new(), PEER_ROOM, None);
    loop {
        in_time(ctx, deadline)?;
        let page = query.ask_peer(&mut link, after.clone())?;
        for file in page.files {
            if !room.take(&file) {
                return Ok((files, true));
            }
            files.push(file);
        }
        // Who does not get on has said all he will.
        if page.next.is_none() || page.next <= after {
            return Ok((files, false));
        }
        after = page.next;
        if clock::now() >= deadline {
            return Ok((files, true));
        }
    }
}
