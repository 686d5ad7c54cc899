//! One shot: find, fetch, verify, leave. The same download as a node's, without its listeners,
//! its registration and its index. What arrived before an interruption is kept in `OUT/.parvi`.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::called_back::CalledBack;
use super::config::GetConfig;
use super::context::{Context, chunk_link};
use super::counters::Counters;
use super::fetch::control::Wish;
use super::fetch::download::{Ended, download, unfinished};
use super::fetch::fetching::Fetching;
use super::fetch::hand::Spare;
use super::fetch::job::Job;
use super::fetch::place::Place;
use super::lookup::whole_name;
use super::statistics::Recorder;
use super::swarm::Swarms;
use super::throttle::Throttle;
use super::view::{DownloadReport, From, TransferRow};
use crate::base::{Fault, FaultKind, Name};
use crate::io::disk::{Beneath, PartStore};
use crate::io::index::Shelf;
use crate::io::link::{LinkConfig, StaticKey};
use crate::io::notices::Notices;
use crate::io::threads::{Group, StopToken};
use crate::logic::peers::PeerBook;

/// Threads have so long to end.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);
/// How often the caller hears of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Gets a file or a folder, and says what it is called: of `NAME@ROOT` that may be the whole.
/// `interrupted` is asked often; `progress` is told about ten times a
/// second.
///
/// # Errors
/// Not found, no owner reachable, nothing for three times the ACK timeout, wrong bytes, full
/// disk, another file in the way, interrupted.
pub fn get(
    config: GetConfig,
    interrupted: &dyn Fn() -> bool,
    progress: &mut dyn FnMut(&TransferRow),
) -> Result<(Name, Vec<DownloadReport>), Fault> {
    let place = place(&config)?;
    let give_up = config.ack_timeout * 3;
    let (mut name, mut from) = (config.name.clone(), config.from.clone());
    let ctx = context(config)?;
    if let From::Content(root) = &from
        && let Some(whole) = whole_name(&ctx, (&name, root), &|_| false, interrupted)
    {
        (name, from) = (whole, From::All);
    }
    let job = Job::new(1, name.clone(), from);
    let outcome = run(&ctx, &job, &place, give_up, interrupted, progress);
    ctx.stop.stop();
    for straggler in ctx.group.join_all(STOP_TIME_MAX) {
        log::warn!(target: "node", "thread {straggler} did not end in time");
    }
    forget_old_parts(&place, outcome.is_ok());
    place.parts.remove_if_empty();
    outcome.map(|reports| (name, reports))
}

/// What this get has not brought may be continued by the next one, whatever the clock says.
fn forget_old_parts(place: &Place, complete: bool) {
    if complete && let Err(e) = place.parts.forget_old() {
        log::info!(target: "node", "old parts stay in {}: {e}", place.parts.path().display());
    }
}

fn run(
    ctx: &Arc<Context>,
    job: &Arc<Job>,
    place: &Arc<Place>,
    give_up: Duration,
    interrupted: &dyn Fn() -> bool,
    progress: &mut dyn FnMut(&TransferRow),
) -> Result<Vec<DownloadReport>, Fault> {
    let (ctx2, job2, place2) = (ctx.clone(), job.clone(), place.clone());
    ctx.group
        .spawn("get", move || match download(&job2, &ctx2, &place2, Some(give_up), &|_| ()) {
            Ended::ByItself(outcome) => job2.end(outcome),
            Ended::Cancelled => job2.end(Err(unfinished(&job2, "cancelled"))),
            Ended::NodeStops => job2.end(Err(unfinished(&job2, "stopped"))),
        })
        .map_err(|e| Fault::other(format!("could not start a thread: {e}")))?;
    loop {
        if let Some(outcome) = job.wait(PROGRESS_EVERY) {
            progress(&job.row());
            return outcome.map(Arc::unwrap_or_clone);
        }
        if interrupted() {
            job.control.say(Wish::Cancel);
        }
        progress(&job.row());
    }
}

fn context(config: GetConfig) -> Result<Arc<Context>, Fault> {
    let key = StaticKey::generate().map_err(|e| Fault::other(e.to_string()))?;
    let (me, stop) = (key.public(), StopToken::new());
    let link = LinkConfig::new(key, config.swarm_key, config.bulk);
    Ok(Arc::new(Context {
        chunk_link: chunk_link(&link, config.ack_timeout),
        link: Arc::new(link),
        me,
        bind: config.listen,
        peers: Mutex::new(PeerBook::new(me, config.trackers.len())),
        trackers: config.trackers,
        fetching: Fetching::default(),
        spare: Spare::default(),
        swarms: Swarms::default(),
        serves_at: None,
        group: Group::new("get"),
        patience: config.ack_timeout,
        up: Throttle::new(None, stop.clone()),
        down: Throttle::new(config.down, stop.clone()),
        called_back: CalledBack::default(),
        counters: Counters::default(),
        statistics: Recorder::default(),
        notices: Notices::new("node"),
        stop,
    }))
}

fn place(config: &GetConfig) -> Result<Arc<Place>, Fault> {
    let out = &config.out;
    let failed = |e: std::io::Error| {
        let kind =
            if crate::io::disk::is_disk_full(&e) { FaultKind::DiskFull } else { FaultKind::Other };
        let shown = crate::base::name::printable(&out.to_string_lossy()).into_owned();
        Fault::new(kind, format!("cannot write to --out {shown}: {e}"))
    };
    parvi_wal::make_dir_durable(out, 0o777).map_err(failed)?;
    let path = out.canonicalize().map_err(failed)?;
    let into = Arc::new(Beneath::open(&path).map_err(failed)?);
    let private = path.join(crate::base::name::PRIVATE_FOLDER);
    let parts = PartStore::open(&private.join("parts")).map_err(failed)?;
    let shelf = Shelf::Downloaded;
    Ok(Arc::new(Place { into, shelf, path, parts, fsync: config.fsync, index: None, claims: None }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn without_a_tracker_to_ask_the_words_say_so() {
        let out = tempfile::tempdir().unwrap();
        let config = GetConfig {
            name: Name::parse("a").unwrap(),
            from: From::All,
            trackers: vec!["127.0.0.1:1".into()],
            out: out.path().to_owned(),
            listen: IpAddr::from([0, 0, 0, 0]),
            swarm_key: None,
            bulk: crate::io::link::Bulk::Private,
            fsync: true,
            down: None,
            ack_timeout: Duration::from_secs(1),
        };
        let fault = get(config, &|| false, &mut |_| {}).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Network, "{fault}");
        assert!(fault.text.contains("127.0.0.1:1"), "{fault}");
    }
}
