//! Why something cannot be shared, or the index cannot start.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::Name;
use crate::base::name::{NameError, printable};

/// What goes wrong with `share`, `unshare` and the start.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Another thing is shared under the name.
    #[error("{name} is shared already, from {}; rename one of them, or unshare that first", shown(.path))]
    Clash {
        /// The name.
        name: Name,
        /// What has it.
        path: PathBuf,
    },
    /// A folder above is withheld.
    #[error("the folder {above} is withheld; share that")]
    Withheld {
        /// The folder.
        above: Name,
    },
    /// Its name is no name others could ask for.
    #[error("cannot share {}: {source}", shown(.path))]
    Name {
        /// What was to be shared.
        path: PathBuf,
        /// What is wrong with its name.
        source: NameError,
    },
    /// It is neither file nor folder, or it is parvi's own.
    #[error("cannot share {}: {why}", shown(.path))]
    NotShareable {
        /// What was to be shared.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// Nothing of that name is shared.
    #[error("{name} is not shared; `list local` shows what is")]
    NotShared {
        /// The name.
        name: Name,
    },
    /// The system said no.
    #[error("could not {what} {}: {source}", shown(.path))]
    Io {
        /// What was attempted.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

impl IndexError {
    pub(super) fn io(what: &'static str, path: &Path, source: io::Error) -> IndexError {
        IndexError::Io { what, path: path.to_owned(), source }
    }
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy()).into_owned()
}
