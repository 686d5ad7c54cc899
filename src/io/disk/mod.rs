//! Files: opened for peers, filled while they arrive, and given their names when they are whole.
//!
//! Invariants: for a peer, no byte is read or written outside the folders that are shared (I5);
//! a final name exists only for a file whose every byte was verified and synced (I1).
//!
//! ```text
//! datadir      the data directory, its paths and its lock
//! beneath      a folder, and the only way to open, make or name anything below it
//! fingerprint  what tells that a file has changed since it was hashed
//! hash         manifests of files, on all cores
//! part         files that are still arriving, in `.parvi/parts`     part_file   one of them, open
//! verify       which chunks of a part are already right
//! batch        small files that are still arriving     publish_batch   these -> final names
//! lent         the small files of a batch, read by others meanwhile
//! publish      part -> final name, never over another file         durable    what has its name already
//! sweep        what goes from the parts that nobody wants or continues
//! sync         one sync for many files
//! ```

pub mod batch;
pub mod beneath;
pub mod datadir;
pub mod durable;
pub mod fingerprint;
pub mod hash;
pub mod lent;
pub mod part;
pub mod part_file;
pub mod publish;
pub mod publish_batch;
pub mod sweep;
mod sync;
pub mod verify;
#[cfg(test)]
mod world;

pub use batch::{Batch, Dress};
pub use beneath::{Beneath, is_no_file};
pub use datadir::{DataDir, DataDirError};
pub use durable::make_durable;
pub use fingerprint::Fingerprint;
pub use hash::{HashError, hash_file, hash_file_through, hash_small};
pub use lent::{LentBatch, LentFile};
pub use part::{PartError, PartStore};
pub use part_file::PartFile;
pub use publish::{PublishError, Published, existing, publish};
pub use publish_batch::publish_batch;
pub use sweep::Removed;
pub use verify::verify_part;

use rustix::io::Errno;

use crate::io::failpoint::fail_point;

/// Puts `bytes` in the place of the file at `path`, in one step and durably.
///
/// # Errors
/// What the disk says; the file is then as it was.
pub fn replace_file(path: &std::path::Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let folder = path.parent().unwrap_or(std::path::Path::new("."));
    let mut file = new_beside(path)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    fail_point!("replace.rename")?;
    file.persist(path)?;
    std::fs::File::open(folder)?.sync_all()
}

/// How the name of a file begins that is to replace another. One that a killed process left goes when
/// the data directory is opened.
const NEW_PREFIX: &str = ".tmp";

/// A file that may take the place of the one at `path`; it goes when it is dropped before.
///
/// # Errors
/// What the disk says.
pub fn new_beside(path: &std::path::Path) -> std::io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().unwrap_or(std::path::Path::new("."));
    tempfile::Builder::new().prefix(NEW_PREFIX).tempfile_in(folder)
}

/// Whether `error` means that the disk, or the user's share of it, is full.
pub fn is_disk_full(error: &std::io::Error) -> bool {
    let full = [Errno::NOSPC, Errno::DQUOT].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| full.contains(&code))
}
