//! The two loads: questions at a fixed rate, and heartbeats as fast as they are answered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{ScopedJoinHandle, scope};
use std::time::Duration;

use parvi::base::{Name, Time};
use parvi::io::clock;
use parvi::io::threads::StopToken;
use parvi::logic::pattern::part_or_glob;
use parvi::wire::Message;
use parvi::wire::message::find::FindQuestion;
use parvi::wire::message::tracker::LookupQuestion;

use crate::process::{cpu, resident};
use crate::swarm::{Node, dial, join, know_each_other, text};
use crate::{Failure, Tracker};

/// Questions a second, and how many of them are patterns.
const QUESTIONS: u32 = 1_000;
const PATTERNS: u32 = 5;
/// Threads that ask for names; each keeps to its own share of the times.
const ASKERS: u32 = 10;
/// Threads that beat.
const BEATERS: usize = 16;
/// What the patterns are: parts of names, rare and frequent, with and without case, and globs.
const WORDS: [(&str, bool); 5] = [
    ("such a thing is not there", false),
    ("00042/", false),
    ("SUCH A THING IS NOT THERE", true),
    ("run-0004", false),
    ("**/run-0*7.csv", false),
];

/// Fills the index, then asks; with and without a node whose files change meanwhile.
pub(crate) fn names(
    tracker: Tracker,
    (nodes, names): (u32, u32),
    time: Duration,
) -> Result<(), Failure> {
    let mut swarm = join(tracker, nodes)?;
    let (before, began) = (resident(tracker.pid)?, clock::now());
    for node in &mut swarm {
        node.share(nodes, names)?;
    }
    let took = clock::now().since(began);
    let (after, count) = (resident(tracker.pid)?, u64::from(nodes) * u64::from(names));
    let text: usize = (0..1_000).map(|n| text(n % nodes, n % names).len()).sum::<usize>() / 1_000;
    let each = after.saturating_sub(before) / count;
    println!("\n## {count} names of {nodes} nodes\n");
    println!("* every tenth name is on two nodes; a name has {text} bytes");
    println!(
        "* memory of the process for each name: {each} bytes, {} beside its text (bar: 150)",
        each.saturating_sub(text as u64)
    );
    println!("* the nodes told all of it in {:.1} s, one page at a time", took.as_secs_f64());
    println!(
        "\n{QUESTIONS} questions a second for {} s, {PATTERNS} of them patterns; times as the \
        asker sees them, from when the question was due.\n",
        time.as_secs()
    );
    println!(
        "| questions | asked | p50 ms | p99 ms | max ms | bar, p99 |\n|---|---:|---:|---:|---:|---:|"
    );
    asked(tracker, (nodes, names), time, "")?;
    let over = AtomicBool::new(false);
    scope(|scope| {
        let Some(node) = swarm.first_mut() else { return Ok(()) };
        let changing = scope.spawn(|| change(node, &over));
        let outcome = asked(tracker, (nodes, names), time, ", the index being written");
        over.store(true, Relaxed);
        joined(changing).and(outcome)
    })
}

/// Shares one file more a second, so that the tracker writes its index again and again.
fn change(node: &mut Node, over: &AtomicBool) -> Result<(), Failure> {
    for n in 0.. {
        if over.load(Relaxed) {
            break;
        }
        node.share_one(n)?;
        pause(Duration::from_secs(1));
    }
    Ok(())
}

/// Asks for names and patterns for a while, and tells how long that took.
fn asked(tracker: Tracker, of: (u32, u32), time: Duration, how: &str) -> Result<(), Failure> {
    let busy = cpu(tracker.pid)?;
    let (mut exact, mut patterns) = (Vec::new(), Vec::new());
    scope(|scope| {
        let each = Duration::from_secs(1) * ASKERS / (QUESTIONS - PATTERNS);
        let start = clock::now() + Duration::from_millis(100);
        let due = move |n: u32| start + each / ASKERS * n;
        let askers: Vec<_> = (0..ASKERS)
            .map(|n| scope.spawn(move || ask_names(tracker, of, (due(n), each), (n, time))))
            .collect();
        let searchers: Vec<_> = (0..PATTERNS)
            .map(|n| scope.spawn(move || ask_pattern(tracker, n, (start, time))))
            .collect();
        for asker in askers {
            exact.append(&mut joined(asker)?);
        }
        for searcher in searchers {
            patterns.append(&mut joined(searcher)?);
        }
        Ok::<_, Failure>(())
    })?;
    let busy = (cpu(tracker.pid)?.saturating_sub(busy)).as_secs_f64() / time.as_secs_f64();
    row(&format!("a name{how}"), &mut exact, "2");
    row(&format!("a pattern, first page{how}"), &mut patterns, "50");
    println!("| the tracker's processor time{how} | | {:.0} % of a core | | | |", busy * 100.0);
    Ok(())
}

/// Asks for a name whenever it is time.
fn ask_names(
    tracker: Tracker,
    (nodes, names): (u32, u32),
    (start, each): (Time, Duration),
    (number, time): (u32, Duration),
) -> Result<Vec<Duration>, Failure> {
    let mut link = dial(tracker, number)?;
    let mut took = Vec::new();
    for n in 0_u32.. {
        let due = start + each * n;
        if each * n >= time {
            break;
        }
        pause(due.since(clock::now()));
        let spread = (n * ASKERS + number).wrapping_mul(2_654_435_761);
        let name = Name::parse(&text(spread % nodes, spread / nodes % names))?;
        match link.ask(LookupQuestion { name, after: None })? {
            Message::LookupAnswer(answer) if answer.found.len() == 1 => {}
            other => return Err(format!("not found: {other:?}").into()),
        }
        took.push(clock::now().since(due));
    }
    Ok(took)
}

/// Asks for its pattern once a second, from an address of its own.
fn ask_pattern(
    tracker: Tracker,
    number: u32,
    (start, time): (Time, Duration),
) -> Result<Vec<Duration>, Failure> {
    let mut link = dial(tracker, 100_000 + number * 1_000)?;
    let (word, ignore_case) = WORDS[number as usize % WORDS.len()];
    let question = FindQuestion { pattern: part_or_glob(word, ignore_case)?, after: None };
    let mut took = Vec::new();
    for n in 0.. {
        let due = start + Duration::from_millis(u64::from(number) * 200 + n * 1_000);
        if due.since(start) >= time {
            break;
        }
        pause(due.since(clock::now()));
        match link.ask(question.clone())? {
            Message::FindAnswer(_) => took.push(clock::now().since(due)),
            other => return Err(format!("no answer but {:?}", other.kind()).into()),
        }
    }
    Ok(took)
}

/// Beats as fast as the tracker answers.
pub(crate) fn beats(tracker: Tracker, nodes: u32, time: Duration) -> Result<(), Failure> {
    let mut swarm = join(tracker, nodes)?;
    know_each_other(&mut swarm)?;
    let resident = resident(tracker.pid)?;
    let (count, busy) = (AtomicU64::new(0), cpu(tracker.pid)?);
    let (mut took, end) = (Vec::new(), clock::now() + time);
    scope(|scope| {
        let share = swarm.len().div_ceil(BEATERS);
        let beaters: Vec<_> = swarm
            .chunks_mut(share)
            .map(|nodes| scope.spawn(|| beat_all(nodes, end, &count)))
            .collect();
        for beater in beaters {
            took.append(&mut joined(beater)?);
        }
        Ok::<_, Failure>(())
    })?;
    let busy = cpu(tracker.pid)?.saturating_sub(busy);
    let (count, seconds) = (count.load(Relaxed).max(1), time.as_secs_f64());
    let each = busy.as_secs_f64() / count as f64;
    took.sort_unstable();
    let p99 = took.get(took.len() * 99 / 100).copied().unwrap_or_default();
    println!(
        "| {nodes} | {:.0} | {:.1} | {:.0} | {:.2} | {:.0} |",
        count as f64 / seconds,
        p99.as_secs_f64() * 1e3,
        each * 1e6,
        each * f64::from(nodes) / 10.0 * 100.0,
        resident as f64 / f64::from(1 << 20)
    );
    Ok(())
}

fn beat_all(nodes: &mut [Node], end: Time, count: &AtomicU64) -> Result<Vec<Duration>, Failure> {
    let mut took = Vec::new();
    loop {
        for node in &mut *nodes {
            let began = clock::now();
            if began >= end {
                return Ok(took);
            }
            node.beat()?;
            took.push(clock::now().since(began));
            count.fetch_add(1, Relaxed);
        }
    }
}

/// Waits for the next thing that is due: a second at most.
fn pause(time: Duration) {
    StopToken::new().wait(time);
}

fn joined<T>(thread: ScopedJoinHandle<'_, Result<T, Failure>>) -> Result<T, Failure> {
    thread.join().map_err(|_| "a thread panicked")?
}

fn row(what: &str, took: &mut [Duration], bar: &str) {
    took.sort_unstable();
    let at = |share: f64| {
        let nth = (took.len().saturating_sub(1) as f64 * share) as usize;
        took.get(nth).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
    };
    let (p50, p99, max) = (at(0.5), at(0.99), at(1.0));
    println!("| {what} | {} | {p50:.2} | {p99:.2} | {max:.2} | {bar} |", took.len());
}
