//! The seam between the log and the disk: two small traits.
//!
//! Invariant: everything the log does to the world goes through here, so that a test can fail any
//! operation and cut the power after it. Nothing here retries, except what was interrupted.

use std::any::Any;
use std::io;
use std::sync::Arc;

use crate::error::WalError;

/// How often an interrupted call is made again before the interruption counts as a failure.
const INTERRUPTIONS_MAX: u32 = 1_000;

/// One flat directory of files, and the dice.
pub trait Storage: Send + Sync {
    /// Takes the directory for this process until the guard is dropped.
    ///
    /// # Errors
    /// [`WalError::Locked`] at once, or nearly so, when somebody has it.
    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>, WalError>;
    /// The names of all files, in any order.
    ///
    /// # Errors
    /// Those of the system, here and below.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens an existing file.
    ///
    /// # Errors
    /// Also when there is none.
    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>>;
    /// Makes a new, empty file.
    ///
    /// # Errors
    /// Also when the name is taken.
    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>>;
    /// Gives a file another name, one not in use.
    ///
    /// # Errors
    /// After one, either name may be the file's.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Deletes a file.
    ///
    /// # Errors
    /// After one, the file may be there or not.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes the names durable.
    ///
    /// # Errors
    /// After one, nothing is known of names changed since the last success.
    fn sync_dir(&self) -> io::Result<()>;
    /// A number nobody can guess.
    ///
    /// # Errors
    /// When the system has none.
    fn salt(&self) -> io::Result<u64>;
}

/// One open file.
pub trait StorageFile: Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// Those of the system, here and below.
    fn len(&self) -> io::Result<u64>;
    /// Whether there is nothing in it.
    ///
    /// # Errors
    /// As `len`.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Reads some bytes from `offset`; 0 at the end.
    ///
    /// # Errors
    /// Nothing was read.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes some of `bytes` at `offset`, and says how many.
    ///
    /// # Errors
    /// Nothing, or something, was written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Cuts the file.
    ///
    /// # Errors
    /// Its length is as before.
    fn truncate(&self, len: u64) -> io::Result<()>;
    /// Makes the bytes and the length durable.
    ///
    /// # Errors
    /// What was not durable may never be, whatever a later sync says.
    fn sync(&self) -> io::Result<()>;
}

/// Calls again while interrupted, within reason.
pub(crate) fn patiently<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..INTERRUPTIONS_MAX {
        match call() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
    call()
}

/// Writes all of `bytes`, in as many pieces as the storage wants.
pub(crate) fn write_all(file: &dyn StorageFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        let at = offset + done as u64;
        match patiently(|| file.write_at(&bytes[done..], at))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => done += n,
        }
    }
    Ok(())
}

/// Fills `into` from `offset` up to the end of the file or a place that cannot be read, and says
/// how far it came.
pub(crate) fn read_up_to(file: &dyn StorageFile, into: &mut [u8], offset: u64) -> usize {
    let mut done = 0;
    while done < into.len() {
        let at = offset + done as u64;
        match patiently(|| file.read_at(&mut into[done..], at)) {
            Ok(0) | Err(_) => break,
            Ok(n) => done += n,
        }
    }
    done
}
