//! Every message there is, its number on the wire and its cap.
//!
//! One table (`messages!` below) is the source of the `Message` enum, the numbers and the caps, so
//! that none of the three can be forgotten for a new message. Numbers are never used again for
//! something else. Golden vectors in `wire/golden.rs` hold the encodings.

pub mod copies;
pub mod find;
pub mod knock;
pub mod search;
pub mod size;
pub mod tracker;
pub mod transfer;

use super::codec::{self, CodecError};
use super::frame::{FRAME_HEADER_LEN, FrameHeader};

const KIB: usize = 1024;

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $module:ident, cap $cap:expr;)*) => {
        /// A message's number on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $name = $number,)* }

        impl Kind {
            /// Every kind, for tests and fuzzers.
            pub const ALL: &[Kind] = &[$(Kind::$name),*];

            /// The kind with this number.
            pub const fn from_byte(byte: u8) -> Option<Kind> {
                match byte { $($number => Some(Kind::$name),)* _ => None }
            }

            /// Most bytes a body of this kind may have.
            pub const fn cap(self) -> usize {
                match self { $(Kind::$name => $cap,)* }
            }
        }

        /// Anything that travels in a frame.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Message { $($(#[$doc])* $name($module::$name),)* }

        impl Message {
            /// Its number.
            pub const fn kind(&self) -> Kind {
                match self { $(Message::$name(_) => Kind::$name,)* }
            }

            fn encode_body(&self) -> Result<Vec<u8>, CodecError> {
                match self { $(Message::$name(body) => codec::encode(body),)* }
            }

            /// Reads the body of a `kind`; all of `body` must belong to it.
            ///
            /// # Errors
            /// Anything that is not exactly one valid message of that kind.
            pub fn decode(kind: Kind, body: &[u8]) -> Result<Message, CodecError> {
                match kind { $(Kind::$name => codec::decode(body).map(Message::$name),)* }
            }
        }

        $(impl From<$module::$name> for Message {
            fn from(body: $module::$name) -> Message { Message::$name(body) }
        })*
    };
}

messages! {
    /// I am here: node to tracker.
    Register = 0x10, tracker, cap KIB;
    /// Welcome: what the tracker knows of the node.
    Registered = 0x11, tracker, cap 96 * KIB;
    /// Still here.
    Heartbeat = 0x12, tracker, cap 32 * KIB;
    /// Heard; what changed.
    HeartbeatAnswer = 0x13, tracker, cap 512 * KIB;
    /// A page of what changed in the node's catalogue.
    CatalogueDelta = 0x14, tracker, cap 1024 * KIB;
    /// How far the tracker's copy of the catalogue reaches.
    CatalogueAnswer = 0x15, tracker, cap KIB;
    /// Leaving on purpose.
    Exit = 0x16, tracker, cap KIB;
    /// Goodbye.
    Bye = 0x17, tracker, cap KIB;
    /// Who is there?
    PeersQuestion = 0x18, tracker, cap KIB;
    /// These.
    PeersAnswer = 0x19, tracker, cap 512 * KIB;
    /// Who has it, by the index?
    LookupQuestion = 0x1a, tracker, cap 8 * KIB;
    /// The index says.
    LookupAnswer = 0x1b, tracker, cap 1024 * KIB;

    /// Which files are like this? A tracker's index is asked, or a node about its own.
    FindQuestion = 0x1c, find, cap 8 * KIB;
    /// These.
    FindAnswer = 0x1d, find, cap 1024 * KIB;

    /// Why has it the copies it has? A tracker is asked.
    WhyQuestion = 0x1e, copies, cap 8 * KIB;
    /// Because of this.
    WhyAnswer = 0x1f, copies, cap 512 * KIB;

    /// What do you have of this name?
    SearchQuestion = 0x20, search, cap 8 * KIB;
    /// This.
    SearchAnswer = 0x21, search, cap 1024 * KIB;

    /// How large is it, which chunks do you have, what are their values?
    SizeQuestion = 0x30, size, cap KIB;
    /// So large, these, those.
    SizeAnswer = 0x31, size, cap 640 * KIB;

    /// Let me fetch this set.
    Open = 0x40, transfer, cap 128 * KIB;
    /// Go on.
    Opened = 0x41, transfer, cap 4 * KIB;
    /// What you may choose from.
    Want = 0x42, transfer, cap 256 * KIB;
    /// What comes next.
    Next = 0x43, transfer, cap KIB;
    /// Not that one.
    Skip = 0x44, transfer, cap KIB;
    /// Its bytes follow.
    Chunk = 0x45, transfer, cap KIB;
    /// Verified and written.
    Ack = 0x46, transfer, cap 64 * KIB;
    /// Still checking or syncing.
    Working = 0x47, transfer, cap KIB;
    /// Synced and named.
    Done = 0x48, transfer, cap KIB;
    /// I do not want it any more.
    Cancel = 0x49, transfer, cap KIB;
    /// What I announced is no longer so.
    Stale = 0x4a, transfer, cap 16 * KIB;

    /// I have these now, too.
    Have = 0x4d, transfer, cap 64 * KIB;
    /// Others may fetch it from me.
    Serving = 0x4e, transfer, cap KIB;
    /// These fetch it too.
    Fetchers = 0x4f, transfer, cap 16 * KIB;

    /// I have begun to send you this, and you have gone.
    Knock = 0x4b, knock, cap KIB;
    /// What becomes of it.
    Knocked = 0x4c, knock, cap KIB;

    /// No, and why: the answer to any question.
    Refused = 0x7f, tracker, cap 2 * KIB;
}

impl Message {
    /// Header and body, ready to send.
    ///
    /// # Errors
    /// A message above its cap: a bug on this side, since lists are bounded by their types.
    pub fn to_frame(&self) -> Result<Vec<u8>, CodecError> {
        let body = self.encode_body()?;
        let kind = self.kind();
        if body.len() > kind.cap() {
            let text = format!("a {kind:?} of {} bytes is above its cap", body.len());
            return Err(CodecError::Encode(bincode::error::EncodeError::OtherString(text)));
        }
        let mut frame = Vec::with_capacity(FRAME_HEADER_LEN + body.len());
        frame.extend_from_slice(&FrameHeader { kind, len: body.len() }.encode());
        frame.extend_from_slice(&body);
        Ok(frame)
    }
}
