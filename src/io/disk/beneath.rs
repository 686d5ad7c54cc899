//! A folder, and the only way to open, make or name anything below it.
//!
//! Invariant (I5): nothing reached through a `Beneath` lies outside its folder, whatever symbolic
//! links are there or are moved into place meanwhile. The kernel walks the path (openat2 with
//! RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS); where it has no openat2, or a container forbids it,
//! we walk it ourselves, one component at a time, each from its parent's descriptor.
//!
//! Fails with what the system says: a link anywhere in the path is `ELOOP` or `ENOTDIR`. Only
//! regular files are opened, without ever waiting for the writer of a pipe.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;

use crate::base::Name;

/// A descriptor of a folder, and how to walk below it.
#[derive(Debug)]
pub struct Beneath {
    folder: OwnedFd,
    path: PathBuf,
    /// openat2 is missing or forbidden here.
    walk: AtomicBool,
}

/// New folders: the umask takes away what the user wants taken away.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o777);
/// How often openat2 is asked again when it raced with a rename.
const RACES_MAX: usize = 16;

impl Beneath {
    /// Opens the folder at `path`, which a person named: links in it are followed.
    ///
    /// # Errors
    /// What open says: missing, not a folder, not ours to read.
    pub fn open(path: &Path) -> io::Result<Beneath> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        Ok(Beneath { folder, path: path.to_owned(), walk: AtomicBool::new(false) })
    }

    /// Where the folder was when it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder itself.
    pub fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Opens the regular file `name` for reading.
    ///
    /// # Errors
    /// What open says; a link anywhere in the path; anything but a regular file.
    pub fn open_file(&self, name: &Name) -> io::Result<File> {
        self.open_and_look(name).map(|(file, _)| file)
    }

    /// The same, with the state it is in.
    ///
    /// # Errors
    /// As `open_file`.
    pub fn open_and_look(&self, name: &Name) -> io::Result<(File, Metadata)> {
        // O_NONBLOCK: opening a pipe must not wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(self.open_at(name, flags)?);
        let meta = file.metadata()?;
        if meta.is_file() { Ok((file, meta)) } else { Err(not_regular()) }
    }

    /// Opens the folder `name`, or this folder itself.
    ///
    /// # Errors
    /// What open says; a link anywhere in the path; not a folder.
    pub fn open_folder(&self, name: Option<&Name>) -> io::Result<OwnedFd> {
        match name {
            Some(name) => self.open_at(name, OFlags::RDONLY | OFlags::DIRECTORY),
            None => self.folder.try_clone(),
        }
    }

    /// Makes the folders above `name` that are missing; returns the innermost.
    ///
    /// # Errors
    /// What mkdir says; `ENOTDIR` where a file or a link is in the way.
    pub fn create_parents(&self, name: &Name) -> io::Result<OwnedFd> {
        let mut folder = self.folder.try_clone()?;
        for part in parents(name) {
            folder = match step(&folder, part) {
                Err(Errno::NOENT) => {
                    match rustix::fs::mkdirat(&folder, part, FOLDER_MODE) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(error) => return Err(error.into()),
                    }
                    step(&folder, part)?
                }
                other => other?,
            };
        }
        Ok(folder)
    }

    /// Takes the file `name` away.
    ///
    /// # Errors
    /// What unlink says; a link among the folders above it.
    pub fn unlink(&self, name: &Name) -> io::Result<()> {
        let folder = self.open_parent(name)?;
        Ok(rustix::fs::unlinkat(folder, name.file_name(), AtFlags::empty())?)
    }

    /// Takes the folder `name` away, if it is empty.
    ///
    /// # Errors
    /// What rmdir says; a link among the folders above it.
    pub fn remove_folder(&self, name: &Name) -> io::Result<()> {
        let folder = self.open_parent(name)?;
        Ok(rustix::fs::unlinkat(folder, name.file_name(), AtFlags::REMOVEDIR)?)
    }

    /// Makes every entry on the way from this folder to `name` durable.
    ///
    /// # Errors
    /// What fsync says; the entry must then be taken as lost.
    pub fn sync_above(&self, name: &Name) -> io::Result<()> {
        rustix::fs::fsync(&self.folder)?;
        for (at, _) in name.as_str().match_indices('/') {
            let above = Name::parse(&name.as_str()[..at]).map_err(io::Error::other)?;
            rustix::fs::fsync(self.open_folder(Some(&above))?)?;
        }
        Ok(())
    }

    /// The folder in which `name` lies.
    ///
    /// # Errors
    /// What open says; a link among the folders.
    pub fn open_parent(&self, name: &Name) -> io::Result<OwnedFd> {
        let above = name.as_str().rsplit_once('/').and_then(|(above, _)| Name::parse(above).ok());
        self.open_folder(above.as_ref())
    }

    fn open_at(&self, name: &Name, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if self.walk.load(Relaxed) {
            return self.open_by_walking(name, flags);
        }
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..RACES_MAX {
            match rustix::fs::openat2(&self.folder, name.as_path(), flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::NOSYS | Errno::TOOBIG) => {
                    self.walk.store(true, Relaxed);
                    return self.open_by_walking(name, flags);
                }
                // What seccomp says in older containers, but also what a file system may say.
                Err(Errno::PERM) => {
                    let opened = self.open_by_walking(name, flags)?;
                    self.walk.store(true, Relaxed);
                    return Ok(opened);
                }
                other => return Ok(other?),
            }
        }
        Err(Errno::AGAIN.into())
    }

    fn open_by_walking(&self, name: &Name, flags: OFlags) -> io::Result<OwnedFd> {
        let mut folder: Option<OwnedFd> = None;
        for part in parents(name) {
            folder = Some(step(folder.as_ref().unwrap_or(&self.folder), part)?);
        }
        let folder = folder.as_ref().unwrap_or(&self.folder);
        Ok(rustix::fs::openat(folder, name.file_name(), flags, Mode::empty())?)
    }
}

/// Gives `from` in `from_folder` the name `to` in `to_folder`, unless that is taken.
///
/// # Errors
/// `EEXIST` when it is taken at that moment; else what rename says.
pub fn rename_noreplace(
    from_folder: impl AsFd,
    from: &str,
    to_folder: impl AsFd,
    to: &str,
) -> io::Result<()> {
    let (from_folder, to_folder) = (from_folder.as_fd(), to_folder.as_fd());
    match rustix::fs::renameat_with(from_folder, from, to_folder, to, RenameFlags::NOREPLACE) {
        // A file system or a kernel without the flag: a hard link does not replace either.
        Err(Errno::INVAL | Errno::NOSYS) => {
            rustix::fs::linkat(from_folder, from, to_folder, to, AtFlags::empty())?;
            Ok(rustix::fs::unlinkat(from_folder, from, AtFlags::empty())?)
        }
        other => Ok(other?),
    }
}

/// The components above the last.
fn parents(name: &Name) -> impl Iterator<Item = &str> {
    let mut parts = name.components();
    parts.next_back();
    parts
}

/// The folder `part` in `folder`; a link is not followed.
fn step(folder: &OwnedFd, part: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, part, flags, Mode::empty())
}

/// Whether `open_file` says by this that there is no regular file of that name, as an error without a
/// number does too. Any other, as of a disk, a server or for want of descriptors, says nothing of it.
pub fn is_no_file(error: &io::Error) -> bool {
    let no_file = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::NXIO, Errno::NODEV];
    Errno::from_io_error(error).is_none_or(|errno| no_file.contains(&errno))
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")
}

#[cfg(test)]
#[path = "beneath_tests.rs"]
mod tests;
