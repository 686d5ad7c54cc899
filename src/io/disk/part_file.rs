//! One part, open and locked: bytes go in at any offset, what was written can be told from holes.
//!
//! Invariant: whoever has a `PartFile` is the part's only writer. Dropping it keeps what was
//! written, and its room; `give_back` keeps what was written alone; `publish` and `remove` end it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use rustix::fs::{Advice, FallocateFlags, Mode, OFlags, SeekFrom};
use rustix::io::Errno;

use super::part::{PartStore, part_name};
use crate::base::Root;
use crate::io::failpoint::fail_point;

/// Bytes copied between two looks at whether to stop.
const COPY_STEP: u64 = 64 << 20;

/// A part, open and locked. Dropping it keeps what was written for the next attempt.
#[derive(Debug)]
pub struct PartFile {
    store: PartStore,
    file: File,
    root: Root,
    size: u64,
}

impl PartFile {
    /// The file it becomes.
    pub fn root(&self) -> Root {
        self.root
    }

    /// Bytes of the whole file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The open file, to be read at explicit offsets.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Opens it once more, to read what is verified of it. That does not hold the lock: whoever reads
    /// keeps nobody from continuing or removing the part.
    ///
    /// # Errors
    /// What open says.
    pub fn open_to_read(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(
            self.store.folder(),
            part_name(&self.root, self.size),
            flags,
            Mode::empty(),
        )?;
        Ok(File::from(fd))
    }

    /// Writes verified `bytes` at `offset`.
    ///
    /// # Errors
    /// What write says; a run that reaches beyond the file (`InvalidInput`).
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > self.size) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "beyond the end of the file"));
        }
        fail_point!("part.write")?;
        self.file.write_all_at(bytes, offset)?;
        fail_point!("part.written")
    }

    /// Fills `bytes` from `offset`.
    ///
    /// # Errors
    /// What read says; fewer bytes than that (`UnexpectedEof`).
    pub fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset)
    }

    /// Brings what was written to the disk. Early calls leave little to do at the end.
    ///
    /// # Errors
    /// What fdatasync says; what was written must then be taken as lost.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Drops from memory what the disk is said to have, so that the next reads ask the disk.
    ///
    /// # Errors
    /// What fadvise says, but for a file system that cannot do it.
    pub(super) fn forget_clean_pages(&self) -> io::Result<()> {
        match rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Where bytes were written, ascending; between them are holes, which read as zeros.
    ///
    /// # Errors
    /// What lseek says.
    pub fn data_ranges(&self) -> io::Result<Vec<Range<u64>>> {
        let (mut ranges, mut at) = (Vec::new(), 0);
        while at < self.size {
            let start = match rustix::fs::seek(&self.file, SeekFrom::Data(at)) {
                Ok(start) => start,
                Err(Errno::NXIO) => break,
                // A file system that does not know of holes: all of it is data.
                Err(Errno::INVAL | Errno::OPNOTSUPP) => at,
                Err(error) => return Err(error.into()),
            };
            let end = rustix::fs::seek(&self.file, SeekFrom::Hole(start)).unwrap_or(self.size);
            if end <= start {
                break;
            }
            ranges.push(start..end);
            at = end;
        }
        Ok(ranges)
    }

    /// Keeps what was written for the next attempt and gives all other room back to the disk. That
    /// attempt takes it again, if it is there then.
    ///
    /// # Errors
    /// What lseek and fallocate say, but for a file system that cannot do it.
    pub fn give_back(self) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let (mut at, end) = (0, self.size..self.size);
        for data in self.data_ranges()?.into_iter().chain(std::iter::once(end)) {
            if data.start > at {
                match rustix::fs::fallocate(&self.file, flags, at, data.start - at) {
                    Ok(()) => {}
                    Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(()),
                    Err(error) => return Err(error.into()),
                }
            }
            at = data.end;
        }
        Ok(())
    }

    /// Copies all bytes of `file`, sharing them where the file system can, until `stop` says so.
    /// Nothing is verified.
    ///
    /// # Errors
    /// What copy_file_range says.
    pub fn copy_from(&self, file: &File, stop: &dyn Fn() -> bool) -> io::Result<()> {
        fail_point!("part.copy")?;
        let mut at = 0;
        while at < self.size && !stop() {
            let (mut from, mut to) = (at, at);
            let step = (self.size - at).min(COPY_STEP) as usize;
            match rustix::fs::copy_file_range(
                file,
                Some(&mut from),
                &self.file,
                Some(&mut to),
                step,
            )? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                copied => at += copied as u64,
            }
        }
        Ok(())
    }

    /// Forgets all that has arrived.
    ///
    /// # Errors
    /// What unlink says.
    pub fn remove(self) -> io::Result<()> {
        self.store.unlink(&part_name(&self.root, self.size))
    }

    /// A part that was just opened and locked, with room for all its bytes.
    pub(super) fn with_room(
        store: PartStore,
        file: File,
        root: Root,
        size: u64,
    ) -> io::Result<PartFile> {
        let part = PartFile { store, file, root, size };
        part.take_room().map(|()| part)
    }

    pub(super) fn store(&self) -> &PartStore {
        &self.store
    }

    /// Makes the file `size` bytes long, with blocks for all of them.
    fn take_room(&self) -> io::Result<()> {
        fail_point!("part.room")?;
        let before = self.file.metadata()?.len();
        if before > self.size {
            self.file.set_len(self.size)?;
        }
        if self.size == 0 {
            return Ok(());
        }
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, self.size) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.file.set_len(self.size),
            Err(error) => {
                // What was taken in vain is given back; what had arrived earlier is kept.
                if before == 0 {
                    self.store.unlink(&part_name(&self.root, self.size))?;
                } else {
                    self.file.set_len(before.min(self.size))?;
                }
                Err(error.into())
            }
        }
    }
}
