//! No target: writes the golden samples as first inputs below the folder named by `SEEDS_INTO`.
//!
//! It is built like a target, since everything here is compiled with the fuzzer's counters.
#![no_main]

use std::io;
use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use parvi::wire::{FRAME_HEADER_LEN, Kind, Message};

#[path = "../../src/wire/samples.rs"]
#[allow(dead_code)]
mod samples;

fuzz_target!(
    init: write_and_leave(),
    |_bytes: &[u8]| {}
);

fn write_and_leave() {
    let folder = std::env::var_os("SEEDS_INTO").expect("SEEDS_INTO names a folder");
    write_all(Path::new(&folder)).expect("seeds are written");
    std::process::exit(0);
}

fn write_all(folder: &Path) -> io::Result<()> {
    let samples = samples::samples();
    for (number, sample) in samples.iter().enumerate() {
        let frame = sample.to_frame().expect("a sample fits");
        write(folder, "frame", number, &frame[..FRAME_HEADER_LEN])?;
        write(folder, "message", number, &message_seed(sample, &frame))?;
        write(folder, "stream", number, &frame)?;
    }
    let all = samples.iter().flat_map(|s| s.to_frame().expect("a sample fits")).collect::<Vec<_>>();
    write(folder, "stream", samples.len(), &all)?;
    write(
        folder,
        "tracker_requests",
        0,
        &samples.iter().flat_map(|s| step(0, s)).collect::<Vec<_>>(),
    )?;
    write(
        folder,
        "tracker_requests",
        1,
        &samples.iter().flat_map(|s| step(7, s)).collect::<Vec<_>>(),
    )?;
    for choice in 0..8 {
        // A preamble, then messages of the lengths that the handshake has.
        let preamble = [b'P', b'A', b'R', b'V', 2, 0, choice & 1, 0];
        let first = [&[32, 0], [9; 32].as_slice()].concat();
        let second = [&[105, 0], [9; 105].as_slice()].concat();
        let seed = [&[choice], &preamble[..], &first, &second].concat();
        write(folder, "handshake", choice.into(), &seed)?;
    }
    for (number, text) in TEXTS.iter().enumerate() {
        write(folder, "names", number, text.as_bytes())?;
        write(folder, "texts", number, text.as_bytes())?;
    }
    for (number, bytes) in BYTES.iter().enumerate() {
        for target in ["bitmap", "chunks", "codec", "manifest", "tampering"] {
            write(folder, target, number, bytes)?;
        }
    }
    for (number, edits) in EDITS.iter().enumerate() {
        write(folder, "wal", number, &[&[1], *edits].concat())?;
    }
    let log = parvi_wal::testing::MemStorage::default();
    let options = parvi_wal::Options::new([7; 32]);
    let (wal, _) = parvi_wal::Wal::open(Arc::new(log.clone()), options).expect("a new log");
    for len in [0, 1, 8, 100] {
        wal.append_durable(&parvi_wal::Record::new(1, vec![9; len])).expect("it fits");
    }
    let name = log.names().into_iter().find(|name| name.ends_with(".seg")).expect("a segment");
    write(folder, "wal", EDITS.len(), &[vec![0], log.bytes(&name)].concat())
}

fn write(folder: &Path, target: &str, number: usize, bytes: &[u8]) -> io::Result<()> {
    let folder = folder.join(target);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(format!("seed-{number:02}")), bytes)
}

/// The target `message` takes the kind's place in the list as its first byte.
fn message_seed(sample: &Message, frame: &[u8]) -> Vec<u8> {
    let place = Kind::ALL.iter().position(|k| *k == sample.kind()).expect("every kind is listed");
    [&[place as u8], &frame[FRAME_HEADER_LEN..]].concat()
}

/// The target `tracker_requests` takes who, waiting time, kind, length, and the body.
fn step(who: u8, sample: &Message) -> Vec<u8> {
    let frame = sample.to_frame().expect("a sample fits");
    let body = &frame[FRAME_HEADER_LEN..];
    [&[who, 3, sample.kind() as u8, body.len() as u8], body].concat()
}

const TEXTS: &[&str] = &[
    "a",
    "notes.txt",
    "a/b/ü.bin",
    "../../etc/passwd",
    ".parvi/id",
    "a//b",
    "a\u{1b}[2J\u{202e}b",
    "20MiB/s",
    "node-1.lab",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
];

const BYTES: &[&[u8]] = &[
    &[0; 4],
    &[9, 0, 0, 0, 0xff, 1],
    &[0, 0, 8, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
    &[0xfd, 0, 0, 0, 0, 1, 0, 0, 0],
];

/// For the target `wal`: which segment, where (two bytes), what to change there.
const EDITS: &[&[u8]] = &[
    &[0, 0x00, 0x04, 1],
    &[0, 0x38, 0x00, 1, 0, 0x38, 0x02, 1],
    &[1, 0x10, 0x00, 0x80, 1, 0x10, 0x02, 0x80],
    &[2, 0x00, 0x05, 0],
    &[1, 0x00, 0x00, 0, 0, 0x1c, 0x04, 0xff],
];
