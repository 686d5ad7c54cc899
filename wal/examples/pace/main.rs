//! How fast durable appends are, beside a plain append and fdatasync on the same disk.
//!
//! `cargo run --release -p parvi-wal --example pace [DIR] [SECONDS]`. The rounds take turns, so that
//! a noisy disk is noisy for all; what counts are the ratios. The rows of a steady disk have one
//! whose syncs take 2 ms, always: with many threads a record waits for one sync or two. A checkpoint
//! holds up all appends; the live set here is as large as that of a node full of uploads.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people")]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

mod steady;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parvi_wal::{Disk, Options, Record, Wal};
use steady::Steady;

const PAYLOAD_LEN: usize = 100;
const ROUNDS: u32 = 5;
/// Two records for each of 4,096 uploads.
const LIVE: usize = 2 * 4_096;

fn main() {
    let mut args = std::env::args_os().skip(1);
    let dir = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds = args.next().map_or(2.0, |s| s.to_str().unwrap().parse().unwrap());
    let round = Duration::from_secs_f64(seconds);
    let dir = tempfile::tempdir_in(dir).unwrap();
    let (mut plain, mut one, mut many) = (Vec::new(), Vec::new(), Vec::new());
    let (mut steady_one, mut steady_many, mut checkpoints) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.extend(plain_loop(dir.path(), round));
        one.extend(with_log(&on_disk(dir.path(), "wal1"), 1, round));
        many.extend(with_log(&on_disk(dir.path(), "wal64"), 64, round));
        steady_one.extend(with_log(&on_steady(dir.path(), "steady1"), 1, round));
        steady_many.extend(with_log(&on_steady(dir.path(), "steady64"), 64, round));
        checkpoints.extend(checkpoint_loop(dir.path(), round));
    }
    let spent = round * ROUNDS;
    let base = show("plain append + fdatasync", &mut plain, spent, None);
    show("log, 1 thread", &mut one, spent, Some(base));
    show("log, 64 threads", &mut many, spent, Some(base));
    show("checkpoint, 8,192 records", &mut checkpoints, spent, Some(base));
    let base = show("steady disk, 1 thread", &mut steady_one, spent, None);
    show("steady disk, 64 threads", &mut steady_many, spent, Some(base));
}

fn on_disk(dir: &Path, name: &str) -> Wal {
    Wal::open_dir(&dir.join(name), Options::new([1; 32])).unwrap().0
}

fn on_steady(dir: &Path, name: &str) -> Wal {
    let disk = Steady(Disk::new(dir.join(name)).unwrap());
    Wal::open(Arc::new(disk), Options::new([1; 32])).unwrap().0
}

/// The time of each append, and what it is compared with.
fn show(
    what: &str,
    times: &mut [Duration],
    spent: Duration,
    base: Option<(f64, f64)>,
) -> (f64, f64) {
    times.sort_unstable();
    let rate = times.len() as f64 / spent.as_secs_f64();
    let p99 = times[times.len() * 99 / 100].as_secs_f64() * 1e3;
    let p50 = times[times.len() / 2].as_secs_f64() * 1e3;
    let (base_rate, base_p99) = base.unwrap_or((rate, p99));
    println!(
        "{what:<26} {rate:>9.0}/s  x {:>6.2}   p50 {p50:>7.3} ms   p99 {p99:>7.3} ms  x {:>5.2}",
        rate / base_rate,
        p99 / base_p99
    );
    (rate, p99)
}

fn plain_loop(dir: &Path, round: Duration) -> Vec<Duration> {
    let bytes = vec![7; PAYLOAD_LEN + 36];
    let path = dir.join("plain");
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    let start = Instant::now();
    let mut times = Vec::new();
    while start.elapsed() < round {
        let begun = Instant::now();
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
        times.push(begun.elapsed());
    }
    times
}

/// As long as one checkpoint takes, all appends wait.
fn checkpoint_loop(dir: &Path, round: Duration) -> Vec<Duration> {
    let wal = on_disk(dir, "checkpoints");
    let live = vec![Record::new(1, vec![7; PAYLOAD_LEN]); LIVE];
    let start = Instant::now();
    let mut times = Vec::new();
    while start.elapsed() < round {
        let begun = Instant::now();
        wal.checkpoint(&live).unwrap();
        times.push(begun.elapsed());
    }
    times
}

fn with_log(wal: &Wal, threads: usize, round: Duration) -> Vec<Duration> {
    let record = Record::new(1, vec![7; PAYLOAD_LEN]);
    let start = Instant::now();
    let work = || {
        let mut times = Vec::new();
        while start.elapsed() < round {
            let begun = Instant::now();
            wal.append_durable(&record).unwrap();
            times.push(begun.elapsed());
        }
        times
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}
