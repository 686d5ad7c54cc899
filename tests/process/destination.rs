//! Watches the folder where a download arrives, all the time: whatever gets a name there is whole
//! at that very moment, and nobody writes it afterwards.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use parvi::io::threads::{Group, StopToken};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

use crate::harness::root;

/// The stop is looked for so often.
const POLL: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// A folder that is watched.
pub struct Destination {
    stop: StopToken,
    group: Group,
    seen: Arc<Mutex<Vec<String>>>,
    folder: PathBuf,
}

impl Destination {
    /// Watches `folder`, where `file` with the hash `wanted` is to appear, and nothing else.
    pub fn watch(folder: PathBuf, file: &str, wanted: &str) -> Destination {
        let queue = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
        let events = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::MODIFY;
        inotify::add_watch(&queue, &folder, events | WatchFlags::DELETE | WatchFlags::MOVED_FROM)
            .unwrap();
        let (stop, group) = (StopToken::new(), Group::new("test"));
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (token, all, path) = (stop.clone(), Arc::clone(&seen), folder.join(file));
        let (file, wanted) = (file.to_owned(), wanted.to_owned());
        let watch = move || {
            // Once more after the stop: what has happened is in the queue then.
            loop {
                let last = token.is_stopped();
                wait_for(&queue);
                let take = |event, name: &str| judge(event, name, &file, &path, &wanted);
                read(&queue, |event, name| all.lock().push(take(event, name)));
                if last {
                    return;
                }
            }
        };
        group.spawn("destination", watch).unwrap();
        Destination { stop, group, seen, folder }
    }

    /// All that has happened: the file appeared, once and whole.
    #[track_caller]
    pub fn saw_one_arrival(&self) {
        self.end();
        assert_eq!(*self.seen.lock(), ["arrived whole"], "in {}", self.folder.display());
    }

    fn end(&self) {
        self.stop.stop();
        self.group.join_all(Duration::from_secs(10));
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        self.end();
    }
}

fn judge(event: ReadFlags, name: &str, file: &str, path: &Path, wanted: &str) -> String {
    let appeared = event.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
    if !appeared || name != file {
        return format!("{event:?} of {name}");
    }
    match std::fs::read(path) {
        Ok(bytes) if root(&bytes) == wanted => "arrived whole".into(),
        Ok(bytes) => format!("{name} had {} wrong bytes", bytes.len()),
        Err(e) => format!("{name} vanished: {e}"),
    }
}

fn wait_for(queue: &OwnedFd) {
    poll(&mut [PollFd::new(queue, PollFlags::IN)], Some(&POLL)).unwrap();
}

/// All events there are now.
fn read(queue: &OwnedFd, mut take: impl FnMut(ReadFlags, &str)) {
    let mut buffer = [const { MaybeUninit::uninit() }; 4096];
    let mut reader = Reader::new(queue, &mut buffer);
    while let Ok(event) = reader.next() {
        let name = event.file_name().map(|name| name.to_string_lossy().into_owned());
        take(event.events(), &name.unwrap_or_default());
    }
}
