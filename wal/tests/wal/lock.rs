//! One directory has one log at a time: handles and processes.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use parvi_wal::testing::MemStorage;
use parvi_wal::{Wal, WalError};

use super::common::{open, options, record};

/// Names the directory to the other process.
const DIRECTORY: &str = "WAL_LOCK_DIRECTORY";

#[test]
fn a_second_handle_is_refused_until_the_first_is_gone() {
    let storage = MemStorage::default();
    let (wal, _) = open(&storage, 4096);
    let refused = Wal::open(std::sync::Arc::new(storage.clone()), options(4096));
    assert!(matches!(refused, Err(WalError::Locked { .. })));
    drop(wal);
    open(&storage, 4096);

    let dir = tempfile::tempdir().unwrap();
    let first = Wal::open_dir(dir.path(), options(4096)).unwrap();
    let Err(refused) = Wal::open_dir(dir.path(), options(4096)) else { panic!("two handles") };
    let message = refused.to_string();
    assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
    drop(first);
    Wal::open_dir(dir.path(), options(4096)).unwrap();
}

/// Not a test by itself: what the other process does.
#[test]
fn the_other_process() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let Err(refused) = Wal::open_dir(directory.as_ref(), options(4096)) else { panic!("two") };
    println!("refused: {refused}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the bar is a time by the clock")]
fn a_second_process_is_refused_within_a_second_and_told_the_pid_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = Wal::open_dir(dir.path(), options(4096)).unwrap();
    wal.append_durable(&record(1, 10)).unwrap();
    let start = Instant::now();
    let other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lock::the_other_process", "--nocapture"])
        .env(DIRECTORY, dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let took = start.elapsed();
    let said = String::from_utf8_lossy(&other.stdout).into_owned();
    assert!(said.contains(&format!("in use by process {};", std::process::id())), "{said}");
    assert!(took < Duration::from_secs(1), "{took:?}");
}
