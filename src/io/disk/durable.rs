//! Makes files that lie under their names already as durable as those that are published.
//!
//! Invariant: after `Ok` every one of them, and the folders above it, survive a loss of power. A few
//! are synced one by one; for many, one sync of the file system costs less than theirs.

use std::io;

use super::beneath::Beneath;
use super::publish::{SYNCS_MAX, open_anew};
use crate::base::Name;

/// Brings the files `names` below `into` to the disk.
///
/// # Errors
/// What open and fsync say; the files must then be taken as lost.
pub fn make_durable(into: &Beneath, names: &[Name]) -> io::Result<()> {
    if names.len() > SYNCS_MAX {
        return Ok(rustix::fs::syncfs(open_anew(into.folder())?)?);
    }
    names.iter().try_for_each(|name| {
        into.open_file(name)?.sync_all()?;
        into.sync_above(name)
    })
}
