//! One long transfer from alice to bob through a tracker, whoever dies meanwhile, and what is
//! counted of it.
//!
//! Nobody types a command after the first `download`. The rate makes it last for some seconds.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;

use parvi::base::chunk::chunk_size;
use parvi::logic::items::Items;
use serde_json::Value;

use crate::destination::Destination;
use crate::harness::{Daemon, MIB, Swarm, noise, own_address, pid, root, sent, until};

/// Who takes part.
pub const ALL: [&str; 3] = ["tracker", "alice", "bob"];
/// Bytes of the film.
pub const FILM: u64 = 64 * MIB as u64;

/// Most bytes that may be sent again after a kill (I8): two windows and a chunk.
pub fn again_max() -> u64 {
    (2 * u64::from(Items::chunks(FILM).window()) + 1) * chunk_size(FILM)
}

/// How one of them is started.
#[derive(Clone)]
pub struct Setting {
    /// A program that starts it, with its arguments.
    pub starter: Vec<String>,
    pub env: Vec<(&'static str, OsString)>,
    /// Its address.
    pub ip: String,
    /// How long the other may be silent, seconds.
    pub ack_timeout: &'static str,
    /// Between two heartbeats, seconds.
    pub heartbeat: &'static str,
}

impl Setting {
    /// On loopback. The tracker's port is free while it is dead.
    pub fn usual(who: &str) -> Setting {
        Setting {
            starter: Vec::new(),
            env: Vec::new(),
            ip: if who == "tracker" { own_address().to_string() } else { "127.0.0.1".into() },
            ack_timeout: "2",
            heartbeat: "1",
        }
    }
}

/// The transfer. Its processes end before its folder goes.
pub struct Story {
    daemons: BTreeMap<&'static str, Daemon>,
    settings: BTreeMap<&'static str, Setting>,
    /// Where the tracker is, before and after its death.
    tracker: String,
    destination: Destination,
    pub swarm: Swarm,
}

impl Story {
    /// bob has ordered alice's film.
    pub fn begin() -> Story {
        Story::begin_as(Setting::usual, |_| {})
    }

    /// The same with other settings; `before` looks at them right before the order.
    pub fn begin_as(setting: impl Fn(&str) -> Setting, before: impl FnOnce(&Story)) -> Story {
        let (swarm, film) = (Swarm::new(), noise(1, FILM as usize));
        swarm.put("alice", "film", &film);
        let into = swarm.downloaded("bob", "");
        fs::create_dir_all(&into).unwrap();
        let destination = Destination::watch(into, "film", &root(&film));
        let settings: BTreeMap<_, _> = ALL.map(|who| (who, setting(who))).into();
        let tracker = format!("{}:0", settings["tracker"].ip);
        let mut story = Story { daemons: BTreeMap::new(), settings, tracker, destination, swarm };
        story.start("tracker");
        story.tracker = story.of("tracker").addr();
        story.start("alice");
        story.start("bob");
        story.of("bob").finds("film", 1);
        before(&story);
        assert_eq!(story.of("bob").ctl(&["download", "film"]).code, 0);
        story
    }

    pub fn of(&self, who: &str) -> &Daemon {
        &self.daemons[who]
    }

    /// Ends it as a power cut does.
    pub fn kill(&mut self, who: &str) {
        self.daemons.remove(who).unwrap().kill();
    }

    /// From now on it is started like that.
    pub fn set(&mut self, who: &'static str, setting: Setting) {
        self.settings.insert(who, setting);
    }

    /// Starts it, for the first time or again, with the same command.
    #[track_caller]
    pub fn start(&mut self, who: &'static str) {
        let Setting { starter, env, ip, ack_timeout, heartbeat } = &self.settings[who];
        let node = ["node", "--listen", ip, "--name", who, "--tracker", &self.tracker];
        let times = ["--ack-timeout", ack_timeout, "--heartbeat", heartbeat];
        let words = match who {
            "tracker" => vec!["tracker", "--listen", &self.tracker],
            "alice" => [&node[..], &times, &["--up", "12MiB"]].concat(),
            _ => [&node[..], &times].concat(),
        };
        let mut command = self.swarm.parvi_under(starter, &words);
        command.envs(env.iter().map(|(name, value)| (name, value)));
        self.daemons.insert(who, self.swarm.start_by(who, command, &[]));
    }

    /// bob's row, once he has `bytes` of the film.
    #[track_caller]
    pub fn reaches(&self, bytes: u64) -> Value {
        let enough = |t: &Value| t["done"].as_u64() >= Some(bytes);
        let row = self.of("bob").transfer(&format!("bob has {bytes} bytes"), enough);
        assert_ne!(row["state"], "done", "it was too fast to be interrupted");
        row
    }

    /// bob's row, once the download moves.
    #[track_caller]
    pub fn moves(&self) -> Value {
        self.of("bob").transfer("the download moves", |t| t["state"] == "moving")
    }

    /// Alice's row, when she has noticed that bob's connection is gone.
    pub fn alice_waits(&self) -> Option<Value> {
        // A connection that is only silent waits as well, and says so in these words.
        let silent = "nothing sent or acknowledged";
        let rows = self.of("alice").json(&["transfers"]);
        let waits = |t: &&Value| t["dir"] == "up" && t["state"] == "waiting";
        let row = rows.as_array()?.iter().find(waits)?;
        (!row["reason"].as_str()?.starts_with(silent)).then(|| row.clone())
    }

    /// One of a node's counters.
    pub fn count(&self, who: &str, counter: &str) -> u64 {
        self.of(who).json(&["stats"])[counter].as_u64().unwrap()
    }

    /// The names of a process's threads, in order.
    pub fn threads(&self, who: &str) -> Vec<String> {
        let tasks = format!("/proc/{}/task", pid(&self.of(who).child).as_raw_nonzero());
        let tasks = fs::read_dir(tasks).unwrap().map(|task| task.unwrap().path().join("comm"));
        // A thread may end between the two looks.
        let mut all: Vec<String> = tasks.filter_map(|comm| fs::read_to_string(comm).ok()).collect();
        all.sort();
        all
    }

    /// The film arrives; it appeared once and whole, and nothing is left to be done. Returns bob's
    /// last row.
    #[track_caller]
    pub fn arrives(&mut self) -> Value {
        let row = self.of("bob").transfer("the film has arrived", |t| t["state"] == "done");
        self.of("alice").transfer_gone("the upload is over");
        self.destination.saw_one_arrival();
        let data = self.swarm.data("alice");
        until("every upload has its end in alice's log", || {
            let dump = self.swarm.run(&["wal", "dump", data.to_str().unwrap()]);
            assert_eq!(dump.code, 0, "{dump:?}");
            unfinished(&dump.out).is_empty().then_some(())
        });
        row
    }
}

/// What a process of a download found on its disk: what it has, less what was sent to it.
pub fn found(row: &Value) -> u64 {
    row["done"].as_u64().unwrap() - sent(row)
}

/// The uploads that a dump says were begun and not ended, as `SET for REQUESTER`.
fn unfinished(dump: &str) -> Vec<&str> {
    let mut open = Vec::new();
    for line in dump.lines() {
        let key = |verb: &str| {
            let (_, rest) = line.split_once(verb)?;
            rest.split_once(": ").map(|(key, _)| key)
        };
        if let Some(key) = key("begun ") {
            open.push(key);
        } else if let Some(key) = key("ended ") {
            open.retain(|begun| *begun != key);
        }
    }
    open
}

#[test]
fn what_is_unfinished_is_read_from_a_dump() {
    let begun = "  1  begun aa for bb: film, 5 bytes, attempt 1\n";
    assert_eq!(unfinished(begun), ["aa for bb"]);
    let (again, other) = (begun.replace("attempt 1", "attempt 2"), "  3  ended cc for bb: Done\n");
    assert_eq!(unfinished(&format!("{begun}{again}{other}")), ["aa for bb"; 2]);
    let all = format!("{begun}{again}{other}  4  ended aa for bb: Done\n");
    assert_eq!(unfinished(&all), [""; 0]);
}
