//! What was hashed, kept across restarts: `.parvi/catalogue`.
//!
//! Invariant: it is only ever a saving of work. A file that is damaged anywhere, cut off, or of
//! another version is not used at all, and everything is hashed anew; a record counts only for a
//! file that is still in the state it was hashed in; a manifest only if it folds to its root.
//!
//! ```text
//! 8 "parvicat" | u32 version | u32 folders
//! per folder   u16 length, key (its kind or its path) | u32 files
//! per file     u16 length, name | u64 size | i64 u32 mtime | i64 u32 ctime | u64 inode
//!              u8 executable | 32 root | u32 values | 32 each, none where there is one chunk
//! u32 crc32 of all before                                          integers little-endian
//! ```

use std::io::{self, Write};
use std::path::Path;

use super::state::{FolderId, Kind, Place, Record, State};
use crate::base::manifest::ChunkValue;
use crate::base::{Manifest, Modified, Name, Root};
use crate::io::disk::Fingerprint;

const MAGIC: &[u8; 8] = b"parvicat";
const VERSION: u32 = 1;
const CRC_LEN: usize = 4;

/// The bytes of all that `state` knows.
pub(super) fn encode(state: &State) -> Vec<u8> {
    let mut out = Vec::with_capacity(state.catalogue.len() * 160 + 64);
    out.extend(MAGIC);
    out.extend(VERSION.to_le_bytes());
    out.extend((state.folders.len() as u32).to_le_bytes());
    for (id, folder) in &state.folders {
        put_bytes(&mut out, &folder_key(*id, &folder.place));
        out.extend((folder.files.len() as u32).to_le_bytes());
        for (name, record) in &folder.files {
            put_file(&mut out, name, record, state.values(&record.root));
        }
    }
    let crc = crc32fast::hash(&out);
    out.extend(crc.to_le_bytes());
    out
}

/// Puts `bytes` in the place of the cache at `path`, in one step.
///
/// # Errors
/// What the disk says; the earlier cache is then still there.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_data()?;
    file.persist(path)?;
    Ok(())
}

/// Gives `state`, whose folders are there but empty, what `bytes` say of them. Tells how many
/// files that were, or `None` when the bytes cannot be trusted.
pub(super) fn decode(bytes: &[u8], state: &mut State) -> Option<usize> {
    let (body, crc) = bytes.split_at_checked(bytes.len().checked_sub(CRC_LEN)?)?;
    if crc32fast::hash(body).to_le_bytes() != crc {
        return None;
    }
    let mut input = Input(body);
    if input.take(MAGIC.len())? != MAGIC || input.u32()? != VERSION {
        return None;
    }
    let mut files = 0;
    for _ in 0..input.u32()? {
        let key = input.bytes()?;
        let mut folders = state.folders.iter();
        let id = folders.find(|(id, f)| folder_key(**id, &f.place) == key).map(|(id, _)| *id);
        for _ in 0..input.u32()? {
            let (name, record, manifest) = take_file(&mut input)?;
            if let Some(id) = id {
                state.remember((id, name), record, manifest);
                files += 1;
            }
        }
    }
    input.0.is_empty().then_some(files)
}

/// What a folder is called in the cache: ours by their kind, so that a data directory can be moved.
fn folder_key(id: FolderId, place: &Place) -> Vec<u8> {
    match id.kind {
        Kind::Shared => b"shared".to_vec(),
        Kind::Downloaded => b"downloaded".to_vec(),
        Kind::Replicated => b"replicated".to_vec(),
        Kind::Share => {
            let only = place.only.as_ref().map_or("", |name| name.as_str());
            [b"/", place.path.as_os_str().as_encoded_bytes(), b"\0", only.as_bytes()].concat()
        }
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = bytes.len().min(usize::from(u16::MAX));
    out.extend((len as u16).to_le_bytes());
    out.extend(&bytes[..len]);
}

fn put_file(out: &mut Vec<u8>, name: &Name, record: &Record, values: &[ChunkValue]) {
    let Fingerprint { size, modified, changed, inode } = record.print;
    put_bytes(out, name.as_str().as_bytes());
    out.extend(size.to_le_bytes());
    for moment in [modified, changed] {
        out.extend(moment.secs.to_le_bytes());
        out.extend(moment.nanos.to_le_bytes());
    }
    out.extend(inode.to_le_bytes());
    out.push(u8::from(record.executable));
    out.extend(record.root.as_bytes());
    out.extend((values.len() as u32).to_le_bytes());
    values.iter().for_each(|value| out.extend(value));
}

fn take_file(input: &mut Input<'_>) -> Option<(Name, Record, Option<Manifest>)> {
    let name = Name::parse(std::str::from_utf8(input.bytes()?).ok()?).ok()?;
    let size = input.u64()?;
    let (modified, changed) = (input.moment()?, input.moment()?);
    let print = Fingerprint { size, modified, changed, inode: input.u64()? };
    let executable = input.take(1)? == [1];
    let root = Root::from_bytes(input.array()?);
    let count = input.u32()? as usize;
    let values = input.take(count.checked_mul(32)?)?.as_chunks::<32>().0.to_vec();
    let manifest = match count {
        0 => None,
        _ => Some(Manifest::check(size, root, values).ok()?),
    };
    Some((name, Record { print, root, executable, live: false, scan: 0 }, manifest))
}

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = u16::from_le_bytes(self.array()?);
        self.take(usize::from(len))
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn moment(&mut self) -> Option<Modified> {
        let secs = self.array().map(i64::from_le_bytes)?;
        Some(Modified { secs, nanos: self.u32()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    const SHARED: FolderId = FolderId { kind: Kind::Shared, nth: 0 };
    const SHARE: FolderId = FolderId { kind: Kind::Share, nth: 1 };

    fn empty() -> State {
        let mut state = State::new(1);
        let place = |path: &str, prefix: Option<&str>| Place {
            path: PathBuf::from(path),
            prefix: prefix.map(|p| Name::parse(p).unwrap()),
            only: None,
        };
        state.add_folder(SHARED, place("/data/shared", None));
        state.add_folder(SHARE, place("/photos", Some("photos")));
        state
    }

    fn full() -> State {
        let mut state = empty();
        for (i, (id, name)) in
            [(SHARED, "a"), (SHARED, "b/c\nd"), (SHARE, "photos/x")].into_iter().enumerate()
        {
            let manifest = Manifest::of(&vec![i as u8; 300_000 * i]);
            let moment = Modified { secs: -5, nanos: 7 };
            let print = Fingerprint {
                size: manifest.size(),
                modified: moment,
                changed: moment,
                inode: i as u64,
            };
            let record =
                Record { print, root: manifest.root(), executable: i == 1, live: true, scan: 1 };
            state.insert(&(id, Name::parse(name).unwrap()), record, Some(manifest.into()));
        }
        state
    }

    #[test]
    fn what_is_kept_comes_back_and_counts_once_it_is_seen() {
        let before = full();
        let mut after = empty();
        assert_eq!(decode(&encode(&before), &mut after), Some(3));
        assert_eq!(after.catalogue.len(), 0, "nothing was seen on the disk yet");
        for (id, folder) in &before.folders {
            for (name, record) in &folder.files {
                assert!(after.see(&(*id, name.clone()), &record.print, 1), "{name} is not known");
                let mut other = record.print;
                other.changed.nanos += 1;
                assert!(!empty().see(&(*id, name.clone()), &other, 1));
            }
        }
        assert!(before.catalogue.iter().eq(after.catalogue.iter()));
        for entry in before.catalogue.iter() {
            assert_eq!(before.manifest(&entry.root), after.manifest(&entry.root));
            assert!(after.manifest(&entry.root).is_some());
        }
    }

    #[test]
    fn a_cache_damaged_or_cut_at_any_byte_is_not_used() {
        let bytes = encode(&full());
        for i in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[i] ^= 1 << (i % 8);
            assert_eq!(decode(&damaged, &mut empty()), None, "byte {i} was flipped");
            assert_eq!(decode(&bytes[..i], &mut empty()), None, "cut at byte {i}");
        }
    }

    #[test]
    fn lengths_that_lie_under_a_right_checksum_are_refused() {
        let bytes = encode(&full());
        let body = &bytes[..bytes.len() - CRC_LEN];
        for at in (8..body.len() - 4).step_by(3) {
            for lie in [u32::MAX, 1 << 31, 0x7fff_ffff] {
                let mut lying = body.to_vec();
                lying[at..at + 4].copy_from_slice(&lie.to_le_bytes());
                let crc = crc32fast::hash(&lying);
                lying.extend(crc.to_le_bytes());
                // Whatever it says: no panic, and no memory on its word.
                decode(&lying, &mut empty());
            }
        }
    }
}
