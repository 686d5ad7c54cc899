//! What the two halves of a link share: the pipe, the cipher, the limits.
//!
//! ```text
//! record   | length u16 LE | ciphertext: 1 to 65,519 bytes and a tag of 16 |
//! message  one or more records, the last one ends with the message
//! payload  private: records of the same kind     clear: the bare bytes, no records
//! ```
//!
//! Invariant: each direction counts its records from zero and each number is used once; a record
//! that is lost, doubled, moved or changed does not open. After an error that is not survivable
//! both directions are shut.

use std::sync::Arc;

use snow::StatelessTransportState;

use super::Bulk;
use super::error::LinkError;
use super::pace::Timeouts;
use super::pipe::Pipe;

/// Bytes of a record's length.
pub(super) const LENGTH_LEN: usize = 2;
/// Bytes by which a record's ciphertext is longer than its plaintext.
pub(super) const TAG_LEN: usize = 16;
/// Most plaintext in one record, bytes: what Noise allows.
pub(super) const PLAIN_MAX: usize = 65_535 - TAG_LEN;

pub(super) struct Session {
    pub(super) pipe: Arc<dyn Pipe>,
    pub(super) noise: StatelessTransportState,
    pub(super) bulk: Bulk,
    pub(super) timeouts: Timeouts,
}

impl Session {
    /// Ends the link when `result` says that it cannot go on.
    pub(super) fn settle<T>(&self, result: Result<T, LinkError>) -> Result<T, LinkError> {
        if result.as_ref().is_err_and(|e| !e.is_survivable()) {
            self.pipe.shutdown();
        }
        result
    }
}
