//! Where the bytes of a transfer's items come from, and what is done about those that cannot be read.
//!
//! Invariant: what cannot be read is said to be STALE, and offered to nobody for a while, so that it holds up
//! nothing else; only a want on this side, of descriptors say, ends the connection.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::transfer::Transfer;
use crate::base::{Range, Root};
use crate::io::clock;
use crate::io::disk::LentFile;
use crate::io::failpoint::fail_point;
use crate::io::index::{OpenError, Served};
use crate::io::link::{FileSlice, LinkError};
use crate::logic::unreadable::What;
use crate::node::fetch::given::Lent;
use crate::wire::message::transfer::Content;

/// Small files are read in pieces of this before they are sent.
const PIECE: usize = 64 * 1024;

/// Where the bytes of items come from.
pub(super) enum Source {
    /// A file that is shared.
    Shared(Served),
    /// The part of it that this node is fetching itself.
    Part(Arc<File>),
    /// A small file of a batch that this node is fetching itself.
    Small(LentFile),
}

impl Source {
    pub(super) fn file(&self) -> &File {
        match self {
            Source::Shared(served) => &served.file,
            Source::Part(file) => file,
            Source::Small(lent) => &lent.file,
        }
    }

    /// Whether nobody but us has written to it since it was hashed.
    pub(super) fn unchanged(&self) -> bool {
        match self {
            Source::Shared(served) => served.unchanged(),
            Source::Part(_) => true,
            Source::Small(lent) => lent.unchanged(),
        }
    }

    /// Whether the chunk `item` may come from it, too.
    pub(super) fn is_current(&self, transfer: &Transfer<'_>, root: &Root, item: u32) -> bool {
        match self {
            Source::Shared(_) => transfer.owner.index.entry_of(root).is_some() && self.unchanged(),
            Source::Part(_) => transfer.owner.ctx.fetching.lends(&transfer.set, item),
            Source::Small(_) => false,
        }
    }
}

/// Where this node has what it is fetching of the set itself.
pub(super) fn lent(transfer: &Transfer<'_>) -> Option<Lent> {
    transfer.owner.ctx.fetching.lent(&transfer.set)
}

/// What is lent of an item, while it is; it is shared before that is over. The file may be shared
/// besides: then what the fetch has not verified yet comes from there.
pub(super) fn find(
    transfer: &Transfer<'_>,
    lent: Option<&Lent>,
    (item, content): (u32, Content),
) -> Result<Option<Source>, LinkError> {
    let owner = transfer.owner;
    match lent {
        Some(Lent::Part(part)) if owner.ctx.fetching.lends(&transfer.set, item) => {
            return Ok(Some(Source::Part(part.clone())));
        }
        Some(Lent::Small(batch))
            if batch.name(&content.root).is_none_or(|n| !owner.index.withholds(n)) =>
        {
            match batch.open(&content.root, content.size) {
                Ok(Some(small)) => return Ok(Some(Source::Small(small))),
                Ok(None) => {}
                Err(e) => not_opened(transfer, item, e)?,
            }
        }
        _ => {}
    }
    let opened = match fail_point!("serve.open_file") {
        Ok(()) => owner.index.open(&content.root),
        Err(e) => return not_opened(transfer, item, e).map(|()| None),
    };
    match opened {
        Ok(served) => Ok(Some(Source::Shared(served))),
        Err(OpenError::Io { source, .. }) => not_opened(transfer, item, source).map(|()| None),
        Err(_) => Ok(None),
    }
}

/// A small file, read once: from then on nothing is likely to go wrong with it, and before its header is sent it
/// can be left out.
pub(super) fn read(source: &Source, size: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.resize(PIECE, 0);
    let mut done = 0;
    while done < size {
        let piece = (size - done).min(PIECE as u64) as usize;
        fail_point!("serve.read_small")
            .and_then(|()| source.file().read_exact_at(&mut buffer[..piece], done))?;
        done += piece as u64;
    }
    Ok(())
}

fn not_opened(transfer: &Transfer<'_>, item: u32, e: io::Error) -> Result<(), LinkError> {
    not_had(transfer, if transfer.batch { What::Item(item) } else { What::All }, LinkError::Io(e))
}

/// A small file that could not be read before it was sent.
pub(super) fn not_read(transfer: &Transfer<'_>, item: u32, e: io::Error) -> Result<(), LinkError> {
    match e.kind() {
        // Somebody has cut it: the index looks at it again.
        io::ErrorKind::UnexpectedEof => Ok(()),
        _ => not_had(transfer, What::Item(item), LinkError::Source(e)),
    }
}

/// Being out of descriptors says nothing of the file: it ends the connection, and the requester comes again.
fn not_had(transfer: &Transfer<'_>, what: What, e: LinkError) -> Result<(), LinkError> {
    if e.is_ours() {
        return Err(e);
    }
    unreadable(transfer, what, &e);
    Ok(())
}

/// What failed in the middle of a run: of several small files those that cannot be read now either. What has
/// become shorter is no such thing, nor is a want on this side.
pub(super) fn broke_off(
    transfer: &Transfer<'_>,
    items: Range,
    slices: &[FileSlice<'_>],
    e: &LinkError,
) {
    if !matches!(e, LinkError::Source(_)) || e.is_ours() {
        return;
    }
    let mut buffer = vec![0; PIECE];
    for (item, slice) in items.iter().zip(slices) {
        if slices.len() == 1 || fails(slice, &mut buffer) {
            unreadable(transfer, What::Item(item), e);
        }
    }
}

fn fails(slice: &FileSlice<'_>, buffer: &mut [u8]) -> bool {
    let starts = (slice.offset..slice.offset + slice.len).step_by(PIECE);
    let mut reads = starts.map(|at| slice.file.read_at(buffer, at));
    reads.any(|read| read.is_err_and(|e| e.kind() != io::ErrorKind::Interrupted))
}

/// What cannot be read: nobody is offered it for a while, and those who were promised it hear so. The requester
/// at hand is told by who sends to it.
fn unreadable(transfer: &Transfer<'_>, what: What, e: &LinkError) {
    let failed = transfer.owner.unreadable.lock().failed(clock::now(), transfer.set, what);
    let (items, place, words) = match what {
        What::Item(item) => (Range::one(item), item as usize, format!("item {item} of ")),
        What::All => (Range { first: 0, count: transfer.outgoing().count() }, 0, String::new()),
    };
    transfer.outgoing().others_lose(items);
    let content = transfer.contents.get(if transfer.batch { place } else { 0 });
    let root = content.map(|c| c.root.to_string()).unwrap_or_default();
    log::warn!(
        target: "upload",
        "could not read {words}{root} to send it: {e}; nobody is offered it for {} s. Look at the disk",
        failed.as_secs(),
    );
}
