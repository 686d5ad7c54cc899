//! Downloads: a name becomes files, files become sets, a set comes from all its owners at once.
//!
//! ```text
//! download     a job: who has it, what is there already                 one thread
//!  └ sets        which sets, a few of them at a time                     a few threads
//!  └ file        one set: part file, manifest, naming                  put in place when complete
//!     └ supervisor  all owners of it: lanes, shares, retries           until it is complete
//!        └ lane        one owner's connection                          a reader and a writer
//! ```

mod brought;
mod company;
pub(super) mod control;
mod dispute;
pub(super) mod download;
mod early;
pub(super) mod fetching;
mod file;
pub(super) mod finder;
pub(super) mod given;
pub(super) mod hand;
mod here;
mod hope;
pub(super) mod job;
mod keep;
mod lane;
mod manifest;
mod openings;
pub(super) mod place;
pub(super) mod progress;
pub(super) mod resolve;
mod run;
mod set;
mod sets;
mod sink;
mod slots;
mod small;
mod supervisor;
