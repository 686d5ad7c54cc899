//! Who has this name? The trackers' indexes and the peers' search listeners, asked in parallel.
//!
//! The index is a hint: it says whom to ask first, and only an owner's own answer makes it an
//! owner. With every tracker dead the peers last heard of are asked, which is why a lookup works
//! without one. Ends after `LOOKUP_TIME_MAX`, or `STRAGGLERS_WAIT` after everybody whom an index
//! named has answered, so that one dead machine does not hold up the rest; at once when who asked
//! does not want to know any more.

mod age;
pub(super) mod hits;
mod query;
pub(super) mod room;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;

pub(super) use self::age::with_age;
pub(super) use self::hits::Hit;
use self::hits::{Hits, add_hits};
pub(super) use self::query::{Query, ask_patiently, refresh_peers};
use self::room::{LOOKUP_ROOM, PEER_ROOM, Room};
pub(super) use self::whole::whole_name;

use super::context::Context;
use super::dial::{bind_for, dial_tracker};
use crate::base::{Fault, FaultKind, FileEntry, Name, NodeId, PeerInfo, Time};
use crate::io::clock;
use crate::io::link::{self, LinkError, Phase};
use crate::io::threads::{StopToken, receive};
use crate::wire::message::search::Part;

/// A whole lookup, trackers and peers.
const LOOKUP_TIME_MAX: Duration = Duration::from_secs(6);
/// For peers that no index named, once those that were named have answered.
const STRAGGLERS_WAIT: Duration = Duration::from_millis(100);
/// For the trackers, where peers are known without them.
const TRACKER_WAIT: Duration = Duration::from_millis(1_500);
/// Peers asked at the same time.
const ASKING_MAX: usize = 16;
/// Peers asked although no index named them.
const UNNAMED_MAX: usize = 128;
/// What a lookup brought.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    /// Ascending by name; contents of one name beside each other.
    pub(super) hits: Vec<Hit>,
    /// Nodes that an index named and that could not be reached, with the reason.
    pub(super) unreachable: Vec<(PeerInfo, String)>,
    /// Trackers that could not be asked, with the reason.
    pub(super) trackers_away: Vec<(String, String)>,
    /// Peers that answered.
    pub(super) answered: usize,
    /// Those of them who have more files below the name than a lookup takes.
    pub(super) cut_off: Vec<PeerInfo>,
}

impl Lookup {
    /// The failure to report when there is no hit.
    pub(super) fn nothing_found(&self, name: &dyn std::fmt::Display) -> Fault {
        if let Some((peer, why)) = self.unreachable.first() {
            let more = self.unreachable.len() - 1;
            let others = if more == 0 { String::new() } else { format!(" and {more} more") };
            return Fault::new(
                FaultKind::NoOwner,
                format!("{name} is on {}{others}, which cannot be reached: {why}", peer.shown()),
            );
        }
        if self.answered == 0
            && let Some((tracker, why)) = self.trackers_away.first()
        {
            return Fault::new(
                FaultKind::Network,
                format!("nobody to ask for {name}: tracker {tracker}: {why}"),
            );
        }
        let asked = self.answered;
        Fault::new(
            FaultKind::NotFound,
            format!(
                "nobody has {name} ({asked} nodes asked); `lookup` takes a file's path or a folder below the shared folder"
            ),
        )
    }
}

/// Asks for `name`, until `stop` says so.
pub(super) fn lookup(ctx: &Arc<Context>, name: &Name, stop: &dyn Fn() -> bool) -> Lookup {
    look_for(ctx, &Arc::new(Query::Name(name.clone())), stop)
}

/// Asks for whatever the query means, until `stop` says so.
pub(super) fn look_for(ctx: &Arc<Context>, query: &Arc<Query>, stop: &dyn Fn() -> bool) -> Lookup {
    ctx.counters.lookups.one();
    let began = clock::now();
    let mut result = Lookup::default();
    let named = ask_trackers(ctx, query, &mut result, stop);
    let peers = whom_to_ask(ctx, &named);
    let (answers, first) = ask_peers(ctx, query, (&peers, &named), stop);
    if !stop() {
        measure(ctx, began, first);
    }
    let mut hits = Hits::new();
    for (peer, answer) in answers {
        match answer {
            Ok(listed) => {
                result.answered += 1;
                add_hits(&mut hits, &peer, listed.files, listed.parts);
                result.cut_off.extend(listed.is_cut_off.then_some(peer));
            }
            Err(why) if named.contains(&peer.id) => {
                let why = with_age(ctx, &peer.id, why);
                result.unreachable.push((peer, why));
            }
            Err(why) => log::debug!(target: "lookup", "{}: {why}", peer.shown()),
        }
    }
    result.hits = hits.into_values().collect();
    for hit in &mut result.hits {
        hit.sort();
    }
    result
}

/// Takes down how long a search has taken, and the first owner in it.
fn measure(ctx: &Context, began: Time, first: Option<Time>) {
    let ms = |until: Time| until.since(began).as_secs_f64() * 1e3;
    let whole = ms(clock::now());
    ctx.statistics.note(|s| {
        s.searches.whole_ms.add(whole);
        first.into_iter().for_each(|first| s.searches.first_ms.add(ms(first)));
    });
}

/// The nodes that the trackers' indexes name; brings the list of peers up to date on the way, for
/// those who do not register. A tracker that hangs is left behind where peers are known without it.
fn ask_trackers(
    ctx: &Arc<Context>,
    query: &Arc<Query>,
    result: &mut Lookup,
    stop: &dyn Fn() -> bool,
) -> BTreeSet<NodeId> {
    let (done, answers) = unbounded();
    for (number, tracker) in ctx.trackers.iter().enumerate() {
        let (ctx2, done, tracker, query) =
            (ctx.clone(), done.clone(), tracker.clone(), query.clone());
        let ask = move || {
            let answer = ask_tracker(&ctx2, number, &tracker, &query).map_err(|e| e.to_string());
            // Nobody listens any more: the answer came too late.
            done.send((tracker, answer)).ok();
        };
        if let Err(e) = ctx.group.spawn("lookup tracker", ask) {
            log::warn!(target: "lookup", "cannot start a thread to ask a tracker: {e}");
        }
    }
    drop(done);
    let patience = if ctx.peers.lock().all().is_empty() { LOOKUP_TIME_MAX } else { TRACKER_WAIT };
    let deadline = clock::now() + patience;
    let mut named = BTreeSet::new();
    let mut silent: BTreeSet<&String> = ctx.trackers.iter().collect();
    while let Some((tracker, answer)) = receive(&answers, deadline, stop) {
        silent.remove(&tracker);
        match answer {
            Ok(owners) => named.extend(owners),
            Err(why) => result.trackers_away.push((tracker, why)),
        }
    }
    let late = |tracker: &String| (tracker.clone(), "does not answer".to_owned());
    result.trackers_away.extend(silent.into_iter().map(late));
    named
}

fn ask_tracker(
    ctx: &Context,
    number: usize,
    tracker: &str,
    query: &Query,
) -> Result<BTreeSet<NodeId>, LinkError> {
    let deadline = clock::now() + LOOKUP_TIME_MAX;
    let mut link = dial_tracker(ctx, tracker)?;
    refresh_peers(ctx, number, &mut link, deadline)?;
    let mut owners = BTreeSet::new();
    let mut after = None;
    loop {
        in_time(ctx, deadline)?;
        let (named, next) = query.ask_tracker(ctx, (&mut link, deadline), after.take())?;
        owners.extend(named);
        after = next;
        let all = || ctx.peers.lock().all().iter().all(|p| owners.contains(&p.info.id));
        if after.is_none() || owners.len() >= UNNAMED_MAX || all() {
            return Ok(owners);
        }
    }
}

/// Whether to ask for another page: who always has more is left when the time is over.
pub(super) fn in_time(ctx: &Context, deadline: Time) -> Result<(), LinkError> {
    let over = ctx.stop.is_stopped() || clock::now() >= deadline;
    if over { Err(LinkError::Timeout(Phase::Header)) } else { Ok(()) }
}

/// Those who were named first, then others, up to the bound.
fn whom_to_ask(ctx: &Context, named: &BTreeSet<NodeId>) -> Vec<PeerInfo> {
    let (mut first, mut others): (Vec<_>, Vec<_>) = ctx
        .peers
        .lock()
        .all()
        .into_iter()
        .map(|known| known.info)
        .partition(|info| named.contains(&info.id));
    if others.len() > UNNAMED_MAX {
        let start = clock::random_u64() as usize % others.len();
        others.rotate_left(start);
        others.truncate(UNNAMED_MAX);
    }
    first.append(&mut others);
    first
}

/// What the threads of one lookup share.
struct Search {
    query: Arc<Query>,
    deadline: Time,
    /// Nobody waits for answers any more.
    over: StopToken,
    room: Mutex<Room>,
}

impl Search {
    /// Takes a page's files as far as there is room; false: there is no more.
    fn take(&self, files: &mut Vec<FileEntry>, page: Vec<FileEntry>, own: &mut Room) -> bool {
        page.into_iter().all(|file| {
            !self.query.means(&file) || {
                let fits = self.fits(&file, own);
                files.extend(fits.then_some(file));
                fits
            }
        })
    }

    /// Whether there is room for `file`; if so it counts.
    fn fits(&self, file: &FileEntry, own: &mut Room) -> bool {
        own.take(file) && self.room.lock().take(file)
    }

    /// Those of `page` that answer for the name, as far as there is room.
    fn take_parts(&self, page: Vec<Part>, own: &mut Room) -> Vec<Part> {
        let mut takes = |p: &Part| self.query.means(&p.entry) && self.fits(&p.entry, own);
        page.into_iter().filter(|part| takes(part)).collect()
    }
}

/// What a peer has.
#[derive(Debug, Default, PartialEq)]
struct Listed {
    files: Vec<FileEntry>,
    /// What it is fetching.
    parts: Vec<Part>,
    /// There are more than there is room for.
    is_cut_off: bool,
}

type Answer = (PeerInfo, Result<Listed, String>);

/// Asks `peers` on a few threads; returns what came in time, and when the first owner did.
fn ask_peers(
    ctx: &Arc<Context>,
    query: &Arc<Query>,
    (peers, named): (&[PeerInfo], &BTreeSet<NodeId>),
    stop: &dyn Fn() -> bool,
) -> (Vec<Answer>, Option<Time>) {
    let search = Arc::new(Search {
        query: query.clone(),
        deadline: clock::now() + LOOKUP_TIME_MAX,
        over: StopToken::new(),
        room: LOOKUP_ROOM.into(),
    });
    let (work_send, work) = unbounded::<PeerInfo>();
    let (done, answers) = unbounded::<Answer>();
    for peer in peers {
        // A bounded list into an unbounded queue whose sender is dropped below: it cannot grow.
        if work_send.send(peer.clone()).is_err() {
            break;
        }
    }
    drop(work_send);
    for _ in 0..peers.len().min(ASKING_MAX) {
        let (ctx2, search, work, done) = (ctx.clone(), search.clone(), work.clone(), done.clone());
        let spawned = ctx.group.spawn("lookup", move || ask_some(&ctx2, &search, &work, &done));
        if let Err(e) = spawned {
            log::warn!(target: "lookup", "cannot start a thread to ask peers: {e}");
        }
    }
    drop(done);
    let got = collect(&answers, peers, named, stop);
    search.over.stop();
    got
}

fn ask_some(ctx: &Context, search: &Search, work: &Receiver<PeerInfo>, done: &Sender<Answer>) {
    while let Ok(peer) = work.try_recv() {
        let answer = ask_peer(ctx, &peer, search).map_err(|e| e.to_string());
        if ctx.stop.is_stopped() || search.over.is_stopped() || done.send((peer, answer)).is_err() {
            return;
        }
    }
}

/// Collects answers until all are there or it is over. Those who were named and did not answer in
/// time are part of the result: they may have the file.
fn collect(
    answers: &Receiver<Answer>,
    asked: &[PeerInfo],
    named: &BTreeSet<NodeId>,
    stop: &dyn Fn() -> bool,
) -> (Vec<Answer>, Option<Time>) {
    let (mut got, mut first) = (Vec::<Answer>::with_capacity(asked.len()), None);
    let mut deadline: Time = clock::now() + LOOKUP_TIME_MAX;
    let mut awaited = awaited(asked, named);
    // An index may name nobody but us: it has spoken all the same.
    if awaited.is_empty() && !named.is_empty() {
        deadline = clock::now() + STRAGGLERS_WAIT;
    }
    while got.len() < asked.len() {
        let Some(answer) = receive(answers, deadline, stop) else { break };
        if awaited.remove(&answer.0.id).is_some() && awaited.is_empty() {
            deadline = deadline.min(clock::now() + STRAGGLERS_WAIT);
        }
        if answer.1.as_ref().is_ok_and(|listed| !listed.files.is_empty()) {
            first = first.or_else(|| Some(clock::now()));
        }
        got.push(answer);
    }
    let silent = awaited.into_values().map(|peer| (peer, Err("does not answer".to_owned())));
    got.extend(silent);
    (got, first)
}

/// Whose answers are waited for: those asked whom an index named. The index may also name us, and
/// nodes that nobody told us of.
fn awaited(asked: &[PeerInfo], named: &BTreeSet<NodeId>) -> BTreeMap<NodeId, PeerInfo> {
    let known = asked.iter().filter(|peer| named.contains(&peer.id));
    known.map(|peer| (peer.id, peer.clone())).collect()
}

/// Everything one peer has under the name, as far as there is room and somebody waits for it.
fn ask_peer(ctx: &Context, peer: &PeerInfo, search: &Search) -> Result<Listed, LinkError> {
    let addr = peer.search();
    let mut link = link::dial(addr, bind_for(ctx, addr), &ctx.link, Some(peer.id))?;
    let (mut files, mut parts, mut own) = (Vec::<FileEntry>::new(), Vec::new(), PEER_ROOM);
    let mut after: Option<Name> = None;
    loop {
        in_time(ctx, search.deadline)?;
        if search.over.is_stopped() {
            return Ok(Listed { files, parts, is_cut_off: false });
        }
        let page = search.query.ask_peer(&mut link, after.clone())?;
        if after.is_none() {
            parts = search.take_parts(page.parts, &mut own);
        }
        let room = search.take(&mut files, page.files, &mut own);
        if !room {
            log::warn!(target: "lookup", "{}: lists too many files", peer.shown());
        }
        // Who does not get on has said all he will.
        if page.next.is_none() || page.next <= after || !room {
            return Ok(Listed { files, parts, is_cut_off: !room });
        }
        after = page.next;
    }
}

#[cfg(test)]
#[path = "lookup_tests.rs"]
mod tests;
