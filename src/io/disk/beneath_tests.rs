use super::*;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::symlink;
use std::sync::atomic::AtomicBool;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// A shared folder with one file, and a secret beside it. `Beneath` twice: by openat2, by walking.
struct World {
    home: tempfile::TempDir,
    ways: [Beneath; 2],
}

impl World {
    fn new() -> World {
        let home = tempfile::tempdir().unwrap();
        let shared = home.path().join("shared");
        std::fs::create_dir_all(shared.join("folder")).unwrap();
        std::fs::write(shared.join("folder/file"), "public").unwrap();
        std::fs::create_dir(home.path().join("outside")).unwrap();
        std::fs::write(home.path().join("outside/file"), "a secret").unwrap();
        std::fs::write(home.path().join("secret"), "a secret").unwrap();
        let walking = Beneath::open(&shared).unwrap();
        walking.walk.store(true, Relaxed);
        World { ways: [Beneath::open(&shared).unwrap(), walking], home }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.home.path().join("shared").join(below)
    }
}

fn read(mut file: File) -> String {
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    text
}

/// Names as attackers write them: every way up, in every place, in every spelling.
fn hostile_names() -> Vec<String> {
    let ups = ["..", ".", "", "../..", "../../..", "./..", ".//..", "..\0", ".parvi", "folder/.."];
    let prefixes = ["", "/", "folder/", "folder/../", "./", "//", "a/b/", "/proc/self/root/"];
    let targets =
        ["secret", "outside/file", "etc/passwd", "", "proc/self/environ", ".parvi/id", "shared"];
    let mut names = Vec::new();
    for prefix in prefixes {
        for up in ups {
            names.extend(targets.map(|target| format!("{prefix}{up}/{target}")));
        }
    }
    for depth in 1..40 {
        names.push(format!("{}secret", "../".repeat(depth)));
        names.push(format!("folder/{}secret", "../".repeat(depth)));
    }
    names.extend(["%2e%2e/secret", "..%2fsecret", "..\\secret", "．．/secret"].map(String::from));
    names
}

#[test]
fn hostile_names_are_refused_and_nothing_outside_is_opened() {
    let world = World::new();
    let names = hostile_names();
    assert!(names.len() >= 500, "only {} names", names.len());
    for text in names {
        let Ok(name) = Name::parse(&text) else { continue };
        for way in &world.ways {
            assert!(way.open_file(&name).is_err(), "{text:?} was opened");
        }
    }
}

#[test]
fn files_are_opened_in_both_ways() {
    let world = World::new();
    for way in &world.ways {
        assert_eq!(read(way.open_file(&name("folder/file")).unwrap()), "public");
        let missing = way.open_file(&name("folder/none")).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert!(way.open_file(&name("folder")).is_err(), "a folder was opened as a file");
        assert!(way.open_file(&name("folder/file/x")).is_err());
    }
}

#[test]
fn links_are_never_followed_wherever_they_stand() {
    let world = World::new();
    symlink("../secret", world.path("up")).unwrap();
    symlink(world.home.path().join("secret"), world.path("absolute")).unwrap();
    symlink("nowhere", world.path("dangling")).unwrap();
    symlink("folder/file", world.path("inside")).unwrap();
    symlink("../outside", world.path("parent")).unwrap();
    symlink("folder", world.path("inner")).unwrap();
    symlink("/proc/self/root", world.path("magic")).unwrap();
    let links =
        ["up", "absolute", "dangling", "inside", "parent/file", "inner/file", "magic/etc/passwd"];
    for way in &world.ways {
        for link in links {
            assert!(way.open_file(&name(link)).is_err(), "{link} was followed");
        }
        for link in ["parent/new/file", "inner/new/file", "dangling/file"] {
            assert!(way.create_parents(&name(link)).is_err(), "{link} was followed for writing");
        }
        assert!(way.unlink(&name("parent/file")).is_err());
    }
    assert!(world.home.path().join("outside/file").exists());
    assert!(!world.path("folder/new").exists(), "a folder was made through a link");
}

#[test]
fn a_pipe_neither_blocks_nor_opens() {
    let world = World::new();
    let mode = Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(CWD, world.path("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    for way in &world.ways {
        assert_eq!(way.open_file(&name("pipe")).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn links_raced_into_place_never_lead_outside() {
    const OPENS: usize = 100_000;
    let world = World::new();
    symlink("../outside", world.path("link")).unwrap();
    symlink("../secret", world.path("file-link")).unwrap();
    std::fs::write(world.path("flat"), "public").unwrap();
    let done = AtomicBool::new(false);
    /// Ends the racing thread however the test ends.
    struct End<'a>(&'a AtomicBool);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
        }
    }
    std::thread::scope(|scope| {
        let _end = End(&done);
        scope.spawn(|| {
            let swap = |a: &str, b: &str| {
                let flags = RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(CWD, world.path(a), CWD, world.path(b), flags).unwrap();
            };
            while !done.load(Relaxed) {
                swap("link", "folder");
                swap("file-link", "flat");
            }
        });
        let (deep, flat) = (name("folder/file"), name("flat"));
        let mut opened = 0;
        for i in 0..OPENS {
            let wanted = if i % 4 < 2 { &deep } else { &flat };
            if let Ok(file) = world.ways[i % 2].open_file(wanted) {
                let len = file.metadata().unwrap().len();
                if i % 64 == 0 {
                    assert_eq!(read(file), "public", "try {i} read the secret");
                }
                assert_eq!(len, 6);
                opened += 1;
            }
            if i % 100 == 0 {
                let made = world.ways[i % 2].create_parents(&name("folder/made/x"));
                drop(made);
            }
        }
        assert!(opened > 0, "the race never let anything through: nothing was tried");
    });
    let outside: Vec<_> = std::fs::read_dir(world.home.path().join("outside")).unwrap().collect();
    assert_eq!(outside.len(), 1, "something was made outside");
}

#[test]
fn parents_are_made_and_synced() {
    let world = World::new();
    for (way, text) in world.ways.iter().zip(["a/b/c/file", "d/e/file"]) {
        way.create_parents(&name(text)).unwrap();
        way.create_parents(&name(text)).unwrap();
        assert!(world.path(text).parent().unwrap().is_dir());
        way.sync_above(&name(text)).unwrap();
    }
}

#[test]
fn odd_but_legal_names_work() {
    let world = World::new();
    let long = "x".repeat(255);
    for text in ["new\nline", "\u{1b}[2J", "folder/ ", "C:\\x", &long] {
        std::fs::write(world.path(text), text).unwrap();
        for way in &world.ways {
            assert_eq!(read(way.open_file(&name(text)).unwrap()), text);
        }
    }
    let deep = vec!["d"; 1_500].join("/");
    world.ways[0].create_parents(&name(&deep)).unwrap();
    assert!(world.ways[0].open_parent(&name(&deep)).is_ok());
    assert!(world.ways[1].open_parent(&name(&deep)).is_ok());
}

#[test]
fn a_taken_name_is_not_replaced() {
    let world = World::new();
    let way = &world.ways[0];
    std::fs::write(world.path("mine"), "mine").unwrap();
    std::fs::write(world.path("yours"), "yours").unwrap();
    let taken = rename_noreplace(way.folder(), "mine", way.folder(), "yours").unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    rename_noreplace(way.folder(), "mine", way.folder(), "ours").unwrap();
    assert_eq!(std::fs::read_to_string(world.path("yours")).unwrap(), "yours");
    way.unlink(&name("ours")).unwrap();
    assert!(!world.path("ours").exists());
}

#[test]
fn only_some_failures_say_that_there_is_no_file() {
    let says = |errno: Errno| is_no_file(&errno.into());
    assert!([Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::NXIO].into_iter().all(says));
    let passing = [Errno::IO, Errno::ACCESS, Errno::STALE, Errno::MFILE, Errno::NFILE];
    assert!(!passing.into_iter().chain([Errno::NOMEM, Errno::PERM]).any(says));
    let opened = World::new().ways[0].open_file(&name("folder"));
    assert!(is_no_file(&opened.unwrap_err()), "a folder is no file");
}
