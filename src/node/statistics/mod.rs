//! What this node has done, over all its starts: the numbers behind `stats`.
//!
//! Invariant: each event counts once, in the earlier runs' sums or in what came since they were written.
//! These are written now and then while something happens, and at the end; a node that is killed forgets
//! what came since (`WRITE_EVERY`). No failure here stops a node, or is hidden from the person.

mod file;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::context::Context;
use super::counters::Counters;
use super::uploads::Uploads;
use crate::base::{Fault, Time};
use crate::io::clock;
use crate::logic::statistics::Statistics;
use file::Unread;

/// Between two looks at whether something is to be written.
const WRITE_EVERY: Duration = Duration::from_secs(5);
/// And so often when nothing came but time.
const IDLE_EVERY: Duration = Duration::from_secs(600);

/// Takes down what happens. Every thread may; nobody waits for a disk.
pub(super) struct Recorder(Mutex<Sums>);

struct Sums {
    /// What was written, or read at the start.
    kept: Statistics,
    /// What came since.
    fresh: Statistics,
    /// Until when the running time is in `kept`.
    counted: Time,
}

impl Default for Recorder {
    fn default() -> Recorder {
        let (kept, fresh) = Default::default();
        Recorder(Mutex::new(Sums { kept, fresh, counted: clock::now() }))
    }
}

impl Recorder {
    /// Something was measured, or counted.
    pub(super) fn note(&self, write_down: impl FnOnce(&mut Statistics)) {
        write_down(&mut self.0.lock().fresh);
    }

    /// A start of the node.
    fn begin(&self) {
        self.note(|s| s.starts += 1);
    }

    /// Earlier runs have left `kept`.
    fn go_on_from(&self, kept: &Statistics) {
        self.0.lock().kept.merge(kept);
    }

    /// All until now.
    pub(super) fn all(&self, now: Time, counters: &Counters) -> Statistics {
        let mut sums = self.0.lock();
        counters.drain(&mut sums.fresh);
        let mut all = sums.kept.clone();
        all.merge(&sums.fresh);
        all.ran_ms += millis(now.since(sums.counted));
        all
    }

    /// All until now, if anything came since this was last asked, or that is long ago.
    fn changed(&self, now: Time, counters: &Counters) -> Option<Statistics> {
        let mut sums = self.0.lock();
        counters.drain(&mut sums.fresh);
        if sums.fresh == Statistics::default() && now.since(sums.counted) < IDLE_EVERY {
            return None;
        }
        let Sums { kept, fresh, counted } = &mut *sums;
        kept.merge(&std::mem::take(fresh));
        kept.ran_ms += millis(now.since(*counted));
        *counted = now;
        Some(kept.clone())
    }

    /// All begins anew.
    fn reset(&self, now: Time, counters: &Counters) {
        counters.drain(&mut Statistics::default());
        let (kept, fresh) = Default::default();
        *self.0.lock() = Sums { kept, fresh, counted: now };
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Keeps what the recorder has for the next start.
pub(super) struct Keeper {
    ctx: Arc<Context>,
    uploads: Arc<Uploads>,
    /// Locked from the look at what is to be written to its end, so that nothing older comes later.
    file: Mutex<File>,
}

struct File {
    path: PathBuf,
    /// What is there is not known: the disk did not give it. Nothing takes its place.
    unread: bool,
    /// It does not have what the recorder has taken for kept.
    behind: bool,
    /// A person knows that it cannot be written.
    told: bool,
}

impl Keeper {
    /// Goes on from what earlier runs have left at `path`; what cannot be read is told.
    pub(super) fn open(ctx: Arc<Context>, uploads: Arc<Uploads>, path: PathBuf) -> Keeper {
        let unread = match file::load(&path) {
            Ok(kept) => {
                ctx.statistics.go_on_from(&kept);
                false
            }
            Err(why) => {
                log::error!(target: "node", "{why}");
                ctx.notices.tell(why.to_string());
                matches!(why, Unread::Kept { .. })
            }
        };
        ctx.statistics.begin();
        let file = File { path, unread, behind: false, told: false };
        Keeper { ctx, uploads, file: Mutex::new(file) }
    }

    /// Whether the file may be replaced: what could not be read of it at the start is taken in once it can
    /// be.
    fn is_read(&self, file: &mut File) -> bool {
        if !file.unread {
            return true;
        }
        match file::load(&file.path) {
            Ok(kept) => self.ctx.statistics.go_on_from(&kept),
            Err(Unread::Kept { .. }) => return false,
            Err(Unread::Damaged(words)) => self.ctx.notices.tell(words),
        }
        (file.unread, file.behind) = (false, true);
        true
    }

    /// The thread: writes now and then.
    pub(super) fn run(&self) {
        while !self.ctx.stop.wait(WRITE_EVERY) {
            self.write();
        }
    }

    /// All until now.
    pub(super) fn all(&self) -> Statistics {
        self.uploads.count_log();
        self.ctx.statistics.all(clock::now(), &self.ctx.counters)
    }

    /// Writes what came since the last time, if anything did.
    pub(super) fn write(&self) {
        self.uploads.count_log();
        let mut file = self.file.lock();
        if !self.is_read(&mut file) {
            return;
        }
        let (now, ctx) = (clock::now(), &self.ctx);
        let all = ctx.statistics.changed(now, &ctx.counters);
        let Some(all) = all.or_else(|| file.behind.then(|| self.all())) else { return };
        match file::save(&file.path, &all) {
            Ok(()) => (file.behind, file.told) = (false, false),
            Err(e) => {
                file.behind = true;
                if !std::mem::replace(&mut file.told, true) {
                    let path = file.path.display();
                    let words = "a restart would forget what `stats` counts; it is tried again";
                    ctx.notices.tell(format!("cannot write {path}: {e}; {words}"));
                }
            }
        }
    }

    /// Begins anew, also for the next start.
    ///
    /// # Errors
    /// The disk does not take it: a restart may bring the old numbers back.
    pub(super) fn reset(&self) -> Result<(), Fault> {
        let mut file = self.file.lock();
        self.uploads.count_log();
        self.ctx.statistics.reset(clock::now(), &self.ctx.counters);
        let written = file::save(&file.path, &Statistics::default());
        (file.unread, file.behind) = (false, written.is_err());
        written.map_err(|e| {
            let path = file.path.display();
            Fault::other(format!(
                "the numbers are reset, but {path} cannot be written: {e}; a restart before that \
                 is possible brings the old ones back"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::samples;

    fn at(ms: u64) -> Time {
        Time::from_origin(Duration::from_millis(ms))
    }

    #[test]
    fn each_event_counts_once_whether_it_was_written_or_not() {
        let (recorder, counters) = (Recorder::default(), Counters::default());
        recorder.0.lock().counted = at(0);
        recorder.go_on_from(&Statistics { starts: 2, ran_ms: 7, ..Statistics::default() });
        recorder.begin();
        counters.lookups.one();
        let told = |s: Statistics| (s.starts, s.searches.asked, s.ran_ms);
        for _ in 0..2 {
            assert_eq!(told(recorder.all(at(10), &counters)), (3, 1, 17));
        }
        assert_eq!(told(recorder.changed(at(20), &counters).unwrap()), (3, 1, 27));
        assert_eq!(recorder.changed(at(30), &counters), None, "nothing came");
        assert_eq!(recorder.changed(at(600_019), &counters), None, "nor much time");
        counters.lookups.one();
        assert_eq!(told(recorder.all(at(40), &counters)), (3, 2, 47));
        assert_eq!(told(recorder.changed(at(40), &counters).unwrap()), (3, 2, 47));
        counters.lookups.one();
        recorder.reset(at(50), &counters);
        assert_eq!(told(recorder.all(at(60), &counters)), (0, 0, 10));
    }

    #[test]
    fn what_cannot_be_written_is_told_once_and_written_when_it_can_be() {
        let home = tempfile::tempdir().unwrap();
        let (ctx, uploads) = samples::uploads();
        let path = home.path().join("away/stats");
        let keeper = Keeper::open(ctx.clone(), uploads, path.clone());
        ctx.counters.lookups.one();
        keeper.write();
        keeper.write();
        assert!(keeper.reset().unwrap_err().text.contains("cannot be written"));
        ctx.counters.lookups.one();
        keeper.write();
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        keeper.write();
        assert_eq!(file::load(&path).unwrap().searches.asked, 1);
        ctx.notices.close();
        let told: Vec<String> = std::iter::from_fn(|| ctx.notices.next()).collect();
        assert_eq!(told.len(), 1, "{told:?}");
    }

    #[test]
    fn what_cannot_be_read_stays_until_it_can_be_and_is_then_added_to() {
        let home = tempfile::tempdir().unwrap();
        let (ctx, uploads) = samples::uploads();
        let (path, away) = (home.path().join("stats"), home.path().join("away"));
        file::save(&path, &Statistics { starts: 4, ..Statistics::default() }).unwrap();
        // What a mode or a failing disk does, also to root: it cannot be read, and could be replaced.
        std::fs::rename(&path, &away).unwrap();
        std::os::unix::fs::symlink(&path, &path).unwrap();
        let keeper = Keeper::open(ctx.clone(), uploads, path.clone());
        ctx.counters.lookups.one();
        keeper.write();
        keeper.write();
        assert!(path.is_symlink(), "it was replaced");
        std::fs::remove_file(&path).unwrap();
        std::fs::rename(&away, &path).unwrap();
        keeper.write();
        let kept = file::load(&path).unwrap();
        assert_eq!((kept.starts, kept.searches.asked), (5, 1));
        ctx.counters.lookups.one();
        keeper.write();
        let kept = file::load(&path).unwrap();
        assert_eq!((kept.starts, kept.searches.asked), (5, 2), "taken in once");
        ctx.notices.close();
        let told: Vec<String> = std::iter::from_fn(|| ctx.notices.next()).collect();
        assert!(told.len() == 1 && told[0].contains("check its owner and mode"), "{told:?}");
    }
}
