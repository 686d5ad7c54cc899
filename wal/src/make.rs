//! Makes a segment: written and synced under another name, renamed, the directory synced.
//!
//! Invariant: what has a segment's name is complete and durable. It ends with a segment ready for
//! appending, or with an error that tells whether its name may have come to be: if so, nothing may
//! be appended to an older segment any more, which that one could supersede after a crash.

use std::sync::Arc;

use crate::error::WalError;
use crate::record::{self, KIND_CHECKPOINT_END, RECORD_LEN_MAX, Record};
use crate::segment::{HEADER_LEN, Header, name_of, new_name_of};
use crate::storage::{Storage, StorageFile, patiently, write_all};

/// The segment that is appended to.
pub(crate) struct Active {
    pub name: String,
    pub seq: u64,
    pub file: Arc<dyn StorageFile>,
    pub seed: u32,
    pub running: u32,
    /// Where the next record goes.
    pub end: u64,
    /// Where its live set ends, or its header.
    pub base: u64,
}

/// Why there is no new segment.
pub(crate) enum Unmade {
    /// It never had its name: the log is as before.
    Never(WalError),
    /// It may have its name now, or after a crash.
    Perhaps(WalError),
}

impl Unmade {
    pub(crate) fn into_error(self) -> WalError {
        match self {
            Unmade::Never(error) | Unmade::Perhaps(error) => error,
        }
    }
}

/// Makes the segment that `header` describes, with `live` after it when it is a checkpoint.
pub(crate) fn segment(
    storage: &dyn Storage,
    header: &Header,
    live: &[Record],
) -> Result<Active, Unmade> {
    let (name, new_name) = (name_of(header.seq), new_name_of(header.seq));
    let active = match written(storage, header, live, &new_name) {
        Ok(active) => active,
        Err(error) => {
            // The next start removes it if this does not; its number is not used again.
            drop(patiently(|| storage.remove(&new_name)));
            return Err(Unmade::Never(error));
        }
    };
    let renamed = patiently(|| storage.rename(&new_name, &name));
    renamed.map_err(WalError::io("rename", &new_name)).map_err(Unmade::Perhaps)?;
    let synced = patiently(|| storage.sync_dir());
    synced.map_err(WalError::io("sync the directory of", &name)).map_err(Unmade::Perhaps)?;
    Ok(Active { name, ..active })
}

fn written(
    storage: &dyn Storage,
    header: &Header,
    live: &[Record],
    name: &str,
) -> Result<Active, WalError> {
    let file = patiently(|| storage.create(name)).map_err(WalError::io("create", name))?;
    let mut active = Active {
        name: name.to_owned(),
        seq: header.seq,
        file,
        seed: header.seed(),
        running: header.running(),
        end: 0,
        base: HEADER_LEN as u64,
    };
    active.write(&header.encode())?;
    if header.checkpoint {
        write_live(&mut active, header, live)?;
    }
    patiently(|| active.file.sync()).map_err(WalError::io("sync", name))?;
    active.base = active.end;
    Ok(active)
}

/// The live set and its end, in pieces that do not take more memory than a record.
fn write_live(active: &mut Active, header: &Header, live: &[Record]) -> Result<(), WalError> {
    let mut piece = Vec::with_capacity(2 * RECORD_LEN_MAX);
    let mut seq = header.first_record;
    for record in live {
        active.encode(&mut piece, (seq, header.durable), (record.kind, &record.payload));
        seq += 1;
        if piece.len() >= RECORD_LEN_MAX {
            active.write(&piece)?;
            piece.clear();
        }
    }
    let count = header.live.to_le_bytes();
    active.encode(&mut piece, (seq, header.durable), (KIND_CHECKPOINT_END, &count));
    active.write(&piece)
}

impl Active {
    /// Adds a record to `piece` and to the running checksum.
    fn encode(&mut self, piece: &mut Vec<u8>, seqs: (u64, u64), what: (u32, &[u8])) {
        let crc = record::encode(piece, self.seed, seqs, what);
        self.running = record::chain(self.running, crc);
    }

    /// Writes `bytes` at the end.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), WalError> {
        let written = write_all(&*self.file, bytes, self.end);
        written.map_err(WalError::io("write", &self.name))?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Takes away what a failed write may have left behind the end.
    pub(crate) fn cut_back(&self) -> Result<(), WalError> {
        let cut = patiently(|| self.file.truncate(self.end));
        cut.map_err(WalError::io("cut back", &self.name))
    }
}
