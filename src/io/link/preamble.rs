//! The first eight bytes each way, in the clear: do the two fit together at all?
//!
//! ```text
//!  0         4             6       7        8
//!  +---------+-------------+-------+--------+
//!  | "PARV"  | version u16 | flags | status |     little-endian
//!  +---------+-------------+-------+--------+
//!  flags   bit 0: a swarm key is used
//!  status  0 fine, 1 version, 2 swarm key, 3 busy; of the dialler always 0
//! ```
//!
//! Both are part of what the Noise handshake proves, so neither can be changed on the way without the
//! handshake failing. A forged refusal is possible; so is a forged reset.

use super::error::{KeyMismatch, LinkError};

/// Version of everything behind the preamble: handshake, records, messages.
pub const PROTOCOL_VERSION: u16 = 3;

pub(super) const PREAMBLE_LEN: usize = 8;
const MAGIC: [u8; 4] = *b"PARV";
const FLAG_SWARM_KEY: u8 = 1;

/// What the answering side thinks of the dialler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Fine = 0,
    Version = 1,
    Key = 2,
    Busy = 3,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Preamble {
    pub(super) version: u16,
    pub(super) swarm_key: bool,
    pub(super) status: Status,
}

impl Preamble {
    pub(super) const fn of(swarm_key: bool) -> Preamble {
        Preamble { version: PROTOCOL_VERSION, swarm_key, status: Status::Fine }
    }

    pub(super) const fn with(self, status: Status) -> Preamble {
        Preamble { status, ..self }
    }

    pub(super) fn encode(self) -> [u8; PREAMBLE_LEN] {
        let mut bytes = [0; PREAMBLE_LEN];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&self.version.to_le_bytes());
        bytes[6] = if self.swarm_key { FLAG_SWARM_KEY } else { 0 };
        bytes[7] = self.status as u8;
        bytes
    }

    pub(super) fn decode(bytes: [u8; PREAMBLE_LEN]) -> Result<Preamble, LinkError> {
        let [m0, m1, m2, m3, v0, v1, flags, status] = bytes;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(LinkError::NotParvi);
        }
        let status = match status {
            0 => Status::Fine,
            1 => Status::Version,
            2 => Status::Key,
            3 => Status::Busy,
            _ => return Err(LinkError::NotParvi),
        };
        let version = u16::from_le_bytes([v0, v1]);
        Ok(Preamble { version, swarm_key: flags & FLAG_SWARM_KEY != 0, status })
    }

    /// What the answering side says to `theirs`.
    pub(super) const fn answer(self, theirs: Preamble) -> Status {
        if theirs.version != self.version {
            Status::Version
        } else if theirs.swarm_key != self.swarm_key {
            Status::Key
        } else {
            Status::Fine
        }
    }

    /// Whether the two go together, with the reason if they do not.
    pub(super) fn check(self, theirs: Preamble) -> Result<(), LinkError> {
        match (theirs.status, self.answer(theirs)) {
            (Status::Busy, _) => Err(LinkError::Busy),
            (Status::Version, _) | (_, Status::Version) => {
                Err(LinkError::Version { ours: self.version, theirs: theirs.version })
            }
            (Status::Key, _) | (_, Status::Key) => {
                Err(LinkError::WrongKey(match (self.swarm_key, theirs.swarm_key) {
                    (true, false) => KeyMismatch::OnlyHere,
                    (false, true) => KeyMismatch::OnlyThere,
                    _ => KeyMismatch::Differ,
                }))
            }
            (Status::Fine, _) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preamble_has_the_bytes_that_every_version_will_understand() {
        let preamble = Preamble { version: 0x0102, swarm_key: true, status: Status::Key };
        assert_eq!(&preamble.encode(), b"PARV\x02\x01\x01\x02");
        assert_eq!(Preamble::decode(preamble.encode()).unwrap(), preamble);
        let later_flags = Preamble::decode(*b"PARV\x02\x01\xff\x00").unwrap();
        assert!(
            later_flags.swarm_key,
            "a newer peer is told its version, not turned away as a stranger"
        );
    }
}
