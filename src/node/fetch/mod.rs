//! Downloads: a name becomes files, files become sets, a set comes from all its owners at once.
//!
//! ```text
//! job       a name: who has it, what is there already, which sets    one thread, a few for sets
//!  └ file   one set: part file, manifest, what is verified           put in place when complete
//!     └ set    all owners of it: lanes, shares, retries              the supervisor
//!        └ lane   one owner's connection                             a reader and a writer
//! ```

pub(super) mod control;
mod file;
pub(super) mod job;
mod lane;
mod manifest;
pub(super) mod place;
pub(super) mod progress;
pub(super) mod resolve;
mod set;
mod sink;
