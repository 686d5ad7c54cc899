//! What a node keeps of files: parts, final names and orders, on a disk that may fail.
//!
//! A chunk is kept as a stamp of 16 bytes that only it has, so that a chunk that is lost, half
//! written or in the wrong place shows as it would by its hash.
//!
//! ```text
//! part-F    one stamp a chunk of file F, in any order        (io/disk/part)
//! stage-F-R one try's copy of a small file, which gets the final name
//! final-F   the same, with its final name                    (io/disk/publish)
//! order-N   somebody has ordered N; "p": and lets it stand   (node/orders, a folder of its own)
//! ```

use std::io;

use parvi_wal::testing::{MemStorage, mix};
use parvi_wal::{Storage, StorageFile};

/// Bytes of a stamp.
pub const STAMP_LEN: usize = 16;

pub fn part(file: usize) -> String {
    format!("part-{file}")
}

fn staged(file: usize, run: u64) -> String {
    format!("stage-{file}-{run}")
}

pub fn named(file: usize) -> String {
    format!("final-{file}")
}

pub fn order(order: usize) -> String {
    format!("order-{order}")
}

/// What is kept of a chunk.
pub fn stamp(file: usize, item: u32) -> [u8; STAMP_LEN] {
    let first = mix((file as u64) << 32 | u64::from(item));
    let mut out = [0; STAMP_LEN];
    out[..8].copy_from_slice(&first.to_le_bytes());
    out[8..].copy_from_slice(&mix(first).to_le_bytes());
    out
}

/// Whether `bytes` are chunk `item` of a file.
fn has(bytes: &[u8], file: usize, item: u32) -> bool {
    let at = item as usize * STAMP_LEN;
    bytes.get(at..at + STAMP_LEN) == Some(&stamp(file, item)[..])
}

/// Whether a chunk of a file is right under `name`.
pub fn is_right(disk: &MemStorage, name: &str, file: usize, item: u32) -> bool {
    has(&disk.bytes(name), file, item)
}

/// The chunks of a file that are right under `name`.
pub fn right(disk: &MemStorage, name: &str, file: usize, items: u32) -> Vec<u32> {
    let bytes = disk.bytes(name);
    (0..items).filter(|item| has(&bytes, file, *item)).collect()
}

/// Whether the file has its final name, and whether it is right; as a program would see it.
pub fn final_is_right(disk: &MemStorage, file: usize, items: u32) -> Option<bool> {
    let name = named(file);
    let there = disk.names().contains(&name);
    there.then(|| {
        let whole = disk.bytes(&name).len() == items as usize * STAMP_LEN;
        whole && right(disk, &name, file, items).len() == items as usize
    })
}

/// A file that is there from the beginning.
pub fn put_final(disk: &MemStorage, file: usize, items: u32) {
    disk.put(&named(file), (0..items).flat_map(|item| stamp(file, item)).collect());
}

/// Writes a verified chunk into its part.
pub fn write_chunk(disk: &MemStorage, file: usize, item: u32) -> io::Result<()> {
    write_stamp(disk, file, item, &stamp(file, item))
}

/// Writes other bytes in its place, as nobody does who looks at them first.
pub fn write_wrong(disk: &MemStorage, file: usize, item: u32) -> io::Result<()> {
    write_stamp(disk, file, item, &stamp(file + 1_000, item))
}

fn write_stamp(
    disk: &MemStorage,
    file: usize,
    item: u32,
    stamp: &[u8; STAMP_LEN],
) -> io::Result<()> {
    let name = part(file);
    let part = match disk.names().contains(&name) {
        true => disk.open(&name)?,
        false => disk.create(&name)?,
    };
    write_all(&*part, stamp, u64::from(item) * STAMP_LEN as u64)
}

/// Makes a part's bytes durable.
pub fn sync_part(disk: &MemStorage, file: usize) -> io::Result<()> {
    disk.open(&part(file))?.sync()
}

/// Gives a part its final name.
pub fn name_part(disk: &MemStorage, file: usize) -> io::Result<()> {
    disk.rename(&part(file), &named(file))
}

/// Copies a small file, and makes the copy durable.
pub fn stage(disk: &MemStorage, file: usize, run: u64) -> io::Result<()> {
    let name = staged(file, run);
    let copy = match disk.names().contains(&name) {
        true => disk.open(&name)?,
        false => disk.create(&name)?,
    };
    write_all(&*copy, &disk.bytes(&part(file)), 0)?;
    copy.sync()
}

/// Gives the copy of a small file its final name.
pub fn name_staged(disk: &MemStorage, file: usize, run: u64) -> io::Result<()> {
    disk.rename(&staged(file, run), &named(file))?;
    // Left behind it is in nobody's way.
    disk.remove(&part(file)).or(Ok(()))
}

/// Syncs a file that has its final name, as far as it is known to be one.
pub fn sync_final(disk: &MemStorage, file: usize) -> io::Result<()> {
    disk.open(&named(file))?.sync()
}

/// Keeps an order, durably.
pub fn keep_order(disk: &MemStorage, number: usize, paused: bool) -> io::Result<()> {
    let name = order(number);
    let file = match disk.names().contains(&name) {
        true => disk.open(&name)?,
        false => disk.create(&name)?,
    };
    write_all(&*file, if paused { b"p" } else { b"r" }, 0)?;
    file.sync()?;
    disk.sync_dir()
}

/// The orders that are kept, and whether each stands still.
pub fn orders(disk: &MemStorage) -> Vec<(usize, bool)> {
    let names = disk.names();
    let kept = names.iter().filter_map(|name| {
        let number = name.strip_prefix("order-")?.parse().ok()?;
        Some((number, disk.bytes(name).first() == Some(&b'p')))
    });
    kept.collect()
}

/// Forgets an order, durably.
pub fn drop_order(disk: &MemStorage, number: usize) -> io::Result<()> {
    disk.remove(&order(number))?;
    disk.sync_dir()
}

fn write_all(file: &dyn StorageFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match file.write_at(&bytes[done..], offset + done as u64)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => done += n,
        }
    }
    Ok(())
}
