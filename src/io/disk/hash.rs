//! Manifests of files, computed on all cores.
//!
//! Chunks are subtrees of the file's hash, so threads take chunks one after the other, each with
//! its own reads at explicit offsets. Ends early when the caller's `stop` says so. Fails with what
//! the disk says, or when the file is not as long as it was said to be.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::base::chunk::{Span, chunk_count, chunk_span};
use crate::base::manifest::{ChunkHasher, ChunkValue};
use crate::base::{Manifest, Root};

/// Bytes read at once: large enough to make the call cheap, small enough to stay in the cache.
pub const READ_SIZE: usize = 256 * 1024;

/// Why a file has no manifest.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// The disk failed, or the file became shorter.
    #[error("could not read it: {0}")]
    Io(#[from] io::Error),
    /// The caller stops.
    #[error("stopped before the end")]
    Stopped,
}

/// How many threads hash at once: one a core.
pub fn threads_max() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The manifest of the first `size` bytes of `file`, on up to `threads` threads.
///
/// # Errors
/// A read that fails, a file shorter than `size`, `stop`.
pub fn hash_file(
    file: &File,
    size: u64,
    threads: usize,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Manifest, HashError> {
    let count = chunk_count(size);
    let values = Mutex::new(vec![ChunkValue::default(); count as usize]);
    each_chunk(count, threads, stop, &|index, buffer| {
        let value = hash_chunk(file, size, index, buffer, stop)?;
        values.lock()[index as usize] = value;
        Ok(())
    })?;
    Manifest::fold(size, values.into_inner()).map_err(|e| HashError::Io(io::Error::other(e)))
}

/// The same on this thread alone, read through `buffer`: to a small file, a buffer of its own costs
/// more than its hash.
///
/// # Errors
/// A read that fails, a file shorter than `size`, `stop`.
pub fn hash_file_through(
    file: &File,
    size: u64,
    buffer: &mut [u8],
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Manifest, HashError> {
    let values = (0..chunk_count(size)).map(|index| hash_chunk(file, size, index, buffer, stop));
    let values = values.collect::<Result<Vec<_>, _>>()?;
    Manifest::fold(size, values).map_err(|e| HashError::Io(io::Error::other(e)))
}

/// The root of a file that fits one chunk, read in one go into `buffer`.
///
/// # Errors
/// A read that fails, a file shorter than `size`.
pub fn hash_small(file: &File, size: u64, buffer: &mut Vec<u8>) -> io::Result<Root> {
    buffer.resize(size as usize, 0);
    file.read_exact_at(buffer, 0)?;
    Ok(Root::of(buffer))
}

/// What is done with one chunk: its number, and a buffer to read through.
type ChunkWork<'a> = dyn Fn(u32, &mut [u8]) -> Result<(), HashError> + Sync + 'a;

/// Calls `work` once for each chunk number below `count`, on up to `threads` threads, each with
/// its own buffer of `READ_SIZE`. The first error ends all.
pub(super) fn each_chunk(
    count: u32,
    threads: usize,
    stop: &(dyn Fn() -> bool + Sync),
    work: &ChunkWork<'_>,
) -> Result<(), HashError> {
    let (next, failed) = (AtomicU32::new(0), AtomicBool::new(false));
    let take_chunks = || {
        let mut buffer = vec![0; READ_SIZE];
        loop {
            let index = next.fetch_add(1, Relaxed);
            if index >= count || failed.load(Relaxed) {
                return Ok(());
            }
            let done = if stop() { Err(HashError::Stopped) } else { work(index, &mut buffer) };
            done.inspect_err(|_| failed.store(true, Relaxed))?;
        }
    };
    if threads <= 1 || count <= 1 {
        return take_chunks();
    }
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads.min(count as usize))
            .filter_map(|_| std::thread::Builder::new().spawn_scoped(scope, take_chunks).ok())
            .collect();
        let mine = take_chunks();
        let theirs = helpers.into_iter().map(|h| h.join().unwrap_or(Err(HashError::Stopped)));
        theirs.fold(mine, Result::and)
    })
}

/// The value of chunk `index`, read through `buffer`.
pub(super) fn hash_chunk(
    file: &File,
    size: u64,
    index: u32,
    buffer: &mut [u8],
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<ChunkValue, HashError> {
    let span = chunk_span(size, index).unwrap_or(Span { offset: size, len: 0 });
    let mut hasher = ChunkHasher::new(size, span);
    let (mut at, end) = (span.offset, span.offset + span.len);
    while at < end {
        if stop() {
            return Err(HashError::Stopped);
        }
        let want = buffer.len().min((end - at) as usize);
        file.read_exact_at(&mut buffer[..want], at)?;
        hasher.update(&buffer[..want]);
        at += want as u64;
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn a_file_hashes_to_what_its_bytes_hash_to_on_any_number_of_threads() {
        for len in [0, 1, 1024, 262_144, 262_145, 3_000_001] {
            let bytes: Vec<u8> = (0..len).map(|i| (i / 7) as u8).collect();
            for threads in [1, 2, 5] {
                let manifest = hash_file(&file_of(&bytes), len, threads, &|| false).unwrap();
                assert_eq!(manifest, Manifest::of(&bytes), "{len} bytes on {threads} threads");
            }
            for buffer in [&mut [0; 7][..], &mut [0; 100_000]] {
                let manifest = hash_file_through(&file_of(&bytes), len, buffer, &|| false).unwrap();
                assert_eq!(manifest, Manifest::of(&bytes), "{len} bytes, read bit by bit");
            }
        }
    }

    #[test]
    fn a_file_that_became_shorter_and_a_stop_end_it() {
        let file = file_of(&[7; 600_000]);
        assert!(matches!(hash_file(&file, 700_000, 2, &|| false), Err(HashError::Io(_))));
        assert!(matches!(hash_file(&file, 600_000, 2, &|| true), Err(HashError::Stopped)));
    }
}
