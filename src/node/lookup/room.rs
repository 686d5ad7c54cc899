//! How much a lookup takes: peers may list any number of files. Ends with the lookup.

use crate::base::FileEntry;

/// Most files below one folder that a lookup takes from one peer, and most bytes of their names.
pub(in crate::node) const PEER_ROOM: Room = Room { files: 200_000, name_bytes: 32 << 20 };
/// The same for all peers of a lookup together.
pub(in crate::node) const LOOKUP_ROOM: Room = Room { files: 1_000_000, name_bytes: 128 << 20 };

/// How many files still fit.
#[derive(Debug, Clone, Copy)]
pub(in crate::node) struct Room {
    pub(in crate::node) files: usize,
    pub(in crate::node) name_bytes: usize,
}

impl Room {
    /// Whether `file` fits; if so it counts.
    pub(in crate::node) fn take(&mut self, file: &FileEntry) -> bool {
        let left = self.files.checked_sub(1);
        let bytes_left = self.name_bytes.checked_sub(file.name.as_str().len());
        let (Some(files), Some(name_bytes)) = (left, bytes_left) else { return false };
        *self = Room { files, name_bytes };
        true
    }
}
