//! What was hashed, kept across restarts: `.parvi/catalogue`.
//!
//! Invariant: it is only ever a saving of work. A file that is damaged anywhere, cut off, or of
//! another version is not used at all, and everything is hashed anew; a record counts only for a
//! file that is still in the state it was hashed in; a manifest only if it folds to its root.
//!
//! ```text
//! 8 "parvicat" | u32 version
//! per folder   u16 length, key: its kind, or its path and the name it is shared as
//! per file     u16 length, name | u64 size | i64 u32 mtime | i64 u32 ctime | u64 inode
//!              u8 executable | 32 root | u32 values | 32 each, none where there is one chunk
//!              u16 0 behind the last file of a folder, another behind the last folder
//! u32 crc32 of all before                                          integers little-endian
//! ```

use std::io::{self, Write};
use std::ops::Bound::{Excluded, Unbounded};
use std::path::Path;

use parking_lot::Mutex;

use super::state::{FolderId, Kind, Place, Record, State};
use crate::base::manifest::ChunkValue;
use crate::base::{Manifest, Modified, Name, Root};
use crate::io::disk::{Fingerprint, new_beside};
use crate::io::failpoint::fail_point;

const MAGIC: &[u8; 8] = b"parvicat";
const VERSION: u32 = 1;
const CRC_LEN: usize = 4;
/// What stands where no further name follows.
const END: [u8; 2] = [0; 2];
/// Files written under one lock.
const PAGE_FILES: usize = 1_000;

/// Puts what `state` knows in the place of the cache at `path`, in one step.
///
/// # Errors
/// What the disk says; the earlier cache is then still there.
pub(super) fn save(path: &Path, state: &Mutex<State>) -> io::Result<()> {
    let mut file = new_beside(path)?;
    fail_point!("cache.write")?;
    write(&mut file, state)?;
    file.as_file().sync_data()?;
    fail_point!("cache.rename")?;
    file.persist(path)?;
    Ok(())
}

/// Writes the bytes page by page. The lock is held for a page only: each record is true by itself,
/// so they need not all be of one moment.
fn write(out: &mut impl Write, state: &Mutex<State>) -> io::Result<()> {
    let mut crc = crc32fast::Hasher::new();
    let mut put = |bytes: &[u8]| {
        crc.update(bytes);
        out.write_all(bytes)
    };
    put(MAGIC)?;
    put(&VERSION.to_le_bytes())?;
    let places = state.lock().places();
    for (id, place) in places {
        let mut page = Vec::new();
        put_bytes(&mut page, &folder_key(id, &place));
        let mut last = None;
        loop {
            last = put_page(&mut page, &state.lock(), id, last.as_ref());
            put(&page)?;
            page.clear();
            if last.is_none() {
                break;
            }
        }
        put(&END)?;
    }
    put(&END)?;
    out.write_all(&crc.finalize().to_le_bytes())
}

/// Adds the files of a folder behind `after`, as many as a page has; returns the last of them, if
/// there may be more.
fn put_page(out: &mut Vec<u8>, state: &State, id: FolderId, after: Option<&Name>) -> Option<Name> {
    let files = &state.folders.get(&id)?.files;
    let behind = after.map_or(Unbounded, Excluded);
    let mut page = files.range::<Name, _>((behind, Unbounded)).take(PAGE_FILES);
    let put = |(name, record): (&Name, &Record)| {
        put_file(out, name, record, state.values(&record.root));
        name.clone()
    };
    page.by_ref().map(put).last()
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
    while let Some(key) = input.bytes()? {
        let mut folders = state.folders.iter();
        let id = folders.find(|(id, f)| folder_key(**id, &f.place) == key).map(|(id, _)| *id);
        let (mut known, mut manifests) = (Vec::new(), Vec::new());
        while let Some(name) = input.bytes()? {
            let (name, record, manifest) = take_file(name, &mut input)?;
            known.push((name, record));
            manifests.extend(manifest);
        }
        if let Some(id) = id {
            files += known.len();
            state.remember(id, known, manifests);
        }
    }
    input.0.is_empty().then_some(files)
}

/// What a folder is called in the cache: ours by their kind, so that a data directory can be moved;
/// others with their name too, since one path may be shared under several.
fn folder_key(id: FolderId, place: &Place) -> Vec<u8> {
    match id.kind {
        Kind::Shared => b"shared".to_vec(),
        Kind::Downloaded => b"downloaded".to_vec(),
        Kind::Replicated => b"replicated".to_vec(),
        Kind::Share => {
            let name = place.prefix.as_ref().or(place.only.as_ref()).map_or("", Name::as_str);
            [b"/", place.path.as_os_str().as_encoded_bytes(), b"\0", name.as_bytes()].concat()
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

fn take_file(name: &[u8], input: &mut Input<'_>) -> Option<(Name, Record, Option<Manifest>)> {
    let name = Name::parse(std::str::from_utf8(name).ok()?).ok()?;
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

    /// The next text, or `Some(None)` at the end of a list.
    fn bytes(&mut self) -> Option<Option<&'a [u8]>> {
        match u16::from_le_bytes(self.array()?) {
            0 => Some(None),
            len => self.take(usize::from(len)).map(Some),
        }
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

    fn encode(state: State) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, &Mutex::new(state)).unwrap();
        bytes
    }

    #[test]
    fn pages_lose_no_file() {
        let mut state = empty();
        for i in 0..2 * PAGE_FILES + 7 {
            let print = Fingerprint {
                size: 0,
                modified: Modified::default(),
                changed: Modified::default(),
                inode: 0,
            };
            let root = Root::of(b"");
            let record = Record { print, root, executable: false, live: true, scan: 1 };
            state.insert(&(SHARED, Name::parse(&format!("{i}")).unwrap()), record, None);
        }
        assert_eq!(decode(&encode(state), &mut empty()), Some(2 * PAGE_FILES + 7));
    }

    #[test]
    fn what_is_kept_comes_back_and_counts_once_it_is_seen() {
        let before = full();
        let mut after = empty();
        assert_eq!(decode(&encode(full()), &mut after), Some(3));
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
        let bytes = encode(full());
        for i in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[i] ^= 1 << (i % 8);
            assert_eq!(decode(&damaged, &mut empty()), None, "byte {i} was flipped");
            assert_eq!(decode(&bytes[..i], &mut empty()), None, "cut at byte {i}");
        }
    }

    #[test]
    fn lengths_that_lie_under_a_right_checksum_are_refused() {
        let bytes = encode(full());
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
