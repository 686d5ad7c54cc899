//! The requester's disk is full: it says so, names nothing, and goes on when there is room.
//!
//! The disk is a small tmpfs in a mount namespace of the child process; that takes root, without
//! which these tests say so and do nothing. From outside the disk is seen through `/proc/PID/root`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use parvi::base::Root;

use super::child::{Process, parvi};
use super::swarm::{LONG, Swarm, bytes, until, write};

const MIB: usize = 1 << 20;
/// Room on the disk, what else lies there, and the file that does not fit beside it.
const DISK: usize = 24 * MIB;
const FILLER: usize = 16 * MIB;
const FILM: usize = 12 * MIB;

/// Whether a mount namespace can be had here.
pub fn can_mount() -> bool {
    let mut unshare = Command::new("unshare");
    unshare.args(["-m", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"]);
    let can = unshare.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !can {
        eprintln!("skipped: no right to mount a small disk");
    }
    can
}

/// `command` with a disk of its own, filled in part, mounted at `at`.
pub fn on_a_small_disk(command: &Command, at: &Path) -> Command {
    fs::create_dir_all(at).unwrap();
    let script = format!(
        "mount -t tmpfs -o size={DISK} tmpfs \"$0\" && head -c {FILLER} /dev/zero > \"$0/filler\" && exec \"$@\""
    );
    let mut unshare = Command::new("unshare");
    unshare.env_clear().env("HOME", "/nonexistent").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    unshare.args(["-m", "sh", "-c", &script]).arg(at).arg(command.get_program());
    unshare.args(command.get_args());
    unshare
}

/// What `ctl` says, as JSON.
fn ctl(data: &Path, words: &[&str]) -> serde_json::Value {
    let mut command = parvi(&["ctl", "--json", "--data"]);
    let output = command.arg(data).args(words).output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{words:?}: {e}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn a_node_with_a_full_disk_pauses_and_goes_on_by_itself_when_there_is_room() {
    if !can_mount() {
        return;
    }
    let (swarm, content) = (Swarm::new(), bytes(FILM, 1));
    swarm.sharing("alice", &[("film", &content)]);
    let (tracker, disk) = (swarm.tracker.addr().to_string(), swarm.data("carol"));
    let mut node = parvi(&["node", "--headless", "--listen", "127.0.0.1", "--name", "carol"]);
    node.args(["--tracker", &tracker, "--data"]).arg(&disk);
    let carol = Process::start(on_a_small_disk(&node, &disk));
    let seen = PathBuf::from(format!("/proc/{}/root", carol.child.id()))
        .join(disk.strip_prefix("/").unwrap());
    let mut begin = parvi(&["ctl", "--data"]);
    let begun = begin.arg(&seen).args(["download", "film"]).output().unwrap();
    assert!(begun.status.success(), "{}", String::from_utf8_lossy(&begun.stderr));
    let row = || ctl(&seen, &["transfers"])[0].clone();
    until("paused, the disk is full", Duration::from_secs(5), || {
        let row = row();
        row["state"] == "paused" && row["reason"].as_str().unwrap().contains("disk full")
    });
    assert!(!seen.join("downloaded/film").exists(), "a final name without the file");
    fs::remove_file(seen.join("filler")).unwrap();
    until("done, there is room", LONG, || row()["state"] == "done");
    assert_eq!(Root::of(&fs::read(seen.join("downloaded/film")).unwrap()), Root::of(&content));
}

#[test]
fn a_get_onto_a_full_disk_is_exit_code_9_and_goes_on_later() {
    if !can_mount() {
        return;
    }
    let (swarm, content) = (Swarm::new(), bytes(FILM, 2));
    swarm.sharing("alice", &[("film", &content)]);
    let disk = swarm.data("out");
    let program = env!("CARGO_BIN_EXE_parvi");
    // Twice on the same disk, with room the second time.
    let script = format!(
        "G=\"{program} get film --listen 127.0.0.1 --tracker {tracker} --out $0\"\n\
         $G; echo first $?; test ! -e $0/film && echo nothing named; rm $0/filler; $G; echo second $?; cp $0/film \"$1\"",
        tracker = swarm.tracker.addr(),
    );
    let mut both = Command::new("sh");
    let copy = swarm.dir.path().join("copy");
    both.args(["-c", &script]).arg(&disk).arg(&copy);
    let output = on_a_small_disk(&both, &disk).output().unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    for line in ["first 9", "nothing named", "second 0"] {
        assert!(said.contains(line), "{line:?} is missing in {said}\n{complained}");
    }
    assert_eq!(Root::of(&fs::read(&copy).unwrap()), Root::of(&content));
}

#[test]
fn small_files_that_do_not_fit_are_not_named_either() {
    if !can_mount() {
        return;
    }
    let swarm = Swarm::new();
    let files: Vec<(String, Vec<u8>)> =
        (0..120).map(|n| (format!("many/f{n}"), bytes(100_000, n))).collect();
    for (file, content) in &files {
        write(&swarm.data("alice").join("shared").join(file), content);
    }
    swarm.node("alice");
    swarm.wait_for("alice", files.len());
    let (disk, listing) = (swarm.data("out"), swarm.dir.path().join("listing"));
    let program = env!("CARGO_BIN_EXE_parvi");
    let script = format!(
        "{program} get many --listen 127.0.0.1 --tracker {tracker} --out $0; echo first $?; \
         find $0/many -type f -size -100000c > \"$1\"; rm $0/filler; \
         {program} get many --listen 127.0.0.1 --tracker {tracker} --out $0; echo second $?; \
         cat $0/many/f7 > \"$1.f7\"",
        tracker = swarm.tracker.addr(),
    );
    let mut both = Command::new("sh");
    both.args(["-c", &script]).arg(&disk).arg(&listing);
    let output = on_a_small_disk(&both, &disk).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("first 9") && said.contains("second 0"), "{said}\n{complained}");
    assert_eq!(fs::read_to_string(&listing).unwrap(), "", "files that are too short have names");
    let copy = fs::read(listing.with_file_name("listing.f7")).unwrap();
    assert!(copy == files[7].1);
}
