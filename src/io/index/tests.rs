//! The index on a real folder.

mod replicas;
mod rot;

use super::*;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;

use crate::io::disk::{PartStore, publish};
use crate::wire::message::tracker::Held;

const LONG: Duration = Duration::from_secs(30);

/// A data directory, and the index that runs on it.
struct World {
    home: tempfile::TempDir,
    changes: Arc<AtomicU64>,
    share_downloaded: bool,
    run: Option<Run>,
}

struct Run {
    /// Holds the lock.
    _data: DataDir,
    group: Group,
    stop: StopToken,
    index: Arc<Index>,
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

impl World {
    fn new() -> World {
        let home = tempfile::tempdir().unwrap();
        let mut world = World { home, changes: Arc::default(), share_downloaded: true, run: None };
        world.start();
        world
    }

    fn start(&mut self) {
        let data = DataDir::open(&self.home.path().join("data")).unwrap();
        let (group, stop) = (Group::new("test"), StopToken::new());
        let changes = Arc::clone(&self.changes);
        let on_change = Box::new(move || _ = changes.fetch_add(1, Relaxed));
        let config = IndexConfig {
            data: &data,
            group: &group,
            stop: &stop,
            share_downloaded: self.share_downloaded,
            on_change,
        };
        let index = Index::start_with(config, Duration::ZERO).unwrap();
        self.run = Some(Run { _data: data, group, stop, index });
    }

    fn stop(&mut self) {
        if let Some(run) = self.run.take() {
            run.stop.stop();
            assert_eq!(run.group.join_all(LONG), Vec::<String>::new());
        }
    }

    fn restart(&mut self) {
        self.stop();
        self.start();
        self.settle();
    }

    fn index(&self) -> &Index {
        &self.run.as_ref().unwrap().index
    }

    fn settle(&self) {
        assert!(self.index().wait_settled(LONG), "the index does not settle");
    }

    fn path(&self, below: &str) -> PathBuf {
        self.home.path().join("data").join(below)
    }

    fn outside(&self, below: &str) -> PathBuf {
        self.home.path().join("outside").join(below)
    }

    /// Writes a file below the data directory, folders included.
    fn put(&self, below: &str, text: &str) {
        write(&self.path(below), text);
    }

    fn names(&self) -> Vec<String> {
        let state = self.index().state.lock();
        state.catalogue.iter().map(|file| file.name.as_str().to_owned()).collect()
    }

    fn root_of(&self, text: &str) -> Option<Root> {
        self.index().find(&name(text), None).0.first().map(|file| file.root)
    }

    fn served(&self, content: &str) -> Result<String, OpenError> {
        let served = self.index().open(&Root::of(content.as_bytes()))?;
        let mut bytes = vec![0; served.entry.size as usize];
        served.file.read_exact_at(&mut bytes, 0).unwrap();
        assert!(served.unchanged());
        Ok(String::from_utf8(bytes).unwrap())
    }

    fn why(&self, path: &str) -> String {
        let status = self.index().status();
        let problem = status.problems.iter().find(|p| p.path.ends_with(path));
        problem.map_or_else(|| format!("no problem among {status:?}"), |p| p.why.clone())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            run.stop.stop();
            run.group.join_all(LONG);
        }
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn files_of_every_folder_are_found_looked_up_and_served() {
    let world = World::new();
    world.put("shared/report.txt", "the report");
    world.put("shared/deep/er/file", "deep");
    world.put("downloaded/movie", "the movie");
    world.put("replicated/copy", "a copy");
    world.put("shared/.hidden", "hidden");
    world.settle();
    assert_eq!(world.names(), [".hidden", "copy", "deep/er/file", "movie", "report.txt"]);
    for text in ["the report", "deep", "the movie", "a copy", "hidden"] {
        assert_eq!(world.served(text).unwrap(), text);
        let manifest = world.index().manifest(&Root::of(text.as_bytes())).unwrap();
        assert_eq!(*manifest, Manifest::of(text.as_bytes()));
    }
    let listed = |shelf| world.index().list(shelf).len();
    assert_eq!([Shelf::Local, Shelf::Downloaded, Shelf::Replicated].map(listed), [3, 1, 1]);
    assert_eq!(world.index().find(&name("deep"), None).0.len(), 1);
    let status = world.index().status();
    assert_eq!((status.files, status.hashing, status.problems), (5, 0, vec![]));
    assert!(world.changes.load(Relaxed) > 0, "nobody was told");
    let nothing = world.index().open(&Root::of(b"nothing"));
    assert!(matches!(nothing, Err(OpenError::NotShared { .. })));
}

#[test]
fn large_files_have_manifests_that_survive_a_restart() {
    let mut world = World::new();
    let large: Vec<u8> = (0..20_000_000_u32).map(|i| (i / 999) as u8).collect();
    std::fs::write(world.path("shared/large"), &large).unwrap();
    world.settle();
    let manifest = Manifest::of(&large);
    assert_eq!(world.index().manifest(&manifest.root()).as_deref(), Some(&manifest));
    world.restart();
    assert_eq!(world.index().manifest(&manifest.root()).as_deref(), Some(&manifest));
    assert_eq!(world.index().status().hashed, 0);
}

#[test]
fn a_restart_hashes_nothing_and_a_damaged_cache_is_hashed_anew() {
    let mut world = World::new();
    world.stop();
    for i in 0..50 {
        world.put(&format!("shared/{i}"), &format!("file {i}"));
    }
    world.restart();
    assert_eq!(world.index().status().hashed, 50);
    world.restart();
    assert_eq!((world.index().status().hashed, world.names().len()), (0, 50));
    world.stop();
    world.put("shared/7", "changed while it was not looking");
    world.restart();
    assert_eq!((world.index().status().hashed, world.names().len()), (1, 50));
    world.stop();
    let cache = world.path(".parvi/catalogue");
    let mut bytes = std::fs::read(&cache).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&cache, bytes).unwrap();
    world.start();
    world.settle();
    assert_eq!((world.index().status().hashed, world.names().len()), (50, 50));
}

#[test]
fn many_files_in_many_folders_are_found_and_known_again() {
    const FILES: usize = 2_345;
    let mut world = World::new();
    world.stop();
    for i in 0..FILES {
        let folder = if i < 1_234 { "one".into() } else { format!("{}/{}", i % 7, i % 3) };
        world.put(&format!("shared/{folder}/{i}"), &format!("file {i}"));
    }
    world.restart();
    let known = |world: &World| (world.index().status().hashed as usize, world.names().len());
    assert_eq!(known(&world), (FILES, FILES));
    let before = world.names();
    world.restart();
    assert_eq!(known(&world), (0, FILES));
    assert_eq!(world.names(), before);
    for i in [0, 999, 1_000, 1_233, 1_234, FILES - 1] {
        let text = format!("file {i}");
        assert_eq!(world.served(&text).unwrap(), text);
    }
}

#[test]
fn edited_truncated_replaced_and_deleted_files_are_noticed() {
    let world = World::new();
    for file in ["edited", "truncated", "replaced", "deleted", "kept"] {
        world.put(&format!("shared/{file}"), &format!("{file} before"));
    }
    world.settle();
    let before = world.index().stamp();
    let edited = std::fs::File::options().write(true).open(world.path("shared/edited")).unwrap();
    edited.write_all_at(b"E", 0).unwrap();
    edited.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let cut = std::fs::File::options().write(true).open(world.path("shared/truncated")).unwrap();
    cut.set_len(3).unwrap();
    world.put("new", "another one");
    std::fs::rename(world.path("new"), world.path("shared/replaced")).unwrap();
    std::fs::remove_file(world.path("shared/deleted")).unwrap();
    for stale in ["edited before", "truncated before", "replaced before", "deleted before"] {
        let refused = world.served(stale);
        assert!(matches!(refused, Err(OpenError::Stale { .. })), "{stale}: {refused:?}");
    }
    assert!(world.index().stamp().version > before.version, "stale files are still told of");
    world.settle();
    assert_eq!(world.names(), ["edited", "kept", "replaced", "truncated"]);
    for text in ["Edited before", "tru", "another one", "kept before"] {
        assert_eq!(world.served(text).unwrap(), text);
    }
}

#[test]
fn a_served_file_knows_that_it_was_written_to_but_not_that_it_was_replaced() {
    let world = World::new();
    world.put("shared/a", "before");
    world.put("shared/b", "bytes");
    world.settle();
    let served = world.index().open(&Root::of(b"before")).unwrap();
    std::fs::File::options()
        .append(true)
        .open(world.path("shared/a"))
        .unwrap()
        .write_all(b"!")
        .unwrap();
    assert!(!served.unchanged());
    world.index().stale(&Root::of(b"before"));
    assert_eq!(world.index().entry_of(&Root::of(b"before")), None);
    let replaced = world.index().open(&Root::of(b"bytes")).unwrap();
    world.put("new", "other bytes");
    std::fs::rename(world.path("new"), world.path("shared/b")).unwrap();
    assert!(replaced.unchanged(), "what is open is what it was");
    world.index().stale(&Root::of(b"before"));
}

#[test]
fn of_two_files_with_one_name_the_shared_one_counts_until_it_is_gone() {
    let world = World::new();
    world.put("downloaded/a", "downloaded");
    world.put("shared/a", "shared");
    world.settle();
    assert_eq!(world.root_of("a"), Some(Root::of(b"shared")));
    assert_eq!(world.served("downloaded").unwrap(), "downloaded", "its bytes may be asked for");
    std::fs::remove_file(world.path("shared/a")).unwrap();
    world.settle();
    assert_eq!(world.root_of("a"), Some(Root::of(b"downloaded")));
}

#[test]
fn of_two_files_with_one_content_either_serves() {
    let world = World::new();
    world.put("shared/one", "twins");
    world.put("shared/two", "twins");
    world.settle();
    assert_eq!(world.names(), ["one", "two"]);
    world.put("shared/one", "not a twin");
    assert_eq!(world.served("twins").unwrap(), "twins");
    std::fs::remove_file(world.path("shared/two")).unwrap();
    assert!(world.served("twins").is_err());
    world.settle();
    assert_eq!(world.names(), ["one"]);
}

#[test]
fn what_cannot_be_shared_is_a_problem_not_a_file() {
    let world = World::new();
    let odd = world.path("shared").join(OsStr::from_bytes(b"bad\xff\x1b[2Jname"));
    std::fs::write(odd, "x").unwrap();
    world.put("secret", "secret");
    symlink(world.path("secret"), world.path("shared/link")).unwrap();
    symlink(world.path("."), world.path("shared/loop")).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, world.path("shared/pipe"), kind, mode, 0).unwrap();
    world.put("shared/new\nline", "good");
    world.put(&format!("shared/{}", "x".repeat(255)), "long");
    world.settle();
    assert_eq!(world.names(), ["new\nline", &"x".repeat(255)]);
    assert!(world.why("name").contains("UTF-8"), "{}", world.why("name"));
    assert!(world.why("/link").contains("symbolic link"), "{}", world.why("/link"));
    assert!(world.why("/loop").contains("symbolic link"), "{}", world.why("/loop"));
    assert!(world.why("/pipe").contains("not a regular file"), "{}", world.why("/pipe"));
    assert!(world.index().status().problems.iter().all(|p| !p.path.contains('\u{1b}')));
}

#[test]
fn ignore_files_count_where_a_person_fills_the_folder_and_only_there() {
    let world = World::new();
    world.put("shared/.parviignore", "*.log\n/private/\n!keep.log\n");
    for file in ["a.log", "keep.log", "sub/b.log", "private/c", "sub/private/d", "e"] {
        world.put(&format!("shared/{file}"), file);
    }
    for file in ["x.part", "y~", ".git/config", ".parvi/id"] {
        world.put(&format!("shared/{file}"), file);
    }
    world.put("downloaded/.parviignore", "*\n");
    world.put("downloaded/f", "f");
    world.settle();
    assert_eq!(world.names(), ["e", "f", "keep.log", "sub/private/d"]);
}

#[test]
fn an_ignore_file_that_cannot_be_read_hides_its_whole_folder_until_it_can() {
    let world = World::new();
    for file in ["a", "sub/b", "sub/deep/c", "subs/d"] {
        world.put(&format!("shared/{file}"), file);
    }
    world.put("shared/sub/.parviignore", "nothing\n");
    world.settle();
    assert_eq!(world.names(), ["a", "sub/b", "sub/deep/c", "subs/d"]);
    let ignore = world.path("shared/sub/.parviignore");
    let long = "x\n".repeat(600_000);
    let bad: [(&[u8], &str); 3] =
        [(b"caf\xe9\nb\n", "UTF-8"), (long.as_bytes(), "longer than"), (b"ok\n[z-a]\n", "[z-a]")];
    for (bytes, words) in bad {
        std::fs::write(&ignore, bytes).unwrap();
        world.settle();
        assert_eq!(world.names(), ["a", "subs/d"], "{words}");
        assert!(world.served("sub/deep/c").is_err());
        let why = world.why("sub/.parviignore");
        assert!(why.contains(words) && why.contains("nothing of its folder is shared"), "{why}");
    }
    std::fs::remove_file(&ignore).unwrap();
    symlink("nowhere", &ignore).unwrap();
    world.settle();
    assert_eq!(world.names(), ["a", "subs/d"], "what it leads to may come back");
    std::fs::remove_file(&ignore).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &ignore, 0o600.into()).unwrap();
    world.settle();
    assert!(world.why("sub/.parviignore").contains("not a regular file"));
    std::fs::remove_file(&ignore).unwrap();
    std::fs::write(&ignore, "\u{feff}b\n").unwrap();
    world.settle();
    assert_eq!(
        (world.names(), world.why("ignore").contains("no problem")),
        (["a", "sub/deep/c", "subs/d"].map(str::to_owned).to_vec(), true)
    );
    std::fs::write(world.path("shared/.parviignore"), b"\xff").unwrap();
    world.settle();
    assert_eq!(world.names(), [""; 0]);
}

#[test]
fn changes_are_noticed_without_being_asked_for() {
    let world = World::new();
    world.settle();
    let wait_for = |wanted: &[&str]| {
        let (pause, began) = (StopToken::new(), clock::now());
        while world.names() != wanted {
            assert!(clock::now().since(began) < LONG, "{:?}, not {wanted:?}", world.names());
            pause.wait(Duration::from_millis(10));
        }
    };
    world.put("shared/new/folder/a", "a");
    wait_for(&["new/folder/a"]);
    world.put("shared/new/folder/b", "b");
    wait_for(&["new/folder/a", "new/folder/b"]);
    std::fs::remove_dir_all(world.path("shared/new")).unwrap();
    wait_for(&[]);
}

#[test]
fn paths_anywhere_are_shared_until_they_are_unshared_restarts_included() {
    let mut world = World::new();
    write(&world.outside("photos/2026/a.jpg"), "a photo");
    write(&world.outside("papers/report.pdf"), "a report");
    write(&world.outside("papers/diary.txt"), "not for others");
    assert_eq!(world.index().share(&world.outside("photos")).unwrap(), name("photos"));
    assert_eq!(world.index().share(&world.outside("photos")).unwrap(), name("photos"));
    world.index().share(&world.outside("papers/report.pdf")).unwrap();
    world.settle();
    assert_eq!(world.names(), ["photos/2026/a.jpg", "report.pdf"]);
    world.restart();
    assert_eq!(world.index().status().hashed, 0);
    assert_eq!(world.names(), ["photos/2026/a.jpg", "report.pdf"]);
    assert_eq!(world.served("a photo").unwrap(), "a photo");
    assert_eq!(world.served("a report").unwrap(), "a report");
    world.index().unshare(&name("photos")).unwrap();
    assert!(world.served("a photo").is_err(), "served after unshare returned");
    assert_eq!(world.names(), ["report.pdf"]);
    world.restart();
    assert_eq!(world.names(), ["report.pdf"]);
    let refused = world.index().unshare(&name("photos"));
    assert!(matches!(refused, Err(IndexError::NotShared { .. })));
    assert!(world.outside("photos/2026/a.jpg").exists());
}

#[test]
fn one_path_under_two_names_and_a_folder_in_another_are_known_again() {
    let mut world = World::new();
    write(&world.outside("photos/old/a"), "an old one");
    write(&world.outside("photos/b"), "a new one");
    for path in ["photos", "photos/old"] {
        world.index().share(&world.outside(path)).unwrap();
    }
    world.stop();
    // By hand, while it does not run: `share` itself has one name for a path only.
    let path = world.path(".parvi/shares.toml");
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str(&format!("\n[share.again]\nfolder = {:?}\n", world.outside("photos")));
    std::fs::write(&path, text).unwrap();
    world.restart();
    let all = ["again/b", "again/old/a", "old/a", "photos/b", "photos/old/a"];
    assert_eq!(world.names(), all);
    world.restart();
    assert_eq!((world.index().status().hashed, world.names()), (0, all.map(String::from).into()));
    world.index().unshare(&name("photos")).unwrap();
    assert_eq!(world.names(), all[..3]);
    world.restart();
    assert_eq!((world.index().status().hashed, world.names().len()), (0, 3));
    assert_eq!(world.served("an old one").unwrap(), "an old one");
}

#[test]
fn a_file_in_a_folder_is_withheld_until_it_is_shared_again() {
    let mut world = World::new();
    for file in ["a/one", "a/two", "b"] {
        world.put(&format!("shared/{file}"), file);
    }
    world.settle();
    world.index().unshare(&name("a")).unwrap();
    assert!(world.served("a/one").is_err());
    world.index().unshare(&name("b")).unwrap();
    world.restart();
    assert_eq!(world.names(), [""; 0]);
    assert!(world.path("shared/a/one").exists(), "the file itself is gone");
    let above = world.index().share(&world.path("shared/a/one"));
    assert!(matches!(above, Err(IndexError::Withheld { .. })), "{above:?}");
    assert_eq!(world.index().share(&world.path("shared/a")).unwrap(), name("a"));
    world.restart();
    assert_eq!(world.names(), ["a/one", "a/two"]);
}

#[test]
fn what_is_taken_or_ours_or_no_file_is_refused() {
    let world = World::new();
    world.put("shared/photos", "a file of that name");
    write(&world.outside("photos/a"), "a");
    write(&world.outside("x/docs/a"), "a");
    write(&world.outside("y/docs/a"), "a");
    write(&world.outside(".parvi/id"), "another node's key");
    world.settle();
    let share = |path: PathBuf| world.index().share(&path);
    assert!(matches!(share(world.outside("photos")), Err(IndexError::Clash { .. })));
    share(world.outside("x/docs")).unwrap();
    let clash = share(world.outside("y/docs")).unwrap_err().to_string();
    assert!(clash.starts_with("docs is shared already, from "), "{clash}");
    assert!(matches!(share(world.outside("none")), Err(IndexError::Io { .. })));
    for ours in [world.path("."), world.path(".parvi/lock"), world.path("shared")] {
        assert!(matches!(share(ours), Err(IndexError::NotShareable { .. })));
    }
    for bad in ["/dev/null", "/"].map(PathBuf::from) {
        assert!(matches!(share(bad), Err(IndexError::NotShareable { .. })));
    }
    assert!(matches!(share(world.outside(".parvi/id")), Err(IndexError::NotShareable { .. })));
    share(world.home.path().join("outside")).unwrap();
    world.settle();
    assert!(world.names().iter().all(|name| !name.contains(".parvi")), "{:?}", world.names());
}

#[test]
fn a_shared_folder_that_goes_away_takes_its_files_and_brings_them_back() {
    let world = World::new();
    write(&world.outside("photos/a"), "a photo");
    world.index().share(&world.outside("photos")).unwrap();
    world.settle();
    std::fs::rename(world.outside("photos"), world.outside("away")).unwrap();
    world.settle();
    assert_eq!(world.names(), [""; 0]);
    assert!(world.why("photos").contains("No such file"), "{}", world.why("photos"));
    std::fs::rename(world.outside("away"), world.outside("photos")).unwrap();
    world.settle();
    assert_eq!(world.served("a photo").unwrap(), "a photo");
}

#[test]
fn a_shared_folder_that_cannot_be_read_keeps_its_files_and_their_hashes() {
    let mut world = World::new();
    write(&world.outside("photos/a"), "a photo");
    world.index().share(&world.outside("photos")).unwrap();
    world.settle();
    std::fs::rename(world.outside("photos"), world.outside("away")).unwrap();
    // A link to itself: there is something, but the system cannot tell what.
    symlink(world.outside("photos"), world.outside("photos")).unwrap();
    world.settle();
    assert_eq!(world.names(), ["photos/a"]);
    assert_eq!(world.served("a photo").unwrap(), "a photo");
    world.restart();
    assert_eq!(world.names(), [""; 0], "not seen since the start");
    std::fs::remove_file(world.outside("photos")).unwrap();
    std::fs::rename(world.outside("away"), world.outside("photos")).unwrap();
    world.restart();
    assert_eq!((world.index().status().hashed, world.names().len()), (0, 1));
}

#[test]
fn what_is_unshared_is_not_served_from_another_folder_instead() {
    let mut world = World::new();
    world.put("downloaded/photos/b", "downloaded");
    write(&world.outside("photos/a"), "a photo");
    world.index().share(&world.outside("photos")).unwrap();
    world.settle();
    assert_eq!(world.names(), ["photos/a", "photos/b"]);
    world.index().unshare(&name("photos")).unwrap();
    assert!(world.served("downloaded").is_err());
    assert_eq!(world.names(), [""; 0]);
    world.restart();
    assert_eq!(world.names(), [""; 0]);
    world.index().share(&world.outside("photos")).unwrap();
    world.settle();
    assert_eq!(world.names(), ["photos/a", "photos/b"]);
}

#[test]
fn a_shared_folder_exchanged_for_a_link_leads_nowhere_new() {
    let world = World::new();
    world.put("shared/folder/a", "public");
    write(&world.outside("a"), "secret");
    world.settle();
    std::fs::remove_dir_all(world.path("shared/folder")).unwrap();
    symlink(world.outside(""), world.path("shared/folder")).unwrap();
    assert!(world.served("public").is_err());
    world.settle();
    assert_eq!(world.names(), [""; 0]);
    assert!(world.served("secret").is_err());
}

#[test]
fn a_published_download_is_served_without_being_read_again() {
    let mut world = World::new();
    world.settle();
    let text = b"just arrived";
    let parts = PartStore::open(&world.path(".parvi/parts")).unwrap();
    let part = parts.open_part(&Root::of(text), text.len() as u64).unwrap();
    part.write_at(0, text).unwrap();
    let into = Beneath::open(&world.path("downloaded")).unwrap();
    let entry = FileEntry {
        name: name("folder/arrived"),
        size: text.len() as u64,
        root: Root::of(text),
        modified: crate::base::Modified { secs: 5, nanos: 6 },
        executable: true,
    };
    let published = publish(part, &into, &entry.name, entry.modified, true, false).unwrap();
    world.index().publish(Shelf::Downloaded, &[(&entry, &published)], None);
    assert_eq!(world.served("just arrived").unwrap(), "just arrived");
    assert_eq!(world.index().find(&entry.name, None).0, [entry]);
    world.settle();
    assert_eq!(world.names(), ["folder/arrived"]);
    world.restart();
    assert_eq!((world.index().status().hashed, world.names().len()), (0, 1));
}

#[test]
fn a_shares_file_that_cannot_be_read_stops_the_start() {
    let mut world = World::new();
    world.stop();
    std::fs::write(world.path(".parvi/shares.toml"), "withheld = 7").unwrap();
    let data = DataDir::open(&world.path("")).unwrap();
    let (group, stop) = (Group::new("test"), StopToken::new());
    let config = IndexConfig {
        data: &data,
        group: &group,
        stop: &stop,
        share_downloaded: true,
        on_change: Box::new(|| ()),
    };
    let refused = Index::start(config).err().unwrap().to_string();
    assert!(refused.contains("could not read") && refused.contains("shares.toml"), "{refused}");
}

#[test]
fn a_tracker_that_follows_the_deltas_knows_the_files() {
    let world = World::new();
    let mut copy = std::collections::BTreeMap::new();
    let mut at = Stamp::default();
    for round in 0..5 {
        world.put(&format!("shared/{round}"), &format!("file {round}"));
        if round % 2 == 1 {
            std::fs::remove_file(world.path(&format!("shared/{}", round - 1))).unwrap();
        }
        world.settle();
        while at != world.index().stamp() {
            let delta = world.index().catalogue_delta(at);
            delta.removed.iter().for_each(|gone| _ = copy.remove(gone));
            copy.extend(
                delta.added.iter().map(|Held { entry, .. }| (entry.name.clone(), entry.root)),
            );
            at = Stamp { epoch: delta.epoch, version: delta.to };
        }
        let names: Vec<_> = copy.keys().map(|name| name.as_str().to_owned()).collect();
        assert_eq!(names, world.names());
    }
}

#[test]
fn a_file_that_was_touched_may_be_found_again_until_it_is_hashed() {
    let mut world = World::new();
    world.put("shared/film", "film");
    world.settle();
    // A report of the writing may still bring a scan or two.
    while !world.index().is_sure() {
        world.settle();
    }
    let index = Arc::clone(&world.run.as_ref().unwrap().index);
    world.stop();
    let film = std::fs::File::options().write(true).open(world.path("shared/film")).unwrap();
    film.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert!(index.is_sure(), "nobody has noticed");
    assert!(index.open(&Root::of(b"film")).is_err());
    assert!(index.entry_of(&Root::of(b"film")).is_none() && !index.is_sure());
    world.restart();
    while !world.index().is_sure() {
        world.settle();
    }
    assert_eq!(world.served("film").unwrap(), "film");
}
