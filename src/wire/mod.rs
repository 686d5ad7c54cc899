//! Bytes to messages and back, without I/O.
//!
//! A frame is a fixed header and a body; the header names the message and its length, and the
//! length is held against the message's own cap before anything is allocated. Chunk bytes are not
//! messages: they follow their frame as a raw run (`io::link`).
//!
//! Everything here is fed by strangers: no input panics, allocates more than its cap, or recurses.

pub mod bounded;
pub mod codec;
pub mod frame;
pub mod message;

pub use bounded::{List, Text};
pub use frame::{FRAME_HEADER_LEN, FrameError, FrameHeader};
pub use message::{Kind, Message};

#[cfg(test)]
mod golden;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod samples;
