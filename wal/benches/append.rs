//! What it costs to make a record and append it, without a disk: the files here forget what is
//! written. `examples/pace` measures a real one. `cargo bench -p parvi-wal`.

use std::any::Any;
use std::io;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput};
use parvi_wal::{Options, Record, Storage, StorageFile, Wal, WalError};

/// A directory and its files, all of which keep nothing.
#[derive(Clone)]
struct Nowhere;

impl Storage for Nowhere {
    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>, WalError> {
        Ok(Box::new(()))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn open(&self, _: &str) -> io::Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(Nowhere))
    }

    fn create(&self, _: &str) -> io::Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(Nowhere))
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(())
    }

    fn salt(&self) -> io::Result<u64> {
        Ok(7)
    }
}

impl StorageFile for Nowhere {
    fn len(&self) -> io::Result<u64> {
        Ok(0)
    }

    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        Ok(0)
    }

    fn write_at(&self, bytes: &[u8], _: u64) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

fn main() -> Result<(), WalError> {
    let (wal, _) = Wal::open(Arc::new(Nowhere), Options::new([7; 32]))?;
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("append");
    for len in [32, 256, 4_096] {
        let record = Record::new(1, vec![7; len]);
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::new("lazy", len), |bencher| {
            bencher.iter(|| wal.append_lazy(&record));
        });
        group.bench_function(BenchmarkId::new("durable", len), |bencher| {
            bencher.iter(|| wal.append_durable(&record));
        });
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}
