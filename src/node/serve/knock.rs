//! An owner's call: what becomes of the sets that it has begun to send us, one after the other.
//!
//! Invariant: one answer a knock, no payload. Ends when the owner closes, says anything else, or has
//! had his time: he may call again.

use std::time::Duration;

use super::transfer::Owner;
use crate::base::limits::HEADER_TIME_MAX;
use crate::io::clock;
use crate::io::failpoint::fail_point;
use crate::io::link::{Link, LinkError};
use crate::logic::ledger::UNFINISHED_PER_REQUESTER_MAX;
use crate::wire::Message;
use crate::wire::message::knock::Knock;

/// One call may last so long.
const CALL_TIME_MAX: Duration = HEADER_TIME_MAX;

/// Answers the first knock and those that follow on the same connection.
pub(super) fn answer(mut link: Link, owner: &Owner, first: Knock) -> Result<(), LinkError> {
    let deadline = clock::now() + CALL_TIME_MAX;
    let mut knock = first;
    for _ in 0..UNFINISHED_PER_REQUESTER_MAX {
        fail_point!("knock.heard").map_err(LinkError::Io)?;
        let answer = owner.downloads.knocked(link.peer, link.remote.ip(), &knock);
        fail_point!("knock.reply").map_err(LinkError::Io)?;
        link.send(answer)?;
        // A wait of no time is one look long, and who asks on and on is heard at each.
        let left = deadline.since(clock::now());
        if left.is_zero() {
            return Ok(());
        }
        knock = match link.recv(left) {
            Ok(Message::Knock(next)) => next,
            Ok(other) => return Err(LinkError::Unexpected(other.kind())),
            Err(LinkError::Closed) => return Ok(()),
            Err(e) => return Err(e),
        };
    }
    Ok(())
}
