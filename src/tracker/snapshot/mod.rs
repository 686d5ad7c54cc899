//! The index on the disk, so that a restarted tracker knows at once where to look.
//!
//! Invariant: the file is replaced whole, synced before it has its name, or stays as it was. What
//! cannot be read is kept aside as `index.bad`, in the place of an earlier one, and the tracker starts
//! empty; what cannot be written is told once and tried again, less and less often. The registry is locked for
//! one step of the writing at a time. Ends with a last writing when the tracker stops, which is given up
//! after `LAST_TIME_MAX`.
//!
//! A tracker that is killed loses what changed since the last writing: the nodes send that again. A
//! copy of the file under another tracker is as good a hint there as it is here.

mod file;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use self::file::{FileError, Writer};
use super::service::Service;
use crate::base::Time;
use crate::base::backoff::Backoff;
use crate::io::clock;
use crate::io::disk::new_beside;
use crate::io::threads::{Group, StopToken};
use crate::logic::registry::{Limits, Policy, Record, Registry, Restoring, Saving};

/// Between two writings while something changes.
const EVERY: Duration = Duration::from_secs(2);
/// A writing that takes long is followed by a pause so many times as long.
const PAUSE_SHARE: u32 = 20;
/// The longest wait after it could not be written: a disk that is full is not filled again and again.
const RETRY_MAX: Duration = Duration::from_secs(120);
/// What the last writing may take; the threads that are ended have longer.
const LAST_TIME_MAX: Duration = Duration::from_secs(8);
const _: () = assert!(LAST_TIME_MAX.as_secs() < super::JOIN_TIME_MAX.as_secs());

/// What was read at the start, and what the person hears of it.
pub(super) struct Loaded {
    pub(super) registry: Registry,
    pub(super) words: Option<String>,
}

/// The registry as it was kept at `path`; an empty one when there is nothing that can be used.
pub(super) fn load(path: &Path, now: Time, policy: Policy) -> Loaded {
    let (restoring, new) = (Restoring::new(now, empty(policy.clone())), || empty(policy));
    let read = File::open(path).map_err(FileError::Io);
    match read.and_then(|file| file::read(BufReader::with_capacity(1 << 16, file), restoring)) {
        Ok(registry) => {
            let ((_, files, _), nodes) = (registry.totals(), registry.stale());
            let words = format!(
                "knows {files} files of {nodes} nodes from before; stale until the nodes are back"
            );
            Loaded { registry, words: (nodes > 0).then_some(words) }
        }
        Err(error) => {
            let registry = new();
            let is_first =
                matches!(&error, FileError::Io(e) if e.kind() == io::ErrorKind::NotFound);
            Loaded { registry, words: (!is_first).then(|| set_aside(path, &error)) }
        }
    }
}

fn empty(policy: Policy) -> Registry {
    Registry::with_policy(clock::random_u64(), Limits::default(), policy)
}

fn set_aside(path: &Path, error: &FileError) -> String {
    let shown = path.display();
    let aside = PathBuf::from(format!("{shown}.bad"));
    let kept = match std::fs::rename(path, &aside) {
        Ok(()) => format!("kept as {}", aside.display()),
        Err(e) => format!("it cannot be set aside: {e}"),
    };
    format!(
        "cannot use the index in {shown}: {error} ({kept}); the nodes tell their files again when they are back"
    )
}

/// Starts the thread that writes it.
pub(super) fn start(
    service: &Arc<Service>,
    path: PathBuf,
    stop: &StopToken,
    group: &Group,
) -> io::Result<()> {
    let (service, stop) = (Arc::clone(service), stop.clone());
    group.spawn("snapshot", move || {
        let written = service.read(Registry::revision);
        let retry = Backoff::new(EVERY, RETRY_MAX);
        let mut keeper = Keeper { path, written, told: false, retry };
        let mut pause = EVERY;
        while !stop.wait(pause) {
            pause = keeper.keep(&service, &|| stop.is_stopped());
        }
        let deadline = clock::now() + LAST_TIME_MAX;
        keeper.keep(&service, &|| clock::now() >= deadline);
    })
}

/// Who writes it down.
struct Keeper {
    path: PathBuf,
    /// The revision of the registry that is on the disk.
    written: u64,
    /// The person knows that it cannot be written.
    told: bool,
    retry: Backoff,
}

impl Keeper {
    /// Writes it, if anything has changed; says how long to wait before the next time. Given up when
    /// `stop` says so.
    fn keep(&mut self, service: &Service, stop: &dyn Fn() -> bool) -> Duration {
        let (began, revision) = (clock::now(), service.read(Registry::revision));
        if self.written == revision {
            return EVERY;
        }
        let outcome =
            self.write(&|saving| service.read(|r| r.save_step(clock::now(), saving)), stop);
        let took = clock::now().since(began);
        match outcome {
            Ok(Some(bytes)) => {
                log::debug!(target: "tracker", "the index is on the disk: {bytes} bytes in {took:?}");
                (self.written, self.told) = (revision, false);
                self.retry.succeed();
                EVERY.max(took * PAUSE_SHARE)
            }
            Ok(None) => {
                log::debug!(target: "tracker", "writing the index was given up after {took:?}");
                EVERY
            }
            Err(error) => {
                let words = format!(
                    "cannot write the index to {}: {error}; it is tried again, and after a restart \
                     the nodes tell their files again",
                    self.path.display()
                );
                if std::mem::replace(&mut self.told, true) {
                    log::debug!(target: "tracker", "{words}");
                } else {
                    service.notices.tell(words);
                }
                self.retry.fail(clock::random_u64()).max(took * PAUSE_SHARE)
            }
        }
    }

    /// Writes all that `next` gives; returns how many bytes, or none when it was given up.
    fn write(
        &self,
        next: &dyn Fn(&mut Saving) -> Option<Record>,
        stop: &dyn Fn() -> bool,
    ) -> io::Result<Option<u64>> {
        let mut saving = Saving::default();
        let mut writer = Writer::begin(BufWriter::with_capacity(1 << 18, new_beside(&self.path)?))?;
        while let Some(record) = next(&mut saving) {
            if stop() {
                return Ok(None);
            }
            writer.write(&record)?;
        }
        let mut buffer = writer.into_inner();
        buffer.flush()?;
        let file = buffer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        let file = file.persist(&self.path)?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
        Ok(Some(file.metadata()?.len()))
    }
}

#[cfg(test)]
mod tests;
