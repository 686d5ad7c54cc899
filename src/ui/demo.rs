//! `parvi demo`: the real program, as a user would run it, on loopback in a temporary folder.
//!
//! A tracker and four nodes are started as processes of this very binary. Three share the same
//! film, one of them a folder of papers as well; the fourth finds both by name and fetches the film
//! from all three at once. Everything is compared with the originals. Ends: every process is asked
//! to exit (killed where it does not listen) and the folder is removed, also after a failure.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::args::DemoArgs;
use super::ask::quietly;
use super::process::Process;
use super::{output, render};
use crate::base::{Fault, FaultKind, Time};
use crate::io::clock;
use crate::io::generate::{self, DataSet};
use crate::io::threads::StopToken;

/// How long the three may take to hash and announce what they share.
const FOUND_TIME_MAX: Duration = Duration::from_secs(60);
/// How often the fourth looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const OWNERS: [&str; 3] = ["alice", "bob", "carol"];
const FILM: &str = "film.bin";
const PAPERS: &str = "papers";
/// The papers: small text files.
const PAPERS_SET: DataSet = DataSet { small: 20, large: 0, seed: 2 };

/// Runs it and says in plain words what happens.
///
/// # Errors
/// Whatever does not go as it should.
pub(super) fn demo(args: &DemoArgs) -> Result<(), Fault> {
    let stop = StopToken::new();
    let interrupted = stop.clone();
    ctrlc::set_handler(move || interrupted.stop())
        .map_err(|e| Fault::other(format!("cannot watch for Ctrl-C: {e}")))?;
    let folder = tempfile::Builder::new().prefix("parvi-demo-").tempdir();
    let folder =
        folder.map_err(|e| Fault::other(format!("cannot make a temporary folder: {e}")))?;
    say(&format!("working in {}", folder.path().display()));
    let stage = Stage { folder: folder.path(), stop: &stop };
    stage.fill(u64::from(args.size) << 20)?;
    let processes = stage.start()?;
    stage.play()?;
    for process in processes.into_iter().rev() {
        process.end()?;
    }
    folder.close().map_err(|e| Fault::other(format!("cannot remove the folder: {e}")))?;
    say("all processes have ended, the folder is gone: it works");
    Ok(())
}

fn say(text: &str) {
    output::out(&format!("{text}\n"));
}

/// Where the demonstration happens.
struct Stage<'a> {
    folder: &'a Path,
    stop: &'a StopToken,
}

impl Stage<'_> {
    fn shared(&self, node: &str) -> PathBuf {
        self.folder.join(node).join("shared")
    }

    /// Puts the film into three folders and the papers into one.
    fn fill(&self, film_bytes: u64) -> Result<(), Fault> {
        say(&format!("alice, bob and carol get a film of {}", render::size(film_bytes)));
        for owner in OWNERS {
            let film = self.shared(owner).join(FILM);
            generate::generate_file(&film, film_bytes, 1)
                .map_err(|e| Fault::other(e.to_string()))?;
        }
        say(&format!("carol also gets a folder of {} papers", PAPERS_SET.small));
        let papers = self.shared("carol").join(PAPERS);
        generate::generate(&papers, PAPERS_SET).map_err(|e| Fault::other(e.to_string()))?;
        Ok(())
    }

    fn start(&self) -> Result<Vec<Process>, Fault> {
        let listen = ["tracker", "--headless", "--listen", "127.0.0.1:0"];
        let (tracker, ready) = Process::start(&listen, &self.folder.join("tracker"))?;
        say(&ready);
        let addr = ready.rsplit('=').next().unwrap_or_default().to_owned();
        let mut processes = vec![tracker];
        for name in OWNERS.into_iter().chain(["dave"]) {
            let words =
                ["node", "--headless", "--listen", "127.0.0.1", "--tracker", &addr, "--name", name];
            let (node, ready) = Process::start(&words, &self.folder.join(name))?;
            say(&ready);
            processes.push(node);
        }
        Ok(processes)
    }

    fn play(&self) -> Result<(), Fault> {
        say("dave looks for the film");
        let owners = self.find()?;
        say(&format!("it is at {}", owners.join(", ")));
        say("dave downloads it from all of them at once");
        let film = self.ask(&["download", FILM])?;
        check(&film, &self.shared("alice"))?;
        say(&told(&film));

        say("dave downloads the folder of papers by its name");
        let papers = self.ask(&["download", PAPERS])?;
        let papers = papers.as_array().cloned().unwrap_or_default();
        if papers.len() != PAPERS_SET.small as usize {
            return Err(Fault::other(format!("{} papers came", papers.len())));
        }
        papers.iter().try_for_each(|paper| check(paper, &self.shared("carol")))?;
        say(&format!("{} papers arrived, every one as carol has it", papers.len()));
        Ok(())
    }

    /// Looks until all three owners are known.
    fn find(&self) -> Result<Vec<String>, Fault> {
        let began: Time = clock::now();
        loop {
            let owners = self.ask(&["lookup", FILM]).map(|found| labels(&found));
            match owners {
                Ok(owners) if owners.len() == OWNERS.len() => return Ok(owners),
                Err(fault) if fault.kind != FaultKind::NotFound => return Err(fault),
                _ => {}
            }
            if clock::now().since(began) > FOUND_TIME_MAX {
                let text = "the three owners did not announce the film in time";
                return Err(Fault::new(FaultKind::NotFound, text));
            }
            if self.stop.wait(LOOK_EVERY) {
                return Err(Fault::other("interrupted"));
            }
        }
    }

    /// Asks dave, unless somebody wants an end.
    fn ask(&self, words: &[&str]) -> Result<Value, Fault> {
        if self.stop.is_stopped() {
            return Err(Fault::other("interrupted"));
        }
        let (code, answer) = quietly(&self.folder.join("dave"), words, None)?;
        if code == FaultKind::NotFound.exit_code() {
            return Err(Fault::new(FaultKind::NotFound, answer));
        }
        if code != 0 {
            return Err(Fault::other(format!("{} failed: {}", words.join(" "), answer.trim())));
        }
        serde_json::from_str(&answer)
            .map_err(|e| Fault::other(format!("{} answered no JSON: {e}", words.join(" "))))
    }
}

/// What arrived is, byte for byte, what the owner has.
fn check(report: &Value, original: &Path) -> Result<(), Fault> {
    let name = report["name"].as_str().unwrap_or_default();
    let wanted = hash(&original.join(name))?;
    let came = hash(Path::new(report["path"].as_str().unwrap_or_default()))?;
    if came == wanted && report["root"] == wanted {
        return Ok(());
    }
    Err(Fault::new(FaultKind::Integrity, format!("{name} is not what its owner has")))
}

/// `64.0 MiB in 0.20 s, 320.0 MiB/s: alice 20.0 MiB, …`, verified.
fn told(report: &Value) -> String {
    let bytes = report["bytes"].as_u64().unwrap_or(0);
    let seconds = report["seconds"].as_f64().unwrap_or(0.0);
    let rate = (bytes as f64 / seconds.max(1e-3)) as u64;
    let sources = report["sources"].as_array().cloned().unwrap_or_default();
    let part = |s: &Value| {
        let sent = s["bytes"].as_u64().unwrap_or(0);
        format!("{} {}", s["node"].as_str().unwrap_or("?"), render::size(sent))
    };
    let parts: Vec<String> = sources.iter().map(part).collect();
    format!(
        "{} in {seconds:.2} s, {}/s, from {}; its BLAKE3 hash is the original's",
        render::size(bytes),
        render::size(rate),
        parts.join(", ")
    )
}

fn labels(found: &Value) -> Vec<String> {
    let owners = found["owners"].as_array().cloned().unwrap_or_default();
    owners.iter().filter_map(|o| o["node"].as_str().map(str::to_owned)).collect()
}

fn hash(path: &Path) -> Result<String, Fault> {
    let failed = |e| Fault::other(format!("cannot read {}: {e}", path.display()));
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path).map_err(failed)?).map_err(failed)?;
    Ok(hasher.finalize().to_string())
}
