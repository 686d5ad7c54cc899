//! Where the items of a set go: verified in memory, then written, whoever sent them.
//!
//! Invariant: nothing is written that does not hash to what its root demands, so duplicates from
//! several owners can waste time but never corrupt; every owner feeds the same sink.

use std::sync::Arc;

use super::given::Lent;
use super::resolve::Wanted;
use crate::base::chunk::chunk_span;
use crate::base::{Manifest, Range, Root};
use crate::io::disk::{self, Batch, Beneath, Dress, PartError, PartFile};
use crate::wire::message::transfer::Content;

/// What became of a run of bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Items that are verified and written now.
    pub(super) good: Vec<u32>,
    /// Items whose bytes were wrong.
    pub(super) corrupt: Vec<u32>,
}

/// Why verified bytes could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DiskError {
    /// No room; passes when there is.
    #[error("{0}")]
    Full(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl From<std::io::Error> for DiskError {
    fn from(e: std::io::Error) -> DiskError {
        if disk::is_disk_full(&e) {
            DiskError::Full(e.to_string())
        } else {
            DiskError::Other(e.to_string())
        }
    }
}

impl From<PartError> for DiskError {
    fn from(e: PartError) -> DiskError {
        match e {
            PartError::DiskFull { .. } => DiskError::Full(e.to_string()),
            _ => DiskError::Other(e.to_string()),
        }
    }
}

/// The destination of one set.
pub(super) enum Sink {
    /// A file, by chunks at their offsets.
    File {
        /// Where.
        part: PartFile,
        /// What each chunk must hash to.
        manifest: Manifest,
    },
    /// Small files, each of them whole.
    Batch {
        /// Where.
        batch: Batch,
        /// What each file must hash to.
        contents: Vec<Content>,
        /// What each of them gets beside its bytes.
        dresses: Vec<Dress>,
    },
}

impl Sink {
    /// What arrives, to be read while it is written and while `files` get their names below `into`.
    pub(super) fn lend(&self, into: &Arc<Beneath>, files: &[Wanted]) -> Option<Lent> {
        let lent = match self {
            Sink::File { part, .. } => part.open_to_read().map(|file| Lent::Part(Arc::new(file))),
            Sink::Batch { batch, .. } => {
                // The first of several names is the very file.
                let names = files.iter().rev().map(|w| (w.entry.root, w.entry.name.clone()));
                let lent = batch.lend(into.clone(), names.collect());
                lent.map(|lent| Lent::Small(Arc::new(lent)))
            }
        };
        lent.inspect_err(|e| log::info!(target: "fetch", "a part is not served: {e}")).ok()
    }

    /// Keeps what has arrived for another attempt, and no room besides.
    pub(super) fn give_back(self) {
        if let Sink::File { part, .. } = self
            && let Err(e) = part.give_back()
        {
            log::info!(target: "fetch", "the room of a part that is not complete stays taken: {e}");
        }
    }

    /// Checks `bytes`, which are the run `items`, and writes what is right.
    ///
    /// # Errors
    /// The disk's own.
    pub(super) fn write(&self, items: Range, bytes: &[u8]) -> Result<Written, DiskError> {
        let mut written = Written::default();
        match self {
            Sink::File { part, manifest } => {
                let index = items.first;
                if manifest.verify(index, bytes)
                    && let Some(span) = chunk_span(manifest.size(), index)
                {
                    part.write_at(span.offset, bytes)?;
                    written.good.push(index);
                } else {
                    written.corrupt.push(index);
                }
            }
            Sink::Batch { batch, contents, dresses } => {
                let mut rest = bytes;
                for index in items.iter() {
                    let at = index as usize;
                    let Some((content, dress)) = contents.get(at).zip(dresses.get(at)) else {
                        break;
                    };
                    let (file, after) = rest.split_at(rest.len().min(content.size as usize));
                    rest = after;
                    if Root::of(file) == content.root {
                        batch.write(&content.root, file, *dress)?;
                        written.good.push(index);
                    } else {
                        written.corrupt.push(index);
                    }
                }
            }
        }
        Ok(written)
    }
}
