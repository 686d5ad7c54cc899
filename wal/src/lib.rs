//! A write-ahead log: what was acknowledged is there after a crash, what is damaged is named.
//!
//! It knows nothing of files or peers: a record is a kind and some bytes. Many threads share one
//! [`Wal`]; it has no thread and no clock of its own, and touches the world through [`Storage`].
//!
//! # The contract
//!
//! **After [`Wal::append_durable`] returned**, the record and all before it survive a crash of the
//! process, the system or the power, as long as the disk keeps what it said it had. One sync serves
//! all threads that wait. After [`Wal::append_lazy`] returned, the record has its place in the order
//! and survives a crash of the process, but not yet one of the system.
//!
//! **After a crash**, [`Wal::open`] returns the records since the newest checkpoint, in order:
//! every acknowledged one, and of the others a first part, or the report says which bytes are
//! missing. A record that nobody appended is never returned. Opening may itself crash, any number
//! of times, at any point. Records of a failed append may come back as long as no sync followed.
//!
//! **After a failed write** (no space, I/O error, short) the log is cut back to where it was and goes
//! on; only that append failed.
//!
//! **After a failed sync** nothing is known about what it should have made durable, and a second
//! try would only seem to succeed. So the segment is given up: all who wait get an error, the log
//! is [`WalState::Poisoned`], and nothing is taken until [`Wal::checkpoint`] has written the live
//! set to a new file. The same holds when a new segment may or may not have got its name.
//!
//! **Recovery reports** ([`Report`]): an unfinished end, which a crash leaves and which is cut off;
//! and damage, with file and offset: bytes that are wrong with valid records behind them, headers,
//! segments that are missing, misnamed, doubled, from another node, or not joined. Valid records
//! around damage are kept. They are written to a new segment, and a damaged file gets the ending
//! `.bad` and is never deleted. No damage keeps a log from opening; a disk that does not work does,
//! and so does another holder of the lock.
//!
//! **Checkpoints** are the caller's: it knows which records still matter, gives them to
//! [`Wal::checkpoint`] when [`Wal::wants_checkpoint`] says so, and all else is forgotten.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! use parvi_wal::{Options, Record, Wal};
//!
//! let (wal, recovered) = Wal::open_dir(dir.path(), Options::new([7; 32]))?;
//! assert!(recovered.records.is_empty() && recovered.report.is_whole());
//! wal.append_lazy(&Record::new(2, "may be lost in a crash"))?;
//! wal.append_durable(&Record::new(1, "is there after a crash, and so is what was before"))?;
//! drop(wal);
//!
//! let (wal, recovered) = Wal::open_dir(dir.path(), Options::new([7; 32]))?;
//! assert_eq!(recovered.records.len(), 2);
//! wal.checkpoint(&recovered.records[1..])?;
//! # Ok(())
//! # }
//! ```
//!
//! # The directory
//!
//! ```text
//! 0000000000000001.seg       segments, see `segment.rs` and `record.rs` for the bytes
//! 0000000000000003.new       a segment that was being made when a crash came
//! 0000000000000002.seg.bad   a damaged segment, kept for a person
//! lock                       held by the process that it names
//! started                    there is a log: no segments would mean that they are gone
//! ```
//!
//! # Reading the code
//!
//! `record` and `segment` are the bytes, `scan` reads one file, `chain` judges all of them, `open`
//! acts on it; `log` is the open log, `end` what its lock guards, `wait` who waits for a sync, `make` its new
//! segments; `disk` is the real [`Storage`].

mod chain;
mod disk;
mod dump;
mod end;
mod error;
mod log;
mod make;
mod open;
mod record;
mod report;
mod scan;
mod segment;
mod storage;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod wait;

pub use disk::{Disk, make_dir_durable};
pub use dump::{Verdict, dump, hex, inspect, verify};
pub use error::WalError;
pub use log::{Activity, Checkpointed, Options, Wal, WalState};
pub use record::{KIND_RESERVED, PAYLOAD_MAX, Record};
pub use report::{Damage, Fault, Lost, Recovered, Report, Torn};
pub use storage::{Storage, StorageFile};
