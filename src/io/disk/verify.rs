//! Which chunks of a part are already right.
//!
//! The disk is the truth: the part itself is hashed, there is no record of progress that could
//! run ahead of it. Holes are where nothing was written; they are passed over, so that a part just
//! begun costs nothing. Yet some file systems turn zeros that were written into holes, so each hole
//! is followed from its start for as long as its zeros are what the manifest wants: what is left
//! missing by that shrinks with each call, and a chunk that is called right always is.
//!
//! The disk, not the memory: after a failed write-back the kernel calls the pages clean and keeps
//! them, so a part would be right as long as it is in memory, and its next sync would succeed
//! (PostgreSQL's "fsyncgate", 2018; Rebello et al., "Can Applications Recover from fsync
//! Failures?", USENIX ATC 2020). So the clean pages are dropped before the check: it reads what the
//! disk has. Dirty pages stay; the sync before the name tells of them.

use std::io;
use std::ops::Range;

use parking_lot::Mutex;

use super::hash::{HashError, READ_SIZE, each_chunk, hash_chunk, threads_max};
use super::part_file::PartFile;
use crate::base::chunk::{chunk_count, chunk_size};
use crate::base::{Bitmap, Manifest};
use crate::io::failpoint::fail_point;

/// The chunks of `part` that are what `manifest` says.
///
/// # Errors
/// A read that fails; `stop` (`ErrorKind::Interrupted`).
pub fn verify_part(
    part: &PartFile,
    manifest: &Manifest,
    stop: &(dyn Fn() -> bool + Sync),
) -> io::Result<Bitmap> {
    fail_point!("part.verify")?;
    let chunks = chunk_count(manifest.size());
    let data = part.data_ranges()?;
    if !data.is_empty() {
        part.forget_clean_pages()?;
    }
    let (written, holes) = split(&data, manifest.size());
    let right = Mutex::new(Bitmap::none(chunks));
    let check = |index: u32, buffer: &mut [u8]| {
        let value = hash_chunk(part.file(), manifest.size(), index, buffer, stop)?;
        let same = value == manifest.values()[index as usize];
        if same {
            right.lock().insert(index);
        }
        Ok(same)
    };
    each_chunk(written.len() as u32, threads_max(), stop, &|nth, buffer| {
        check(written[nth as usize], buffer).map(|_| ())
    })
    .and_then(|()| {
        let mut buffer = vec![0; READ_SIZE];
        for mut hole in holes {
            while hole.next().map_or(Ok(false), |index| check(index, &mut buffer))? {}
        }
        Ok(())
    })
    .map_err(|error| match error {
        HashError::Io(error) => error,
        HashError::Stopped => io::ErrorKind::Interrupted.into(),
    })?;
    Ok(right.into_inner())
}

/// The chunks that hold data, and the runs of chunks that lie wholly in a hole.
fn split(data: &[Range<u64>], size: u64) -> (Vec<u32>, Vec<Range<u32>>) {
    let (step, count) = (chunk_size(size), chunk_count(size));
    let (mut written, mut holes, mut next) = (Vec::new(), Vec::new(), 0);
    for run in data.iter().filter(|run| run.start < run.end.min(size)) {
        let first = ((run.start / step) as u32).max(next);
        let end = (run.end.min(size).div_ceil(step) as u32).max(first);
        if first > next {
            holes.push(next..first);
        }
        written.extend(first..end);
        next = end;
    }
    if next < count {
        holes.push(next..count);
    }
    (written, holes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_is_either_written_or_in_exactly_one_hole() {
        let step = chunk_size(0);
        let size = 10 * step + 5;
        let run = |a, b| a..b;
        let data = [run(step + 1, step + 2), run(step + 9, 3 * step), run(7 * step, 7 * step + 1)];
        let (written, holes) = split(&data, size);
        assert_eq!(written, [1, 2, 7]);
        assert_eq!(holes, [0..1, 3..7, 8..11]);
        let all_hole = |size| split(&[], size).1.into_iter().flatten().count();
        assert_eq!((all_hole(size), all_hole(0)), (11, 1));
        assert_eq!(split(&[run(0, size)], size).1, []);
    }
}
