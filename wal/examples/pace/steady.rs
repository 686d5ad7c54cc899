//! A disk whose syncs of files take always as long: what is left of a time then is the log's own, and
//! the scheduler's. It is a real directory, which may be in memory. Ends with its log.

use std::any::Any;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parvi_wal::{Disk, Storage, StorageFile, WalError};

/// How long a sync takes.
pub(crate) const SYNC: Duration = Duration::from_millis(2);

pub(crate) struct Steady(pub(crate) Disk);

struct SteadyFile(Arc<dyn StorageFile>);

impl StorageFile for SteadyFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.truncate(len)
    }
    #[expect(clippy::disallowed_methods, reason = "it is what stands in for the disk")]
    fn sync(&self) -> io::Result<()> {
        std::thread::sleep(SYNC);
        Ok(())
    }
}

impl Storage for Steady {
    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>, WalError> {
        self.0.lock()
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(SteadyFile(self.0.open(name)?)))
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(SteadyFile(self.0.create(name)?)))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
    fn sync_dir(&self) -> io::Result<()> {
        Ok(())
    }
    fn salt(&self) -> io::Result<u64> {
        self.0.salt()
    }
}
