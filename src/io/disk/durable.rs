//! Makes files that lie under their names already as durable as those that are published.
//!
//! Invariant: after `Ok` every one of them, and the folders above it, survive a loss of power. A few
//! are synced one by one; for many, one sync of the file system costs less than theirs. A failed write
//! that another program's sync has been told of is not told again then.

use std::io;

use super::beneath::Beneath;
use super::publish::{SYNCS_MAX, open_anew};
use super::sync;
use crate::base::Name;

/// Brings the files `names` below `into` to the disk.
///
/// # Errors
/// What open and fsync say; the files must then be taken as lost.
pub fn make_durable(into: &Beneath, names: &[Name]) -> io::Result<()> {
    if names.len() <= SYNCS_MAX {
        return sync::each_below(into, names);
    }
    sync::written_before(&open_anew(into.folder())?, || sync::each_below(into, names))
}
