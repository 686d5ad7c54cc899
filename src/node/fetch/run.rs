//! A download at work: what every part of it asks of the whole.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::control::Wish;
use super::file::content;
use super::finder::{Finder, Sources, any_of, together};
use super::job::Job;
use super::place::Place;
use super::progress::Progress;
use super::resolve::Wanted;
use super::sets::Turn;
use super::slots::{self, Slot};
use crate::base::{Fault, FaultKind, FileEntry, Time};
use crate::io::clock;
use crate::node::context::Context;
use crate::node::view::{DownloadReport, Source, TransferState};
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
    /// It goes on with what was found before: who shared that then is waited for, also unknown.
    pub(super) patient: bool,
    /// Ends instead of waiting for ever.
    pub(super) give_up: Option<GiveUp>,
    /// Set when the whole download has come to its end elsewhere.
    pub(super) halted: Option<&'a AtomicBool>,
    /// Whether and when it gives way to others.
    pub(super) turn: Option<Turn<'a>>,
    /// Taken by a set until it has arrived.
    pub(super) slot: Option<&'a Slot<'a>>,
    pub(super) finder: &'a Arc<Finder>,
    /// Told what the name stands for, when that is found.
    pub(super) keep: &'a (dyn Fn(Vec<Wanted>) + Sync),
}

impl Run<'_> {
    pub(super) fn progress(&self) -> &Progress {
        &self.job.progress
    }

    /// Whether owners keep in mind what they have begun to send: somebody asks for it again.
    pub(super) fn is_resumable(&self) -> bool {
        self.give_up.is_none() || self.job.errand.is_some()
    }

    pub(super) fn stopped(&self) -> bool {
        let halted = self.halted.is_some_and(|halted| halted.load(Ordering::Relaxed));
        halted || self.ctx.stop.is_stopped() || self.job.control.wish() != Wish::Run
    }

    /// Names a set; another may come meanwhile if `is_all` of it has arrived.
    pub(super) fn naming<T>(&self, is_all: bool, name: impl FnOnce() -> T) -> T {
        slots::naming(self.slot, is_all, name)
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
        let owners = self.finder.all();
        let of = |w: &Wanted| owners.get(&content(&w.entry)).cloned().unwrap_or_default();
        for file in files {
            file.know(of(file));
            for rival in &mut file.rivals {
                rival.know(of(rival));
            }
        }
    }

    /// Asks again who has any of `files`, within the person's choice.
    pub(super) fn find_again(&self, files: &[Wanted]) -> Arc<dyn Fn() -> Sources + Send + Sync> {
        let finder = self.finder.clone();
        let contents: Vec<Content> = files.iter().map(|w| content(&w.entry)).collect();
        match files {
            [only] => {
                let name = match &self.job.errand {
                    Some(_) => self.job.sought().0.clone(),
                    None => only.entry.name.clone(),
                };
                Arc::new(move || any_of(&finder.one(&name), &contents))
            }
            _ => Arc::new(move || any_of(&finder.all(), &contents)),
        }
    }

    /// Who has `files`, as far as that is known.
    pub(super) fn sources_of(&self, files: &[Wanted]) -> Sources {
        let contents: Vec<Content> = files.iter().map(|w| content(&w.entry)).collect();
        let found_since = self.finder.latest().map(|latest| any_of(&latest, &contents));
        together(files.iter().map(Wanted::sources), found_since)
    }
}
