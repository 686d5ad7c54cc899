//! The machine: disk, clock, limits.

use std::time::Duration;

use super::Check::{Clock as ClockCheck, Disk as DiskCheck, Limits as LimitsCheck};
use super::facts::{Clock, Disk, FileSystem, Limits};
use super::{Check, Finding, typed};

/// Below it not even the log of uploads has room, bytes: two of its segments.
const FREE_MIN: u64 = 32 << 20;
/// Below it a few downloads fill the disk, bytes.
const FREE_LOW: u64 = 1 << 30;
/// Below so many files to be made a folder of small files fills it.
const INODES_LOW: u64 = 10_000;
/// A folder holds that many files, and the log some.
const INODES_MIN: u64 = 100;
/// 2026-01-01: no clock of this program's time is earlier, in seconds since 1970.
const EARLIEST_S: i64 = 1_767_225_600;
/// Two clocks that run apart by this in days are not told of, seconds.
const JUMP_S: i64 = 10;
/// Open files and connections that a node uses at its busiest, about.
const FILES_WANTED: u64 = 1_024;
/// So few left are used up by one more download.
const FILES_LEFT_MIN: u64 = 64;

/// Sizes for people, without a crate for them in the pure part.
fn size(bytes: u64) -> String {
    match bytes {
        0..=1_048_575 => format!("{} KiB", bytes >> 10),
        1_048_576..=10_737_418_239 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

/// Times for people.
pub(super) fn span(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        s @ 1..=119 => format!("{s} s"),
        s @ 120..=7_199 => format!("{} min", s / 60),
        s @ 7_200..=172_799 => format!("{} h", s / 3_600),
        s => format!("{} days", s / 86_400),
    }
}

pub(super) fn disk(disk: &Disk) -> Vec<Finding> {
    let (path, quoted) = (&disk.path, typed(&disk.path));
    if let Some(why) = &disk.unknown {
        let todo = format!("look at it: ls -ld {quoted}; or give another folder with --data");
        let wrong = format!("it cannot be looked at: {why}");
        return vec![Finding::problem(DiskCheck, path, wrong, todo)];
    }
    let mut found = vec![room(disk)];
    found.extend(disk.denied.iter().map(|(folder, what)| {
        // Never to make it one's own: its owner's node may be at work there.
        let typed_folder = typed(folder);
        let todo = format!(
            "run it as its owner: {}; if that is you: chmod u+rwx {typed_folder}; or give a folder of your own: \
             --data DIR",
            as_owner(&typed_folder, &quoted)
        );
        Finding::problem(DiskCheck, folder, format!("this user may not {what} it"), todo)
    }));
    found.extend(disk.open_mode.map(|mode| {
        let seen = format!("{path}/.parvi has mode {mode:o}");
        let todo = format!("chmod 700 {quoted}/.parvi");
        Finding::warning(DiskCheck, seen, "others can look into it", todo)
    }));
    found.extend(kind(disk));
    found.extend(parts(disk));
    found
}

/// The doctor for the data directory `data`, under the user whose `path` is; both as they are typed.
pub(super) fn as_owner(path: &str, data: &str) -> String {
    format!("sudo -u \"$(stat -c %U {path})\" parvi doctor --data {data}")
}

/// Bytes and files that there is room for.
fn room(disk: &Disk) -> Finding {
    let Disk { path, free, total, .. } = disk;
    let quoted = typed(path);
    let made = if disk.exists { "" } else { " (is made at the first start)" };
    let seen = format!("{path}{made}: {} of {} free", size(*free), size(*total));
    let more = format!("make room (du -sh {quoted}/* shows what is large), or move it: --data DIR");
    if disk.read_only {
        let wrong = "the file system is mounted read-only: nothing can be downloaded or logged";
        let todo =
            format!("findmnt --target {quoted} shows the mount; mount it rw, or move: --data");
        return Finding::problem(DiskCheck, seen, wrong, todo);
    }
    if *free < FREE_MIN {
        let wrong = "that is less than the log of uploads needs: neither uploads nor downloads go";
        return Finding::problem(DiskCheck, seen, wrong, more);
    }
    if let Some((left, all)) = disk.inodes.filter(|(left, _)| *left < INODES_LOW) {
        let wrong = format!("only {left} of {all} files can still be made, however small they are");
        let todo =
            format!("remove small files (du --inodes -s {quoted}/*), or move it: --data DIR");
        return match left < INODES_MIN {
            true => Finding::problem(DiskCheck, seen, wrong, todo),
            false => Finding::warning(DiskCheck, seen, wrong, todo),
        };
    }
    if *free < FREE_LOW {
        let wrong = "a large download will stop for want of room, and go on when there is some";
        return Finding::warning(DiskCheck, seen, wrong, more);
    }
    Finding::ok(DiskCheck, seen)
}

fn kind(disk: &Disk) -> Option<Finding> {
    let path = &disk.path;
    match disk.kind {
        FileSystem::Local => None,
        FileSystem::Memory => Some(Finding::warning(
            DiskCheck,
            format!("{path} is in memory (tmpfs)"),
            "all of it is gone after a restart: files, identity, unfinished transfers",
            "keep it on a disk: --data DIR; in a container mount a volume there",
        )),
        FileSystem::Network(name) => Some(Finding::warning(
            DiskCheck,
            format!("{path} is on a network file system ({name})"),
            "changes are noticed once a minute only, and locks and syncs are as good as its server",
            "keep it on a local disk: --data DIR, and share what is elsewhere: parvi ctl share PATH",
        )),
    }
}

/// What waits, where there is little room for more of it.
fn parts(disk: &Disk) -> Option<Finding> {
    let Disk { parts, parts_bytes, .. } = *disk;
    if parts == 0 {
        return None;
    }
    let seen = format!("{parts} unfinished downloads hold {}", size(parts_bytes));
    Some(match disk.free < FREE_LOW.max(parts_bytes / 10) {
        true => Finding::warning(
            DiskCheck,
            seen,
            "they wait beside a disk that is nearly full",
            "parvi ctl transfers shows them: resume ID, or cancel ID to have the room back",
        ),
        false => Finding::ok(DiskCheck, seen),
    })
}

pub(super) fn clock(clock: &Clock) -> Vec<Finding> {
    const SET: &str = "timedatectl shows the clock; timedatectl set-ntp true lets it be set";
    let seen = format!("it is {}", clock.shown);
    let mut found = Vec::new();
    if clock.unix_s < EARLIEST_S {
        let wrong = "that is before this program was written: files get wrong times";
        found.push(Finding::problem(ClockCheck, &seen, wrong, SET));
    }
    if let Some(jumped) = clock.jumped_s.filter(|jumped| jumped.abs() >= JUMP_S) {
        let by = span(Duration::from_secs(jumped.unsigned_abs()));
        let how = if jumped > 0 { "ahead" } else { "back" };
        let seen = format!("the wall clock has gone {by} {how} since the start");
        let wrong = "it was set, or the machine was asleep; transfers do not go by it, times that \
                     are shown do";
        found.push(Finding::warning(ClockCheck, seen, wrong, SET));
    }
    if let Some(future) = &clock.future {
        let seen = format!(
            "{} shared files are from the future, {} by {}",
            future.files,
            future.path,
            span(future.ahead)
        );
        let wrong =
            "this clock is late, or the one that wrote them was ahead; others get that time";
        let todo = format!("{SET}; touch FILE gives a file the time of now");
        found.push(Finding::warning(ClockCheck, seen, wrong, todo));
    }
    if found.is_empty() {
        found.push(Finding::ok(ClockCheck, format!("{seen}, and no shared file is later")));
    }
    found
}

pub(super) fn limits(limits: &Limits) -> Vec<Finding> {
    let Limits { files, files_hard, files_open, watches, folders } = *limits;
    vec![open_files(files, files_hard, files_open), watched(watches, folders)]
}

fn open_files(soft: Option<u64>, hard: Option<u64>, open: u64) -> Finding {
    const CHECK: Check = LimitsCheck;
    let Some(most) = soft else {
        return Finding::ok(CHECK, format!("{open} files open, as many more as one likes"));
    };
    let seen = format!("{open} of {most} files and connections open");
    let todo = "ulimit -n 65536 before the start; LimitNOFILE= in a systemd unit; --ulimit nofile= \
                of a container";
    if most.saturating_sub(open) < FILES_LEFT_MIN {
        let wrong = "there is hardly one left: connections will be refused";
        return Finding::problem(CHECK, seen, wrong, todo);
    }
    // A node asks for as many as it may have.
    match hard.is_some_and(|hard| hard < FILES_WANTED) {
        true => Finding::warning(CHECK, seen, "many peers at once need more", todo),
        false => Finding::ok(CHECK, seen),
    }
}

fn watched(watches: Option<u64>, folders: u64) -> Finding {
    let Some(most) = watches else {
        return Finding::warning(
            LimitsCheck,
            "/proc/sys/fs/inotify cannot be read",
            "new files may be noticed once a minute only",
            "mount /proc, or live with that",
        );
    };
    let seen = format!("{folders} folders shared, {most} can be watched");
    if folders < most {
        return Finding::ok(LimitsCheck, seen);
    }
    let wrong = "changes in the others are noticed once a minute only";
    let todo = format!("sudo sysctl fs.inotify.max_user_watches={}", (folders * 2).max(65_536));
    Finding::warning(LimitsCheck, seen, wrong, todo)
}
