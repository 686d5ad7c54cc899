//! Puts a node together: directory, identity, listeners, index, threads, in this order, so that
//! whatever can fail fails before anything serves.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;

use super::called_back::CalledBack;
use super::claims::Claims;
use super::config::NodeConfig;
use super::context::{Context, chunk_link};
use super::copies::Keeping;
use super::counters::Counters;
use super::downloads::Downloads;
use super::errands::Elsewhere;
use super::fetch::fetching::Fetching;
use super::fetch::hand::Spare;
use super::fetch::place::Place;
use super::journal::Journal;
use super::keeping::Keeper;
use super::knock::Caller;
use super::registration::{Card, Registration};
use super::scrub::Scrubber;
use super::serve::transfer::Owner;
use super::serve::{self, QUESTIONS, TRANSFERS};
use super::statistics::Recorder;
use super::swarm::Swarms;
use super::throttle::Throttle;
use super::uploads::Uploads;
use super::view::Ready;
use super::{Node, statistics};
use crate::base::{Fault, NodeId, NodeLabel, Ports};
use crate::io::disk::{Beneath, DataDir, PartStore};
use crate::io::doctor::{Calls, Started};
use crate::io::index::{Index, IndexConfig, Shelf};
use crate::io::link::{LinkConfig, StaticKey};
use crate::io::listen::{self, Handler, Listener};
use crate::io::notices::Notices;
use crate::io::threads::{Group, StopToken};
use crate::io::{clock, local};
use crate::logic::peers::PeerBook;

/// The downloads that are not over.
const ORDERS: &str = "downloads.toml";
/// What `stats` counts.
const STATISTICS: &str = "stats";
/// Where the scrub stands.
const SCRUB: &str = "scrub";

pub(super) fn start(config: &NodeConfig) -> Result<Arc<Node>, Fault> {
    let data = DataDir::open(&config.data)?;
    let key =
        StaticKey::load_or_create(&data.private("id")).map_err(|e| Fault::other(e.to_string()))?;
    let listeners = Listeners::bind(config)?;
    let label = label(config, key.public());
    let ports = listeners.ports();
    let ctx = context(config, key, Some((label.clone(), ports)));
    let ids = Arc::new(AtomicU64::new(1));
    let registrations: Vec<Arc<Registration>> = (0..)
        .zip(&config.trackers)
        .map(|(number, tracker)| Registration::new(number, tracker.clone()))
        .collect();
    let index = start_index(config, &data, &ctx, &registrations)?;
    let (keeper, orders) = Keeper::open(data.private(ORDERS))?;
    let nothing_to_continue = keeper.knows_all() && orders.is_empty();
    let places = places(config, &data, &index, nothing_to_continue)?;
    let downloads = Arc::new(Downloads::new(ctx.clone(), places, ids.clone(), keeper));
    let keeping = Arc::new(Keeping::new(
        ctx.clone(),
        index.clone(),
        downloads.clone(),
        (config.replicas, data.replicated()),
    ));
    let known = (ctx.clone(), index.clone());
    let scrub = Scrubber::open(known, keeping.clone(), config.scrub, data.private(SCRUB));
    let scrub = Arc::new(scrub);
    let (journal, log) = Journal::open(&data.private("wal"), ctx.me)?;
    let uploads = Arc::new(Uploads::new(ctx.clone(), ids, journal, log, config.fsync));
    let statistics =
        Arc::new(statistics::Keeper::open(ctx.clone(), uploads.clone(), data.private(STATISTICS)));
    let ip = own_address(config);
    let loaded = downloads.load(orders);
    listeners.serve(&Owner {
        ctx: ctx.clone(),
        index: index.clone(),
        uploads: uploads.clone(),
        downloads: downloads.clone(),
        crowd: Arc::default(),
        unreadable: Arc::default(),
    })?;
    let caller = Arc::new(Caller {
        ctx: ctx.clone(),
        uploads: uploads.clone(),
        label: label.clone(),
        ports,
        calls: Mutex::default(),
        open: Mutex::default(),
    });
    let calls = Calls::new(config.listen, config.swarm_key.clone(), ctx.group.clone());
    let calls = calls.map_err(|e| Fault::other(e.to_string()))?;
    let (keeper, copies, scrubber) = (statistics.clone(), keeping.clone(), scrub.clone());
    ctx.group
        .spawn("knock", move || caller.run())
        .and_then(|()| ctx.group.spawn("statistics", move || keeper.run()))
        .and_then(|()| ctx.group.spawn("copies", move || copies.run()))
        .and_then(|()| ctx.group.spawn("scrub", move || scrubber.run()))
        .map_err(|e| Fault::other(format!("could not start a thread: {e}")))?;
    register(&keeping, &registrations, &card(config, &label, ports))?;
    downloads.go_on(loaded);
    let ready = Ready {
        node: label.clone(),
        id: ctx.me,
        search: SocketAddr::new(ip, ports.search),
        size: SocketAddr::new(ip, ports.size),
        chunk: SocketAddr::new(ip, ports.chunk),
    };
    Ok(Arc::new(Node {
        ctx,
        data,
        index,
        downloads,
        uploads,
        registrations,
        ready,
        label,
        listen: (config.listen, config.advertise),
        calls,
        started: Started::now(),
        seen: Mutex::default(),
        statistics,
        keeping,
        scrub,
    }))
}

/// The three listeners, bound and not yet serving.
struct Listeners {
    search: Listener,
    size: Listener,
    chunk: Listener,
}

impl Listeners {
    fn bind(config: &NodeConfig) -> Result<Listeners, Fault> {
        let port = |n: u16| match config.port_base {
            None => Ok(0),
            Some(base) => base.checked_add(n).ok_or_else(|| {
                Fault::new(
                    crate::base::FaultKind::Usage,
                    format!("--port-base {base} leaves no room for three ports; at most 65533"),
                )
            }),
        };
        let bind = |n: u16| {
            let addr = SocketAddr::new(config.listen, port(n)?);
            Listener::bind(addr).map_err(|e| Fault::other(e.to_string()))
        };
        Ok(Listeners { search: bind(0)?, size: bind(1)?, chunk: bind(2)? })
    }

    fn ports(&self) -> Ports {
        Ports {
            search: self.search.local_addr().port(),
            size: self.size.local_addr().port(),
            chunk: self.chunk.local_addr().port(),
        }
    }

    fn serve(self, owner: &Owner) -> Result<(), Fault> {
        let (ctx, index, owner) = (&owner.ctx, &owner.index, owner.clone());
        let (search_ctx, search_index, size_owner) = (ctx.clone(), index.clone(), owner.clone());
        let usual = &ctx.link;
        let start = |listener, name, limits, link: &Arc<LinkConfig>, handler| {
            listen::serve(listener, name, limits, link.clone(), &ctx.group, &ctx.stop, handler)
                .map_err(|e| Fault::other(format!("could not start the {name} listener: {e}")))
        };
        let search: Handler = Arc::new(move |link| {
            serve::search::serve(link, &search_index, &search_ctx);
        });
        let size: Handler = Arc::new(move |link| serve::size::serve(link, &size_owner));
        let chunk: Handler = Arc::new(move |link| {
            owner.ctx.called_back.met(link.peer);
            serve::chunk::serve(link, &owner);
        });
        start(self.search, "search", QUESTIONS, usual, search)?;
        start(self.size, "size", QUESTIONS, usual, size)?;
        start(self.chunk, "chunk", TRANSFERS, usual, chunk)
    }
}

pub(super) fn context(
    config: &NodeConfig,
    key: StaticKey,
    serves_at: Option<(NodeLabel, Ports)>,
) -> Arc<Context> {
    let (me, stop) = (key.public(), StopToken::new());
    let link = LinkConfig::new(key, config.swarm_key.clone(), config.bulk);
    Arc::new(Context {
        chunk_link: chunk_link(&link, config.ack_timeout),
        link: Arc::new(link),
        me,
        bind: config.listen,
        trackers: config.trackers.clone(),
        peers: Mutex::new(PeerBook::new(me, config.trackers.len())),
        fetching: Fetching::default(),
        spare: Spare::default(),
        swarms: Swarms::default(),
        serves_at,
        group: Group::new("node"),
        patience: config.ack_timeout,
        up: Throttle::new(config.up, stop.clone()),
        down: Throttle::new(config.down, stop.clone()),
        called_back: CalledBack::default(),
        counters: Counters::default(),
        statistics: Recorder::default(),
        notices: Notices::new("node"),
        stop,
    })
}

fn start_index(
    config: &NodeConfig,
    data: &DataDir,
    ctx: &Arc<Context>,
    registrations: &[Arc<Registration>],
) -> Result<Arc<Index>, Fault> {
    let told = registrations.to_vec();
    let on_change = Box::new(move || told.iter().for_each(|r| r.wake()));
    let (group, stop, share_downloaded) = (&ctx.group, &ctx.stop, config.share_downloaded);
    let config = IndexConfig { data, group, stop, share_downloaded, on_change };
    Index::start(config).map_err(|e| Fault::other(e.to_string()))
}

/// Where downloads and errands arrive, and what they claim there.
fn places(
    config: &NodeConfig,
    data: &DataDir,
    index: &Arc<Index>,
    forget_old: bool,
) -> Result<(Arc<Place>, Elsewhere, Arc<Claims>), Fault> {
    let failed = |path: PathBuf| {
        move |e: std::io::Error| {
            let path = path.display();
            Fault::other(format!("could not open {path}: {e}; check its owner and mode"))
        }
    };
    let parts = PartStore::open(&data.parts()).map_err(failed(data.parts()))?;
    // The lock of the data directory is ours: no other build is at work here.
    parts.forget_unknown().map_err(failed(data.parts()))?;
    if forget_old {
        parts.forget_old().map_err(failed(data.parts()))?;
    }
    let claims = Arc::new(Claims::new(parts.clone()));
    let place = |shelf, path: PathBuf| {
        let into = Arc::new(Beneath::open(&path).map_err(failed(path.clone()))?);
        let (parts, fsync) = (parts.clone(), config.fsync);
        let (index, claims) = (Some(index.clone()), Some(claims.clone()));
        Ok::<_, Fault>(Arc::new(Place { into, shelf, path, parts, fsync, index, claims }))
    };
    let elsewhere = Elsewhere {
        shared: place(Shelf::Local, data.shared())?,
        replicated: place(Shelf::Replicated, data.replicated())?,
    };
    Ok((place(Shelf::Downloaded, data.downloaded())?, elsewhere, claims))
}

fn card(config: &NodeConfig, label: &NodeLabel, ports: Ports) -> Arc<Card> {
    Arc::new(Card {
        instance: clock::random_u64(),
        label: label.clone(),
        ports,
        advertise: config.advertise,
        heartbeat: config.heartbeat,
    })
}

fn register(
    keeping: &Arc<Keeping>,
    registrations: &[Arc<Registration>],
    card: &Arc<Card>,
) -> Result<(), Fault> {
    for registration in registrations {
        let (registration, card, keeping2) = (registration.clone(), card.clone(), keeping.clone());
        let run = move || registration.run(&keeping2.ctx, &card, &keeping2);
        keeping
            .ctx
            .group
            .spawn("tracker", run)
            .map_err(|e| Fault::other(format!("could not start a thread: {e}")))?;
    }
    Ok(())
}

/// The given label, else the machine's name, else one made of the identity.
fn label(config: &NodeConfig, me: NodeId) -> NodeLabel {
    let host = || local::host_name().and_then(|name| name.parse().ok());
    let made = || format!("node-{}", me.short()).parse().ok();
    let given = config.label.clone().or_else(host).or_else(made);
    // SAFETY: "node-" and eight hex digits are always a label.
    #[expect(clippy::unwrap_used, reason = "see SAFETY")]
    given.unwrap()
}

/// The address to show until a tracker has told which one it sees.
fn own_address(config: &NodeConfig) -> IpAddr {
    if let Some(ip) = config.advertise {
        return ip;
    }
    if !config.listen.is_unspecified() {
        return config.listen;
    }
    let tracker = config.trackers.first();
    let toward = tracker.and_then(|t| std::net::ToSocketAddrs::to_socket_addrs(t).ok()?.next());
    toward.and_then(local::address_toward).unwrap_or_else(local::usual_address)
}
