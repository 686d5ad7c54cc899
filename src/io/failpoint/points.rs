//! All fail points: each is placed once in the sources, and `tests/tidy.rs` holds that.
//!
//! Invariant: the list is in the order of a transfer, so that what is missing is seen.

/// One place.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// What `fail_point!` and the environment call it.
    pub name: &'static str,
    /// What is done next there, or what was just done.
    pub step: &'static str,
}

const fn point(name: &'static str, step: &'static str) -> Point {
    Point { name, step }
}

/// The list.
pub const POINTS: &[Point] = &[
    // The requester begins.
    point("orders.write", "before the orders are written"),
    point("replace.rename", "the new list is synced, and has not the name yet"),
    point("orders.written", "the orders are durable"),
    point("manifest.ask", "before an owner is asked for the chunks' hashes"),
    point("manifest.answered", "the chunks' hashes are here, not checked"),
    point("part.open", "before the part is made or opened"),
    point("part.room", "the part is locked and has no room yet"),
    point("part.copy", "before a twin on this node is copied into the part"),
    point("part.verify", "before the part is checked for what is right already"),
    point("small.folder", "before the folder of a batch is made among the parts"),
    point("small.left", "before a small file that an earlier batch has left is taken over"),
    point("fetch.dial", "before the owner is dialled"),
    point("fetch.open", "before OPEN is sent"),
    // The owner begins.
    point("size.answer", "before an owner tells size and hashes"),
    point("serve.open", "OPEN is heard, nothing is begun"),
    point("journal.append", "before a record goes into the log"),
    point("journal.sync", "the beginning is in the log, not synced"),
    point("serve.begun", "the beginning is durable, OPENED is not sent"),
    point("serve.opened", "OPENED is sent"),
    // The log's own operations.
    point("wal.open", "before a segment is opened"),
    point("wal.create", "before a segment is made"),
    point("wal.write", "before bytes go into a segment"),
    point("wal.sync", "before a segment is synced"),
    point("wal.truncate", "before a failed write is cut away"),
    point("wal.rename", "before a new segment gets its name"),
    point("wal.sync_dir", "before the log's folder is synced"),
    point("wal.remove", "before an old segment is removed"),
    // The link.
    point("fetch.opened", "OPENED is heard"),
    point("fetch.want", "before WANT is sent"),
    point("serve.want", "WANT is heard"),
    point("serve.next", "before NEXT is sent"),
    point("fetch.next", "NEXT is heard"),
    point("serve.open_file", "before the shared file is opened"),
    point("lent.open", "before a small file is opened that is still being fetched here"),
    point("serve.read_small", "before a small file is read, ahead of its header"),
    point("serve.header", "before the header of a CHUNK is sent"),
    point("link.source", "before bytes of the shared file are read"),
    point("link.sending", "within the bytes, at the owner"),
    point("link.source_clear", "before bytes of the shared file leave, where they travel bare"),
    point("link.sending_clear", "within the bare bytes, at the owner"),
    point("serve.sent", "all bytes of a chunk are sent"),
    point("fetch.header", "the header of a CHUNK is heard"),
    point("link.arriving", "within the bytes, at the requester"),
    point("link.arriving_clear", "within the bare bytes, at the requester"),
    point("fetch.received", "all bytes of a chunk are here, not checked"),
    point("part.write", "before a chunk is written into the part"),
    point("part.written", "a chunk is written, not acknowledged"),
    point("small.create", "before a small file is made among the parts"),
    point("small.write", "a small file is made and empty"),
    point("small.dress", "a small file is written, and has not its time and mode"),
    point("fetch.ack", "before ACK is sent"),
    point("serve.ack", "ACK is heard"),
    point("serve.acked", "what was acknowledged is counted, and logged now and then"),
    // A final name.
    point("publish.dress", "all is here; before the part gets time and mode"),
    point("publish.sync", "before the part is synced"),
    point("publish.folders", "the part is durable; before the folders above are made"),
    point("publish.rename", "before the final name"),
    point("publish.named", "it has its final name, which is not durable"),
    point("publish.above", "before the folders above are synced"),
    point("publish.durable", "the final name is durable, the index has not heard of it"),
    point("small.twin", "before a small file is copied, for another name of its bytes"),
    point("batch.sync", "before the small files are synced"),
    point("batch.rename", "before a small file gets its final name"),
    point("batch.named", "it has its final name, which is not durable"),
    point("batch.folders", "before the folders above are synced"),
    point("index.arrived", "before the index is told of the new file"),
    // The end.
    point("fetch.done", "before DONE is sent"),
    point("fetch.told", "DONE is sent"),
    point("serve.done", "DONE is heard, the end is not logged"),
    point("serve.ended", "the end is in the log"),
    point("cache.write", "before the catalogue's cache is written"),
    point("cache.rename", "the new cache is synced, and has not the name yet"),
    // The owner calls.
    point("knock.dial", "before the requester is called"),
    point("knock.heard", "a call is heard"),
    point("knock.reply", "before a call is answered"),
    point("knock.answered", "the answer is here, the ledger does not know it"),
];
