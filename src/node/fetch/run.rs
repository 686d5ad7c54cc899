//! A download at work: what every part of it asks of the whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::control::Wish;
use super::file::content;
use super::job::Job;
use super::place::Place;
use super::progress::Progress;
use super::resolve::{Wanted, is_meant};
use super::sets::Turn;
use crate::base::{Fault, FaultKind, FileEntry, PeerInfo, Time};
use crate::io::clock;
use crate::node::context::Context;
use crate::node::lookup::{Hit, lookup};
use crate::node::view::{DownloadReport, From as Choice, Source, TransferState};
use crate::wire::message::transfer::Content;

/// Why a part of a download did not arrive.
pub(super) enum Halt {
    /// The person, or the node's end.
    Stopped,
    /// Its owners are away, and others wait for its place. Its turn comes again.
    GaveWay,
    /// Something that does not pass by itself; the rest of the download goes on.
    Fault(Fault),
    /// Something that ends the whole download.
    All(Fault),
}

/// When something ends that could only wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GiveUp {
    /// The whole download, when nothing has come to any part of it for so long: a one-shot.
    All(Duration),
    /// One set, when nothing has come to it for so long.
    Set(Duration),
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Halt {
        Halt::Fault(fault)
    }
}

/// A job at work.
pub(super) struct Run<'a> {
    pub(super) ctx: &'a Arc<Context>,
    pub(super) place: &'a Place,
    pub(super) job: &'a Job,
    /// Ends instead of waiting for ever.
    pub(super) give_up: Option<GiveUp>,
    /// Set when the whole download has come to its end elsewhere.
    pub(super) halted: Option<&'a AtomicBool>,
    /// Whether and when it gives way to others.
    pub(super) turn: Option<Turn<'a>>,
    /// Told what the name stands for, when that is found.
    pub(super) keep: &'a (dyn Fn(Vec<Wanted>) + Sync),
}

impl Run<'_> {
    pub(super) fn progress(&self) -> &Progress {
        &self.job.progress
    }

    pub(super) fn stopped(&self) -> bool {
        let halted = self.halted.is_some_and(|halted| halted.load(Ordering::Relaxed));
        halted || self.ctx.stop.is_stopped() || self.job.control.wish() != Wish::Run
    }

    /// Whether it is enough of waiting; nothing has come to the set since `last`.
    pub(super) fn is_enough(&self, now: Time, last: Time) -> bool {
        match self.give_up {
            None => false,
            Some(GiveUp::All(max)) => self.progress().still(now) > max,
            Some(GiveUp::Set(max)) => now.since(last) > max,
        }
    }

    /// What a fault means that would pass if somebody waited.
    pub(super) fn not_waited(&self, fault: Fault) -> Halt {
        match self.give_up {
            Some(GiveUp::All(_)) => Halt::All(fault),
            _ => Halt::Fault(fault),
        }
    }

    /// Nothing has come for long enough; `words` say why.
    pub(super) fn gives_up(&self, words: &str) -> Halt {
        let text = format!("could not download {}: {words}", self.job.name);
        self.not_waited(match self.progress().has_come() {
            false => Fault::new(FaultKind::NoOwner, text),
            true => {
                let rest = "what arrived is kept, ask again to go on";
                Fault::new(FaultKind::Unfinished, format!("{text}; {rest}"))
            }
        })
    }

    /// Shows why nothing moves, and waits a little; who waits for others may have to give way then, or
    /// give up.
    pub(super) fn wait(&self, state: TransferState, why: &str, time: Duration) -> Result<(), Halt> {
        self.progress().set(state, why);
        let slices = (time.as_millis() / 100).max(1);
        for _ in 0..slices {
            if self.stopped() {
                return Err(Halt::Stopped);
            }
            self.job.control.wait(Duration::from_millis(100));
        }
        let waits = state == TransferState::Waiting;
        if waits
            && matches!(self.give_up, Some(GiveUp::All(_)))
            && self.is_enough(clock::now(), Time::ZERO)
        {
            return Err(self.gives_up(why));
        }
        match self.turn.filter(|turn| waits && turn.is_over(clock::now(), Time::ZERO)) {
            Some(_) => Err(Halt::GaveWay),
            None => Ok(()),
        }
    }

    pub(super) fn report(
        &self,
        entry: &FileEntry,
        path: PathBuf,
        sources: Vec<Source>,
    ) -> DownloadReport {
        let seconds = clock::now().since(self.job.started).as_secs_f64();
        let (name, root, bytes) = (entry.name.clone(), entry.root, entry.size);
        DownloadReport { name, root, path, bytes, seconds, sources }
    }

    /// Finds who has the files now; what nobody has is looked for again by its fetch.
    pub(super) fn find_owners(&self, files: &mut [Wanted]) {
        let hits = lookup(self.ctx, &self.job.name, &|| self.stopped()).hits;
        let mut owners: BTreeMap<Content, Vec<PeerInfo>> = BTreeMap::new();
        for hit in hits {
            let meant = hit.owners.into_iter().filter(|peer| is_meant(peer, &self.job.from));
            owners.entry(content(&hit.entry)).or_default().extend(meant);
        }
        for file in files {
            file.owners = owners.get(&content(&file.entry)).cloned().unwrap_or_default();
            for rival in &mut file.rivals {
                rival.owners = owners.get(&content(&rival.entry)).cloned().unwrap_or_default();
            }
        }
    }

    /// Asks again who has any of `files`, within the person's choice.
    pub(super) fn finder(&self, files: &[Wanted]) -> Arc<dyn Fn() -> Vec<PeerInfo> + Send + Sync> {
        let (ctx, from, control) =
            (self.ctx.clone(), self.job.from.clone(), self.job.control.clone());
        let stopped = move |ctx: &Context| ctx.stop.is_stopped() || control.wish() != Wish::Run;
        let name = match files {
            [only] => only.entry.name.clone(),
            _ => self.job.name.clone(),
        };
        let contents: BTreeSet<Content> = files.iter().map(|w| content(&w.entry)).collect();
        let look = move || lookup(&ctx, &name, &|| stopped(&ctx)).hits;
        Arc::new(move || owners_of(look(), &contents, &from))
    }
}

/// Who has any of these contents and is meant by the choice, each once. Who says another size of
/// the same root has another content.
fn owners_of(hits: Vec<Hit>, contents: &BTreeSet<Content>, from: &Choice) -> Vec<PeerInfo> {
    let ours = hits.into_iter().filter(|hit| contents.contains(&content(&hit.entry)));
    let meant = ours.flat_map(|hit| hit.owners).filter(|peer| is_meant(peer, from));
    let each_once: BTreeMap<_, _> = meant.map(|peer| (peer.id, peer)).collect();
    each_once.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Root;
    use crate::node::samples::{hit, peer};

    #[test]
    fn the_owners_of_any_file_of_a_batch_are_found_once_each() {
        let hits =
            || vec![hit("d/a", b"1", &[0]), hit("d/b", b"2", &[0, 1]), hit("d/c", b"3", &[2])];
        let wanted = BTreeSet::from([b"1", b"2"].map(|c| Content { root: Root::of(c), size: 1 }));
        assert_eq!(owners_of(hits(), &wanted, &Choice::All), [peer(0), peer(1)]);
        assert_eq!(owners_of(hits(), &wanted, &Choice::One("bob".into())), [peer(1)]);
    }

    #[test]
    fn who_says_another_size_is_no_owner() {
        let mut liar = hit("a", b"1", &[2]);
        liar.entry.size = 9;
        let wanted = BTreeSet::from([Content { root: Root::of(b"1"), size: 1 }]);
        assert_eq!(owners_of(vec![liar, hit("a", b"1", &[0])], &wanted, &Choice::All), [peer(0)]);
    }
}
