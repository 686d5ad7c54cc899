//! Every bound that more than one room needs, with its unit and why it is what it is.

use std::time::Duration;

/// Smallest chunk of a file, bytes: below it the cost of a frame shows.
pub const CHUNK_SIZE_MIN: u64 = 256 * 1024;
/// Largest chunk of a file up to 64 GiB, bytes: what one connection holds in memory.
pub const CHUNK_SIZE_MAX: u64 = 4 * 1024 * 1024;
/// Most chunks a file has: its manifest is then 512 KiB.
pub const CHUNK_COUNT_MAX: u32 = 16_384;
/// Largest file taken, bytes: 1 TiB, whose chunks of 64 MiB a node can still hold in memory.
pub const FILE_SIZE_MAX: u64 = 1 << 40;

/// Most files in one batch: enough to hide a round trip, few enough for one frame.
pub const BATCH_FILES_MAX: usize = 1_024;
/// Most bytes in one batch of small files.
pub const BATCH_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Largest frame of any type, bytes.
pub const FRAME_MAX: usize = 1024 * 1024;
/// Most files on one page of an answer.
pub const PAGE_FILES_MAX: usize = 2_000;
/// Most bytes that the names on one page may have, so that the page fits its frame.
pub const PAGE_BYTES_MAX: usize = 512 * 1024;
/// Most peers in one answer of the tracker; the rest follows on the next question.
pub const PAGE_PEERS_MAX: usize = 1_024;

/// The whole handshake, both directions.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);
/// From one frame's end to the next frame's header where an answer is due.
pub const HEADER_TIME_MAX: Duration = Duration::from_secs(10);
/// What a body may take at least before the minimum rate counts.
pub const BODY_GRACE: Duration = Duration::from_secs(5);
/// Slowest body, bytes per second; a peer below it is cut off.
pub const BODY_RATE_MIN: u64 = 16 * 1024;
/// A TCP connect.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// A requester that has nothing else to say says WORKING so often.
pub const WORKING_EVERY: Duration = Duration::from_secs(5);
/// Unauthenticated connections kept at once by one listener; the oldest makes room.
pub const PENDING_MAX: usize = 64;
/// Corrupt chunks after which an owner is not asked again.
pub const CORRUPT_CHUNKS_MAX: u32 = 3;
/// Messages that are malformed or forbidden after which an owner is not dialled again.
pub const VIOLATIONS_MAX: u32 = 3;
