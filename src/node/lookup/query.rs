//! What a lookup asks: for a name, or for the files that a pattern means. The questions to trackers
//! and to peers, and which of what comes back answers them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::in_time;
use crate::base::backoff::Backoff;
use crate::base::{Fault, FaultKind, FileEntry, Name, NodeId, Time};
use crate::io::clock;
use crate::io::link::{Link, LinkError};
use crate::logic::pattern::Matcher;
use crate::node::context::Context;
use crate::wire::Message;
use crate::wire::message::find::{FindQuestion, Pattern};
use crate::wire::message::search::{Part, SearchQuestion};
use crate::wire::message::tracker::{LookupQuestion, PeersQuestion, Why};

/// First and longest wait before a tracker that is busy is asked again.
const BUSY_FIRST: Duration = Duration::from_millis(20);
const BUSY_MAX: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug)]
pub(in crate::node) enum Query {
    /// A file, or everything below a folder.
    Name(Name),
    /// Whatever a pattern means.
    Pattern(Pattern, Box<Matcher>),
}

/// A page of what a peer has.
#[derive(Debug, Default)]
pub(in crate::node) struct PeerPage {
    pub(in crate::node) files: Vec<FileEntry>,
    pub(in crate::node) parts: Vec<Part>,
    /// Where to go on.
    pub(in crate::node) next: Option<Name>,
}

impl Query {
    /// # Errors
    /// `Usage`: the pattern is malformed.
    pub(in crate::node) fn of(pattern: &Pattern) -> Result<Query, Fault> {
        match Matcher::new(pattern) {
            Ok(matcher) => Ok(Query::Pattern(pattern.clone(), Box::new(matcher))),
            Err(e) => Err(Fault::new(FaultKind::Usage, e.to_string())),
        }
    }

    /// Whether this file is asked for.
    pub(super) fn means(&self, entry: &FileEntry) -> bool {
        match self {
            Query::Name(name) => entry.name.answers(name),
            Query::Pattern(_, matcher) => matcher.means(entry.name.as_str(), &entry.root),
        }
    }

    /// The owners that one page of a tracker's answer names, and where to go on.
    pub(super) fn ask_tracker(
        &self,
        ctx: &Context,
        (link, deadline): (&mut Link, Time),
        after: Option<Name>,
    ) -> Result<(BTreeSet<NodeId>, Option<Name>), LinkError> {
        let question: Message = match self {
            Query::Name(name) => LookupQuestion { name: name.clone(), after }.into(),
            Query::Pattern(pattern, _) => FindQuestion { pattern: pattern.clone(), after }.into(),
        };
        match ask_patiently(ctx, link, &question, deadline)? {
            Message::LookupAnswer(page) => {
                let last = page.found.last().map(|found| found.entry.name.clone());
                let owners = page.found.iter().flat_map(|f| f.owners.iter().copied()).collect();
                Ok((owners, last.filter(|_| page.more)))
            }
            Message::FindAnswer(page) => {
                Ok((page.found.iter().flat_map(|f| f.owners.iter().copied()).collect(), page.next))
            }
            other => Err(LinkError::Unexpected(other.kind())),
        }
    }

    /// One page of what a peer has.
    pub(in crate::node) fn ask_peer(
        &self,
        link: &mut Link,
        after: Option<Name>,
    ) -> Result<PeerPage, LinkError> {
        let question: Message = match self {
            Query::Name(name) => SearchQuestion { name: name.clone(), after }.into(),
            Query::Pattern(pattern, _) => FindQuestion { pattern: pattern.clone(), after }.into(),
        };
        match link.ask(question)? {
            Message::SearchAnswer(page) => {
                let last = page.files.last().map(|file| file.name.clone());
                let next = last.filter(|_| page.more);
                Ok(PeerPage { files: page.files.into_vec(), parts: page.parts.into_vec(), next })
            }
            Message::FindAnswer(page) => {
                let files = page.found.into_vec().into_iter().map(|listed| listed.entry).collect();
                Ok(PeerPage { files, parts: Vec::new(), next: page.next })
            }
            other => Err(LinkError::Unexpected(other.kind())),
        }
    }
}

/// Follows the tracker's list of peers to its end.
pub(in crate::node) fn refresh_peers(
    ctx: &Context,
    number: usize,
    link: &mut Link,
    deadline: Time,
) -> Result<(), LinkError> {
    loop {
        in_time(ctx, deadline)?;
        let stamp = ctx.peers.lock().stamp(number);
        match link.ask(PeersQuestion { peers: stamp })? {
            Message::PeersAnswer(answer) => {
                let more = answer.peers.more;
                ctx.peers.lock().apply(clock::now(), number, answer.peers);
                if !more {
                    return Ok(());
                }
            }
            other => return Err(LinkError::Unexpected(other.kind())),
        }
    }
}

/// Asks a tracker; one that is busy with such questions is asked again soon, until `deadline`.
///
/// # Errors
/// What the last try said.
pub(in crate::node) fn ask_patiently(
    ctx: &Context,
    link: &mut Link,
    question: &Message,
    deadline: Time,
) -> Result<Message, LinkError> {
    let mut backoff = Backoff::new(BUSY_FIRST, BUSY_MAX);
    loop {
        match link.ask(question.clone()) {
            Err(LinkError::Refused(no)) if no.why == Why::Busy => {
                let wait = backoff.fail(clock::random_u64());
                if clock::now() + wait >= deadline || ctx.stop.wait(wait) {
                    return Err(LinkError::Refused(no));
                }
            }
            answer => return answer,
        }
    }
}

impl std::fmt::Display for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Query::Name(name) => write!(f, "{name}"),
            Query::Pattern(Pattern::All, _) => write!(f, "any file"),
            Query::Pattern(Pattern::Root(root), _) => write!(f, "@{root}"),
            Query::Pattern(Pattern::Contains { text, .. } | Pattern::Glob { text, .. }, _) => {
                write!(f, "{}", text.shown())
            }
        }
    }
}
