//! What lies in the folder of parts from before, and what of it goes: what nobody wants, what nobody
//! continues, and what this build does not know any more.
//!
//! Invariant: nothing goes that is not ours by its name, and nothing that somebody has locked.

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::batch::files_in;
use super::part::{PartError, PartStore};
use crate::base::{Modified, Root};
use crate::io::clock;

/// A part that nothing has happened to for so long belongs to a download that nobody continues.
pub(super) const PART_AGE_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What became of parts that nobody wants.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// How many files went.
    pub gone: usize,
    /// Whose parts somebody has open.
    pub in_use: Vec<Root>,
}

impl PartStore {
    /// The contents of which something is kept: large files that were begun, and small ones.
    ///
    /// # Errors
    /// What reading the folders says.
    pub fn kept(&self) -> io::Result<BTreeSet<Root>> {
        let mut kept = BTreeSet::new();
        for entry in std::fs::read_dir(self.path())? {
            let name = entry?.file_name();
            kept.extend(name.to_str().and_then(part_of).map(|(root, _)| root));
        }
        for batch in self.batches()? {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat(self.folder(), &batch, flags, Mode::empty()) {
                Ok(folder) => kept.extend(files_in(&folder)?.into_iter().map(|(_, root)| root)),
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(kept)
    }

    /// Removes the parts that nobody has continued for `PART_AGE_MAX`. That is told by the wall
    /// clock, which may be decades off: call it only while no download is to be continued.
    ///
    /// # Errors
    /// What readdir and unlink say.
    pub fn forget_old(&self) -> io::Result<()> {
        self.forget_older(clock::unix_now())
    }

    pub(super) fn forget_older(&self, now: Modified) -> io::Result<()> {
        let ours = |name: &str| part_of(name).is_some() || was_ours(name);
        self.sweep(|name, meta| ours(name) && meta.is_file() && is_old(meta, now))?;
        self.each_left(|folder| {
            if !is_old(&File::from(folder.try_clone()?).metadata()?, now) {
                return Ok(());
            }
            remove_from(folder, &|_| true).map(|gone| {
                log::info!("removed {gone} small files that nobody continues");
            })
        })
    }

    /// Removes what builds before this one have kept, under names that nobody looks for now. Call it only
    /// while no such build can be at work here.
    ///
    /// # Errors
    /// What readdir and unlink say.
    pub fn forget_unknown(&self) -> io::Result<()> {
        self.sweep(|name, meta| was_ours(name) && meta.is_file())
    }

    /// Forgets what is kept of the contents that `unwanted` names, but for what somebody has open.
    ///
    /// # Errors
    /// What reading the folder says; what unlink says, after the rest was tried.
    pub fn remove_all(&self, unwanted: &dyn Fn(&Root) -> bool) -> io::Result<Removed> {
        let (mut removed, mut failed) = (Removed::default(), None);
        for entry in std::fs::read_dir(self.path())? {
            let name = entry?.file_name();
            let Some((root, size)) = name.to_str().and_then(part_of) else { continue };
            if !unwanted(&root) {
                continue;
            }
            let went = match self.remove(&root, size) {
                Err(PartError::Busy { .. }) => {
                    removed.in_use.push(root);
                    continue;
                }
                Err(PartError::Io { source, .. }) => Err(source),
                other => other.map_err(|error| io::Error::other(error.to_string())),
            };
            removed.gone += usize::from(went.as_ref().is_ok_and(|gone| *gone));
            failed = failed.or(went.err());
        }
        let small = self.each_left(|folder| {
            removed.gone += remove_from(folder, unwanted)?;
            Ok(())
        });
        failed.or(small.err()).map_or(Ok(removed), Err)
    }

    /// Removes what `goes`; what is locked is in use, and stays.
    pub(super) fn sweep(&self, goes: impl Fn(&str, &Metadata) -> bool) -> io::Result<()> {
        for entry in std::fs::read_dir(self.path())? {
            let entry = entry?;
            let (name, meta) = (entry.file_name(), entry.metadata());
            let (Some(name), Ok(meta)) = (name.to_str(), meta) else { continue };
            if !goes(name, &meta) {
                continue;
            }
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let Ok(fd) = rustix::fs::openat(self.folder(), name, flags, Mode::empty()) else {
                continue;
            };
            if File::from(fd).try_lock().is_ok() {
                self.unlink(name)?;
                log::info!("removed {name}, which nobody continues");
            }
        }
        Ok(())
    }
}

/// The content of which this is the name of a part, and its size.
fn part_of(name: &str) -> Option<(Root, u64)> {
    let (root, size) = name.strip_suffix(".part")?.split_once('.')?;
    Some((root.parse().ok()?, size.parse().ok()?))
}

/// Whether an earlier build has called a file of the folder so.
///
/// ```text
/// <root>.part             a part, whatever its size was said to be
/// <root>.small            a small file of a batch
/// <root>.<pid>-<n>.stage  a copy of that, about to get its final name
/// <name>.<pid>-<n>.new    a part or one of these being written
/// ```
fn was_ours(name: &str) -> bool {
    let is_root = |text: &str| text.parse::<Root>().is_ok();
    match name.rsplit_once('.') {
        Some((stem, "part" | "small")) => is_root(stem),
        Some((stem, "stage")) => without_unique(stem).is_some_and(is_root),
        Some((stem, "new")) => {
            without_unique(stem).is_some_and(|name| part_of(name).is_some() || was_ours(name))
        }
        _ => false,
    }
}

/// What stands before `.<pid>-<n>`.
fn without_unique(name: &str) -> Option<&str> {
    let (before, unique) = name.rsplit_once('.')?;
    let (pid, n) = unique.split_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (is_number(pid) && is_number(n)).then_some(before)
}

/// Removes what `goes` of the small files of a batch; tells how many went.
fn remove_from(folder: &OwnedFd, goes: &dyn Fn(&Root) -> bool) -> io::Result<usize> {
    let files = files_in(folder)?.into_iter().filter(|(_, root)| goes(root));
    files.into_iter().try_fold(0, |gone, (name, _)| {
        rustix::fs::unlinkat(folder, &name, AtFlags::empty())?;
        Ok(gone + 1)
    })
}

/// By ctime: mtime becomes that of the sender's file when a part is published, which may fail.
fn is_old(meta: &Metadata, now: Modified) -> bool {
    now.secs.saturating_sub(meta.ctime()) > PART_AGE_MAX.as_secs().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::disk::world::World;

    #[test]
    fn what_is_kept_is_what_was_begun_of_large_files_and_has_come_of_small_ones() {
        let world = World::new();
        drop(world.part(b"film"));
        drop(world.batch(&[b"a", b"b"]));
        std::fs::write(world.store.path().join("a.batch"), b"not a folder").unwrap();
        let roots = [b"film".as_slice(), b"a", b"b"].map(Root::of);
        assert_eq!(world.store.kept().unwrap(), BTreeSet::from(roots));
    }

    #[test]
    fn what_an_earlier_build_has_left_goes_and_what_only_looks_like_it_stays() {
        let world = World::new();
        let (root, folder) = (Root::of(b"film"), world.store.path());
        let here = |name: &String| folder.join(name).exists();
        let write = |name: &String| File::create(folder.join(name)).unwrap();
        let copy = format!("{root}.12-0.stage");
        let left = [
            format!("{root}.part"),
            format!("{root}.small"),
            format!("{root}.small.12-1.new"),
            format!("{copy}.12-2.new"),
            format!("{root}.7.part.12-3.new"),
            copy,
        ];
        let others = [
            format!("{root}.4.part"),
            format!("{root}.small.bak"),
            format!("{root}.12.stage"),
            format!("{root}.12-.stage"),
            format!("{root}.new"),
            format!("{root}"),
            format!("{}.small", &root.to_string()[1..]),
            "film.small".to_owned(),
            "film.12-0.stage".to_owned(),
            "film.part".to_owned(),
        ];
        left.iter().chain(&others).for_each(|name| drop(write(name)));
        let (used, a_folder) = (Root::of(b"used"), Root::of(b"a folder"));
        let (used, a_folder) = (format!("{used}.small"), format!("{a_folder}.small"));
        let lock = write(&used);
        lock.lock().unwrap();
        std::fs::create_dir(folder.join(&a_folder)).unwrap();
        let batch = world.batch(&[b"small"]);
        drop(batch);
        world.store.forget_unknown().unwrap();
        assert!(!left.iter().any(here), "{left:?}");
        let stay = others.iter().chain([&used, &a_folder]).filter(|name| !here(name));
        assert_eq!(stay.collect::<Vec<_>>(), Vec::<&String>::new(), "these should have stayed");
        assert_eq!(world.parts_left(), others.len() + 2, "nor does a batch go");
        drop(lock);
        write(&left[1]);
        let later = clock::unix_now();
        let later = Modified { secs: later.secs + 40 * 24 * 60 * 60, ..later };
        world.store.forget_older(later).unwrap();
        assert!(!here(&left[1]) && !here(&used) && !here(&others[0]), "nobody continues these");
        assert!(others[1..].iter().all(here), "these are not ours");
    }
}
