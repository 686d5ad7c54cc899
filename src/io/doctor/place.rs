//! The machine: disk, clock, limits, and files with keys.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, StatVfsMountFlags, access, statfs, statvfs};
use rustix::process::{Resource, getrlimit};

use crate::base::Time;
use crate::base::name::{PRIVATE_FOLDER, printable};
use crate::io::clock::{now, unix_now, wall_date};
use crate::io::link::{KeyError, SwarmKey};
use crate::logic::doctor::{Clock, Disk, FileSystem, Future, KeyFile, KeyState, Limits};

/// Entries looked at in the shared folders, and how long that may take.
const ENTRIES_MAX: usize = 20_000;
const LOOK_TIME_MAX: Duration = Duration::from_secs(1);
/// A file is from the future from here on: clocks of two machines are never the same.
const AHEAD_MIN: Duration = Duration::from_secs(120);

/// When it was at the start, by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Started {
    unix_s: i64,
    time: Time,
}

impl Started {
    /// Now.
    pub fn now() -> Started {
        Started { unix_s: unix_now().secs, time: now() }
    }

    /// How long ago that was, by the monotonic clock.
    pub fn ago(&self) -> Duration {
        now().since(self.time)
    }

    /// Seconds that the wall clock has gone further than the monotonic one.
    fn jumped_s(&self) -> i64 {
        let ran = i64::try_from(self.ago().as_secs()).unwrap_or(i64::MAX);
        unix_now().secs.saturating_sub(self.unix_s).saturating_sub(ran)
    }
}

/// The data directory `path`, or the folder in which it would be made.
pub fn disk(path: &Path) -> Disk {
    let mut disk = Disk {
        path: shown(path),
        exists: path.is_dir(),
        unknown: None,
        kind: FileSystem::Local,
        read_only: false,
        free: 0,
        total: 0,
        inodes: None,
        denied: Vec::new(),
        open_mode: None,
        parts: 0,
        parts_bytes: 0,
    };
    // A relative path's last ancestor is the empty one, which stands for here.
    let folder = |path: &Path| match path.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => path.to_owned(),
    };
    let Some(there) = path.ancestors().map(folder).find(|folder| folder.exists()) else {
        disk.unknown = Some("no folder above it is there".into());
        return disk;
    };
    if !there.is_dir() {
        disk.unknown = Some(format!("{} is not a folder", shown(&there)));
        return disk;
    }
    if let Err(e) = measure(&there, &mut disk) {
        disk.unknown = Some(e.to_string());
        return disk;
    }
    disk.denied = denied(path, &there);
    let private = path.join(PRIVATE_FOLDER);
    if let Ok(meta) = private.metadata() {
        let mode = meta.permissions().mode() & 0o777;
        disk.open_mode = (mode & 0o077 != 0).then_some(mode);
    }
    (disk.parts, disk.parts_bytes) = parts(&private.join("parts"));
    disk
}

fn measure(folder: &Path, disk: &mut Disk) -> io::Result<()> {
    let room = statvfs(folder)?;
    disk.read_only = room.f_flag.contains(StatVfsMountFlags::RDONLY);
    disk.free = room.f_bavail.saturating_mul(room.f_frsize);
    disk.total = room.f_blocks.saturating_mul(room.f_frsize);
    // Where files are made as one likes, both are zero.
    disk.inodes = (room.f_files > 0).then_some((room.f_favail, room.f_files));
    disk.kind = kind(statfs(folder)?.f_type as u64);
    Ok(())
}

/// The numbers of linux/magic.h, and of the file systems that are not in it.
fn kind(magic: u64) -> FileSystem {
    match magic & 0xffff_ffff {
        0x0102_1994 | 0x8584_58f6 => FileSystem::Memory,
        0x6969 => FileSystem::Network("NFS"),
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => FileSystem::Network("SMB"),
        0x0102_1997 => FileSystem::Network("9p"),
        0x00c3_6400 => FileSystem::Network("Ceph"),
        _ => FileSystem::Local,
    }
}

/// Folders that this user may not use as it must.
fn denied(path: &Path, there: &Path) -> Vec<(String, &'static str)> {
    let all = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    let wanted = [
        (there.to_owned(), all, "read or write"),
        (path.join("shared"), Access::READ_OK | Access::EXEC_OK, "read"),
        (path.join("downloaded"), all, "read or write"),
        (path.join("replicated"), all, "read or write"),
        (path.join(PRIVATE_FOLDER), all, "read or write"),
        (path.join(PRIVATE_FOLDER).join("parts"), all, "read or write"),
        (path.join(PRIVATE_FOLDER).join("wal"), all, "read or write"),
    ];
    let forbidden = |folder: &Path, how| {
        matches!(access(folder, how), Err(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM))
    };
    let mut denied: Vec<(PathBuf, &'static str)> = Vec::new();
    for (folder, how, what) in wanted {
        // Nothing more is to be seen below one that is closed.
        if !denied.iter().any(|(above, _)| folder.starts_with(above)) && forbidden(&folder, how) {
            denied.push((folder, what));
        }
    }
    denied.into_iter().map(|(folder, what)| (shown(&folder), what)).collect()
}

/// How many files are on their way, and how much room they take.
fn parts(folder: &Path) -> (u64, u64) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(ENTRIES_MAX);
    let files =
        entries.filter_map(|entry| entry.metadata().ok()).filter(std::fs::Metadata::is_file);
    files.fold((0, 0), |(files, bytes), meta| (files + 1, bytes + meta.blocks() * 512))
}

/// What a look through the shared folders of `data` finds.
struct Shared {
    folders: u64,
    future: Option<Future>,
}

fn look_through(data: &Path) -> Shared {
    let (began, today) = (now(), unix_now().secs);
    let mut shared = Shared { folders: 0, future: None };
    let mut left = ENTRIES_MAX;
    let mut folders: VecDeque<PathBuf> = ["shared", "downloaded"].map(|f| data.join(f)).into();
    while let Some(folder) = folders.pop_front() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        shared.folders += 1;
        for entry in entries.flatten() {
            if left == 0 || now().since(began) > LOOK_TIME_MAX {
                return shared;
            }
            left -= 1;
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                folders.push_back(entry.path());
            } else if let Ok(ahead) = u64::try_from(meta.mtime() - today)
                && Duration::from_secs(ahead) > AHEAD_MIN
            {
                later(&mut shared.future, &entry.path(), Duration::from_secs(ahead));
            }
        }
    }
    shared
}

fn later(future: &mut Option<Future>, path: &Path, ahead: Duration) {
    let known = future.get_or_insert_with(|| Future { files: 0, path: shown(path), ahead });
    known.files += 1;
    if ahead > known.ahead {
        (known.path, known.ahead) = (shown(path), ahead);
    }
}

/// The wall clock beside the times of the shared files of `data`, and what this process may have beside
/// the number of its shared folders.
pub fn clock_and_limits(data: &Path, started: Option<&Started>) -> (Clock, Limits) {
    let Shared { folders, future } = look_through(data);
    let jumped_s = started.map(Started::jumped_s);
    let files = getrlimit(Resource::Nofile);
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64);
    let watches = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches");
    let limits = Limits {
        files: files.current,
        files_hard: files.maximum,
        files_open: open,
        watches: watches.ok().and_then(|text| text.trim().parse().ok()),
        folders,
    };
    let clock = Clock { unix_s: unix_now().secs, shown: wall_date(), jumped_s, future };
    (clock, limits)
}

/// The key file at `path`.
pub fn key_file(path: &Path) -> KeyFile {
    KeyFile { path: shown(path), state: key_state(path) }
}

fn key_state(path: &Path) -> KeyState {
    match SwarmKey::from_file(path) {
        Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return KeyState::Missing;
        }
        Err(KeyError::Io { source, .. }) => return KeyState::Unreadable(source.to_string()),
        Err(_) => return KeyState::Malformed,
        Ok(_) => {}
    }
    match path.metadata().map(|meta| meta.permissions().mode() & 0o777) {
        Ok(mode) if mode & 0o077 != 0 => KeyState::Open(mode),
        Ok(_) => KeyState::Fine,
        Err(e) => KeyState::Unreadable(e.to_string()),
    }
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy()).into_owned()
}
