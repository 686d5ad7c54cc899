//! What a command failed with: a kind, which is the exit code, and words for a person.

use serde::Serialize;

/// The kinds of failure, each with its documented exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Anything without a code of its own.
    Other,
    /// The command was not understood.
    Usage,
    /// Nobody has it.
    NotFound,
    /// Somebody has it, nobody could be reached.
    NoOwner,
    /// The bytes were wrong.
    Integrity,
    /// The network failed, or time ran out.
    Network,
    /// Stopped before the end; what arrived is kept, ask again to go on.
    Unfinished,
    /// No room left.
    DiskFull,
    /// Something else is where this should go.
    Exists,
}

impl FaultKind {
    /// The process exit code.
    pub const fn exit_code(self) -> u8 {
        match self {
            FaultKind::Other => 1,
            FaultKind::Usage => 2,
            FaultKind::NotFound => 3,
            FaultKind::NoOwner => 4,
            FaultKind::Integrity => 5,
            FaultKind::Network => 6,
            FaultKind::Unfinished => 7,
            FaultKind::DiskFull => 9,
            FaultKind::Exists => 13,
        }
    }
}

/// A failure for a person: what was attempted, on what, what went wrong, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Fault {
    /// Decides the exit code.
    pub kind: FaultKind,
    /// The words.
    pub text: String,
}

impl Fault {
    /// A failure of `kind` told as `text`.
    pub fn new(kind: FaultKind, text: impl Into<String>) -> Fault {
        Fault { kind, text: text.into() }
    }

    /// A failure without a code of its own.
    pub fn other(text: impl Into<String>) -> Fault {
        Fault::new(FaultKind::Other, text)
    }
}
