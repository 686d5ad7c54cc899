//! What a stranger's bytes may cost in memory before they are refused.
//!
//! A counting allocator adds up every reservation of one call, freed or not, so that a claim that
//! is believed for a moment counts too. The file is a test program of its own, and its tests count
//! per thread.
#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use parvi::base::{Bitmap, Name};
use parvi::wire::{FRAME_HEADER_LEN, Kind, Message, codec};

#[path = "../src/wire/samples.rs"]
#[allow(dead_code, reason = "the library's own tests use the rest")]
mod samples;

/// Most bytes reserved for a message that is refused.
const RESERVED_MAX: usize = 64 * 1024;
/// What is said where a length is due: above every bound, and just below the largest frame.
const COUNTS: [u64; 6] = [60_000, 1_000_000, 1_048_000, 1 << 32, 1 << 63, u64::MAX];

struct Counting;

thread_local! {
    static RESERVED: Cell<usize> = const { Cell::new(0) };
}

fn count(bytes: usize) {
    RESERVED.with(|r| r.set(r.get().saturating_add(bytes)));
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps `alloc_zeroed`'s contract.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: the caller keeps `realloc`'s contract.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes reserved while `work` ran on this thread.
fn reserved_by<T>(work: impl FnOnce() -> T) -> usize {
    RESERVED.set(0);
    let done = work();
    let reserved = RESERVED.get();
    drop(done);
    reserved
}

#[test]
fn the_allocator_counts() {
    assert!(reserved_by(|| vec![7_u8; RESERVED_MAX]) >= RESERVED_MAX);
    assert_eq!(reserved_by(|| 7), 0);
}

#[test]
fn a_length_that_lies_reserves_almost_nothing() {
    for sample in samples::samples() {
        let kind = sample.kind();
        let body = sample.to_frame().unwrap().split_off(FRAME_HEADER_LEN);
        for at in 0..body.len() {
            for length in COUNTS {
                let mut lie = body[..at].to_vec();
                lie.extend(codec::encode(&length).unwrap());
                lie.extend(&body[at + 1..]);
                let reserved = reserved_by(|| Message::decode(kind, &lie));
                assert!(
                    reserved < RESERVED_MAX,
                    "{kind:?} with {length} at byte {at} reserved {reserved} bytes"
                );
            }
        }
    }
}

#[test]
fn nothing_of_any_kind_reserves_more_than_its_bytes_warrant() {
    for kind in Kind::ALL {
        for byte in [0, 1, 0x7f, 0xfb, 0xfc, 0xfd, 0xff] {
            let body = vec![byte; kind.cap().min(1_024)];
            let reserved = reserved_by(|| Message::decode(*kind, &body));
            assert!(reserved < RESERVED_MAX, "{kind:?} of {byte:#x} reserved {reserved} bytes");
        }
    }
}

#[test]
fn what_is_refused_by_hand_reserves_nothing() {
    assert_eq!(reserved_by(|| Bitmap::from_bytes(u32::MAX, &[])), 0);
    let long = "x/".repeat(1 << 20);
    assert_eq!(reserved_by(|| Name::parse(&long)), 0);
}
