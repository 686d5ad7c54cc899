//! How fast durable appends are, beside a plain append and fdatasync on the same disk.
//!
//! `cargo run --release -p parvi-wal --example pace [DIR] [SECONDS]`. The rounds take turns, so that
//! a noisy disk is noisy for all; what counts are the ratios.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people")]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parvi_wal::{Options, Record, Wal};

const PAYLOAD_LEN: usize = 100;
const ROUNDS: u32 = 5;

fn main() {
    let mut args = std::env::args_os().skip(1);
    let dir = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds = args.next().map_or(2.0, |s| s.to_str().unwrap().parse().unwrap());
    let round = Duration::from_secs_f64(seconds);
    let dir = tempfile::tempdir_in(dir).unwrap();
    let (mut plain, mut one, mut many) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.extend(plain_loop(dir.path(), round));
        one.extend(with_log(dir.path(), 1, round));
        many.extend(with_log(dir.path(), 64, round));
    }
    let spent = round * ROUNDS;
    let base = show("plain append + fdatasync", &mut plain, spent, None);
    show("log, 1 thread", &mut one, spent, Some(base));
    show("log, 64 threads", &mut many, spent, Some(base));
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

fn with_log(dir: &Path, threads: usize, round: Duration) -> Vec<Duration> {
    let path = dir.join(format!("wal{threads}"));
    let (wal, _) = Wal::open_dir(&path, Options::new([1; 32])).unwrap();
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
