//! The words everything else is written in: identities, names, chunks, manifests, time.
//!
//! Plain values without I/O. A value that exists is valid: every constructor checks, and so does
//! every deserialisation, because most of these come from strangers.

pub mod backoff;
pub mod bitmap;
pub mod chunk;
pub mod endpoint;
pub mod entry;
pub mod fault;
mod hex;
pub mod id;
pub mod limits;
pub mod manifest;
pub mod name;
pub mod range;
pub mod rate;
pub mod root;
pub(crate) mod text;
pub mod time;

pub use bitmap::Bitmap;
pub use endpoint::{NodeLabel, PeerInfo, Ports};
pub use entry::{FileEntry, Kept, Modified};
pub use fault::{Fault, FaultKind};
pub use id::NodeId;
pub use manifest::Manifest;
pub use name::Name;
pub use range::Range;
pub use rate::{Limit, Rate, TokenBucket};
pub use root::{Root, RootPrefix};
pub use time::Time;
