//! Who names small files now, among all processes: their copies are theirs until they are done.
//!
//! Invariant: while anybody has `publishing`, nobody is `alone`. A lock on the folder of parts, one
//! descriptor however many files; the kernel takes it from who is killed. Where folders cannot be
//! locked nobody is ever alone.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{FlockOperation, flock};

use super::publish::open_anew;

/// Copies in `folder` are made and named, until this is dropped.
pub(super) fn publishing(folder: BorrowedFd<'_>) -> Option<OwnedFd> {
    locked(folder, FlockOperation::LockShared)
}

/// Nobody makes copies in `folder`, until this is dropped.
pub(super) fn alone(folder: BorrowedFd<'_>) -> Option<OwnedFd> {
    locked(folder, FlockOperation::NonBlockingLockExclusive)
}

fn locked(folder: BorrowedFd<'_>, how: FlockOperation) -> Option<OwnedFd> {
    let folder = open_anew(folder).ok()?;
    flock(&folder, how).ok().map(|()| folder)
}
