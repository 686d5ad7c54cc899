//! Clocks that are wrong: the wall clock a day off, in 1970, in 2106, set while a transfer runs or
//! between two starts; the monotonic one anywhere after a restart. Nothing is tried again, expires
//! or is forgotten for it.
//!
//! The wall clock is set for one process alone, by a small library that is loaded before all others
//! and adds what a file says. It is compiled by `cc`, which Rust needs as well; a machine without it
//! skips these tests and says so, as one without time namespaces does.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use parvi::io::clock;
use serde_json::Value;

use crate::dice::rounds;
use crate::harness::{until, write};
use crate::story::{FILM, Setting, Story, found};

const DAY: i64 = 24 * 60 * 60;
/// New Year's Day of 2106, seconds since 1970: the last before 32 bits end.
const FAR: i64 = 4_291_747_200;

const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    int (*next)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int result = next(clock, now);
    const char *path = getenv("WALL_CLOCK_OFF_BY");
    if (result == 0 && clock == CLOCK_REALTIME && path) {
        FILE *file = fopen(path, "r");
        long long seconds;
        if (file && fscanf(file, "%lld", &seconds) == 1)
            now->tv_sec += seconds;
        if (file)
            fclose(file);
    }
    return result;
}
"#;

/// The wall clock of the processes of a test.
struct WallClock {
    folder: tempfile::TempDir,
}

impl WallClock {
    /// A right one; `None` where the library cannot be made.
    fn new() -> Option<WallClock> {
        let wall = WallClock { folder: tempfile::tempdir().unwrap() };
        write(&wall.path("clock.c"), LIBRARY);
        let mut cc = Command::new("cc");
        cc.current_dir(wall.folder.path()).args(["-shared", "-fPIC", "-o", "clock.so", "clock.c"]);
        let made = cc.arg("-ldl").stderr(Stdio::null()).status().is_ok_and(|s| s.success());
        if !made {
            eprintln!("skipped: a C compiler is missing (Debian: apt install gcc)");
            return None;
        }
        wall.is_off_by(0);
        Some(wall)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Sets it, for those who run as well.
    fn is_off_by(&self, seconds: i64) {
        // In one step: it is read at any time.
        write(&self.path("next"), seconds.to_string());
        fs::rename(self.path("next"), self.path("off_by")).unwrap();
    }

    /// What goes by it.
    fn setting(&self, who: &str) -> Setting {
        let env = vec![
            ("LD_PRELOAD", self.path("clock.so").into()),
            ("WALL_CLOCK_OFF_BY", self.path("off_by").into()),
        ];
        Setting { env, ..Setting::usual(who) }
    }
}

/// How far off a clock may be, seconds, and the year that it shows then.
fn wrong_clocks() -> [(i64, Option<&'static str>); 4] {
    let now = clock::unix_now().secs;
    [
        (DAY, None),
        (-DAY, None),
        (DAY - now, Some("[1970-01-02T")),
        (FAR - now, Some("[2106-01-01T")),
    ]
}

/// Who serves bob goes by the wrong clock, or the test shows nothing.
#[track_caller]
fn shows(story: &Story, who: &str, date: Option<&str>) {
    let Some(date) = date else { return };
    until(&format!("{who} shows {date}"), || {
        // Every connection leaves a line in the log of its server.
        assert_eq!(story.of("bob").ctl(&["lookup", "film"]).code, 0);
        story.of(who).logged().contains(date).then_some(())
    });
}

#[test]
fn a_wall_clock_that_is_set_in_the_middle_changes_nothing() {
    let Some(wall) = WallClock::new() else { return };
    rounds("a clock that is set", |mut dice| {
        wall.is_off_by(0);
        let mut story = Story::begin_as(|who| wall.setting(who), |_| {});
        for (moment, (off_by, date)) in dice.moments(4, FILM).into_iter().zip(wrong_clocks()) {
            story.reaches(moment);
            wall.is_off_by(off_by);
            ["tracker", "alice"].iter().for_each(|who| shows(&story, who, date));
        }
        assert_eq!(story.arrives()["attempt"], 1);
        assert_eq!(story.count("alice", "bytes_up"), FILM, "something was sent again");
        story.of("tracker").peers(2);
        let told = story.of("tracker").said();
        assert!(!told.contains("not intentionally"), "a node was given up: {told}");
    });
}

#[test]
fn a_start_under_a_wrong_wall_clock_goes_on_with_what_was_there() {
    let Some(wall) = WallClock::new() else { return };
    rounds("starts under a wrong clock", |mut dice| {
        wall.is_off_by(0);
        let mut story = Story::begin_as(|who| wall.setting(who), |_| {});
        for (moment, (off_by, date)) in dice.moments(4, FILM).into_iter().zip(wrong_clocks()) {
            let had = story.reaches(moment)["done"].as_u64().unwrap();
            story.kill("bob");
            story.kill("alice");
            wall.is_off_by(off_by);
            story.start("alice");
            until("alice waits for bob", || still_waits(&story));
            story.start("bob");
            let found = found(&story.moves());
            assert!(found >= had, "{found} bytes of {had} were there after {off_by} seconds");
            ["alice", "bob"].iter().for_each(|who| shows(&story, who, date));
        }
        story.arrives();
    });
}

/// alice's row, once she has looked at what her log says and found nothing too old.
fn still_waits(story: &Story) -> Option<Value> {
    let fresh = "this node has restarted";
    story.alice_waits().filter(|row| !row["reason"].as_str().unwrap().starts_with(fresh))
}

/// Runs a program whose monotonic clock is off by that.
fn with_monotonic(off_by: i64) -> Vec<String> {
    let offset = format!("--monotonic={off_by}");
    let words = ["unshare", "--time", &offset, "--fork", "--kill-child", "--"];
    words.map(str::to_owned).to_vec()
}

/// Whether a process can have a monotonic clock of its own.
fn may_have_time_namespace() -> bool {
    let starter = with_monotonic(1);
    let mut command = Command::new(&starter[0]);
    command.args(&starter[1..]).arg("true").stderr(Stdio::null());
    let may = command.status().is_ok_and(|status| status.success());
    if !may {
        eprintln!("skipped: a time namespace needs root and Linux 5.6 (unshare --time)");
    }
    may
}

#[test]
fn a_log_is_recovered_whatever_the_monotonic_clock_starts_with() {
    if !may_have_time_namespace() {
        return;
    }
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let uptime: i64 = uptime.split('.').next().unwrap().parse().unwrap();
    // As if the machine had just been started, and as if it had run for ten years.
    for [alice, bob] in [[1 - uptime, 3_650 * DAY], [3_650 * DAY, 1 - uptime]] {
        let mut story = Story::begin();
        let had = story.reaches(FILM / 2)["done"].as_u64().unwrap();
        story.kill("bob");
        story.kill("alice");
        story.set("alice", Setting { starter: with_monotonic(alice), ..Setting::usual("alice") });
        story.set("bob", Setting { starter: with_monotonic(bob), ..Setting::usual("bob") });
        story.start("alice");
        let row = until("alice waits for bob", || still_waits(&story));
        assert!(row["attempt"] == 1 && row["total"] == FILM, "{row}");
        story.start("bob");
        let found = found(&story.moves());
        assert!(found >= had, "{found} bytes of {had} were there after a restart");
        assert_eq!(story.arrives()["attempt"], 2);
    }
}
