//! How large a disk is, and how much of it is free to this user.

use std::io;
use std::path::Path;

/// Bytes of the file system that `path` is on: all of them, and those that may still be written.
///
/// # Errors
/// What statvfs says.
pub fn space(path: &Path) -> io::Result<(u64, u64)> {
    let stat = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok((bytes(stat.f_blocks), bytes(stat.f_bavail)))
}
