//! What recovery found: counts, a torn tail, damage with file and offset, what was set aside.
//!
//! Invariant: a record that was in the log and is not among the recovered ones is accounted for
//! here, by the bytes it should have been in or the segment that is gone. Each line is for people.

use std::fmt;

use crate::record::Record;

/// What a log held when it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Every record since the newest checkpoint, its live set first, in the order of appending.
    pub records: Vec<Record>,
    /// What was found on the way.
    pub report: Report,
}

/// What was found, lost and done while a log was opened or checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Segments that were read for the records.
    pub segments: usize,
    /// The unfinished end of the last segment, as a crash leaves it. Nothing acknowledged is lost.
    pub torn: Option<Torn>,
    /// All that a crash does not explain, and gaps that it may.
    pub damage: Vec<Damage>,
    /// The new names of files that were kept for a person to look at.
    pub set_aside: Vec<String>,
    /// Files that earlier starts had kept; one that crashed could not tell of them.
    pub kept_before: Vec<String>,
    /// The records were written to a new segment, since the old ones could not be gone on with.
    pub rewritten: bool,
    /// What could not be tidied up, and why; it is tried again at the next start.
    pub untidy: Vec<String>,
}

impl Report {
    /// Whether everything that was ever acknowledged is there, as far as the log can tell. What a
    /// crash may take, because nobody was told that it was durable, is no damage.
    pub fn is_whole(&self) -> bool {
        self.damage.iter().all(|damage| match &damage.what {
            Fault::Corrupt(lost) | Fault::Unreadable(lost) => !lost.was_durable,
            _ => false,
        })
    }
}

/// An unfinished end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The segment.
    pub file: String,
    /// Where the last whole record ends.
    pub offset: u64,
    /// How much lay behind.
    pub bytes: u64,
}

/// One thing wrong with one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file, or the one that tells of it.
    pub file: String,
    /// Where in the file.
    pub offset: u64,
    /// What is wrong.
    pub what: Fault,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Bytes between valid records are not what was written.
    Corrupt(Lost),
    /// The disk does not give the bytes back.
    Unreadable(Lost),
    /// One of the two copies of the header is bad; the other was used.
    HeaderCopy,
    /// Both copies of the header are bad: the file's records cannot be told from noise.
    Header,
    /// The file is of another version of the format.
    Version(u32),
    /// The file belongs to another owner.
    Foreign([u8; 32]),
    /// The file is named like another segment than it is.
    Misnamed {
        /// The segment it is.
        segment: u64,
    },
    /// The file is a second copy of a segment.
    Doubled {
        /// The one that was used.
        original: String,
    },
    /// Segments between this file and the one before are gone; 0 when nobody knows how many.
    Missing {
        /// The first one missing.
        first: u64,
        /// The last one missing.
        last: u64,
    },
    /// The directory held a log, and no segment is left.
    Gone,
    /// The file does not go on where the segment before it ended.
    Unchained,
    /// The file ends before the seal that a finished segment has.
    Unsealed,
    /// The live set at the file's start is not complete.
    CheckpointIncomplete {
        /// How many records it had.
        expected: u64,
        /// How many are left.
        found: u64,
    },
    /// A record of the log's own has a kind this version does not know.
    UnknownKind(u32),
}

/// Bytes that are not what was written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// How many.
    pub bytes: u64,
    /// The first record lost with them.
    pub first_record: u64,
    /// The last one; `None` when nothing behind them tells.
    pub last_record: Option<u64>,
    /// They were durable once. If not, a crash may have done it, and nothing acknowledged is lost.
    pub was_durable: bool,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Torn { file, offset, bytes } = self;
        write!(f, "{file}: at {offset}: unfinished end of {bytes} bytes, as a crash leaves it")
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: at {}: {}", self.file, self.offset, self.what)
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, records {} to ", self.bytes, self.first_record)?;
        match self.last_record {
            Some(last) => write!(f, "{last}")?,
            None => write!(f, "the end")?,
        }
        let why =
            if self.was_durable { "" } else { " (never acknowledged: a crash does that too)" };
        write!(f, "{why}")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Corrupt(lost) => write!(f, "corrupt: {lost}"),
            Fault::Unreadable(lost) => write!(f, "the disk cannot read: {lost}"),
            Fault::HeaderCopy => f.write_str("a copy of the header is corrupt, the other was used"),
            Fault::Header => f.write_str("both copies of the header are corrupt, nothing was read"),
            Fault::Version(found) => write!(f, "format version {found}, from another parvi"),
            Fault::Foreign(owner) => {
                f.write_str("belongs to node ")?;
                owner.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Fault::Misnamed { segment } => write!(f, "is segment {segment:x} by its header"),
            Fault::Doubled { original } => write!(f, "is a second copy of {original}"),
            Fault::Missing { first, last: 0 } => write!(f, "segments from {first:x} are missing"),
            Fault::Missing { first, last } => {
                write!(f, "segments {first:x} to {last:x} are missing")
            }
            Fault::Gone => f.write_str("there was a log, all its segments are missing"),
            Fault::Unchained => f.write_str("does not go on where the segment before ended"),
            Fault::Unsealed => f.write_str("the end of this segment is missing"),
            Fault::CheckpointIncomplete { expected, found } => {
                write!(f, "the checkpoint has {found} of {expected} records")
            }
            Fault::UnknownKind(kind) => write!(f, "a record of unknown kind {kind:#x}"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.damage.iter().try_for_each(|damage| writeln!(f, "{damage}"))?;
        self.torn.iter().try_for_each(|torn| writeln!(f, "{torn}"))?;
        self.set_aside.iter().try_for_each(|name| writeln!(f, "{name}: kept aside"))?;
        self.kept_before.iter().try_for_each(|name| writeln!(f, "{name}: kept aside before"))?;
        self.untidy.iter().try_for_each(|what| writeln!(f, "{what}"))
    }
}
