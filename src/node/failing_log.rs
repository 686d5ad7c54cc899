//! The log's directory with a fail point before each operation, for tests.
//!
//! Invariant: what is not failed goes to the disk as it is. Compiled with the feature `failpoints`
//! only; the log itself knows nothing of it. Ends with the log.

use std::any::Any;
use std::io;
use std::sync::Arc;

use parvi_wal::{Disk, Storage, StorageFile, WalError};

use crate::io::failpoint::fail_point;

/// The disk, but for what a test fails.
pub(super) struct FailingLog(pub(super) Disk);

struct FailingFile(Arc<dyn StorageFile>);

impl Storage for FailingLog {
    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>, WalError> {
        self.0.lock()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        fail_point!("wal.open")?;
        Ok(Arc::new(FailingFile(self.0.open(name)?)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        fail_point!("wal.create")?;
        Ok(Arc::new(FailingFile(self.0.create(name)?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fail_point!("wal.rename")?;
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fail_point!("wal.remove")?;
        self.0.remove(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        fail_point!("wal.sync_dir")?;
        self.0.sync_dir()
    }

    fn salt(&self) -> io::Result<u64> {
        self.0.salt()
    }
}

impl StorageFile for FailingFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        fail_point!("wal.write")?;
        self.0.write_at(bytes, offset)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        fail_point!("wal.truncate")?;
        self.0.truncate(len)
    }

    fn sync(&self) -> io::Result<()> {
        fail_point!("wal.sync")?;
        self.0.sync()
    }
}
