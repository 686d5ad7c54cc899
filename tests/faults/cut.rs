//! The wire is cut after each byte of a transfer, in either direction: the file still arrives.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;
use parvi::base::{PeerInfo, Ports};
use parvi::io::clock;
use parvi::io::link::{Pipe, StaticKey, TcpPipe};
use parvi::io::listen::{Listener, accept_each};
use parvi::io::threads::{Group, StopToken};

use super::eve::{Goods, link_config, register};
use super::raw::{POLL, connect, is_poll, write_all};
use super::swarm::{LONG, Swarm, bytes, download_equal, soak};

/// After how many bytes a connection is cut, in each direction.
#[derive(Clone, Copy)]
struct Cut {
    to_requester: usize,
    to_owner: usize,
}

/// Downloads at a time, as many as a node allows.
const AT_ONCE: usize = 16;
const NEVER: Cut = Cut { to_requester: usize::MAX, to_owner: usize::MAX };

/// Forwards connections to `target`; each takes the next cut, and every second one is left whole.
fn proxy(
    target: SocketAddr,
    cuts: Arc<Mutex<VecDeque<Cut>>>,
    group: &Group,
    stop: &StopToken,
) -> u16 {
    let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let port = listener.local_addr().port();
    let (own, own_stop, odd) = (group.clone(), stop.clone(), Mutex::new(false));
    let take = move |requester: TcpPipe| {
        let (requester, owner): (Arc<dyn Pipe>, Arc<dyn Pipe>) =
            (Arc::new(requester), connect(target));
        let whole = std::mem::replace(&mut *odd.lock(), false);
        let cut = if whole { NEVER } else { cuts.lock().pop_front().unwrap_or(NEVER) };
        *odd.lock() = !whole;
        for (from, to, bytes) in
            [(&requester, &owner, cut.to_owner), (&owner, &requester, cut.to_requester)]
        {
            let (from, to, stop) = (from.clone(), to.clone(), own_stop.clone());
            own.spawn("proxy", move || forward(&*from, &*to, bytes, &stop))?;
        }
        Ok(())
    };
    accept_each(listener, "proxy", POLL, group, stop, take).unwrap();
    port
}

/// Forwards until either side ends, or `bytes` have passed; then both are cut.
fn forward(from: &dyn Pipe, to: &dyn Pipe, mut bytes: usize, stop: &StopToken) {
    let mut buf = [0; 16 * 1024];
    while bytes > 0 && !stop.is_stopped() {
        let room = buf.len().min(bytes);
        match from.read(&mut buf[..room]) {
            Ok(0) => break,
            Ok(n) if !write_all(to, &buf[..n]) => break,
            Ok(n) => bytes -= n,
            Err(e) if is_poll(&e) => {}
            Err(_) => break,
        }
    }
    from.shutdown();
    to.shutdown();
}

/// Shares `files` at alice behind a proxy that cuts at `cuts`; `f` downloads them.
fn behind_a_proxy(
    files: &[(String, Vec<u8>)],
    cuts: Vec<Cut>,
    f: impl FnOnce(&Swarm, &Mutex<VecDeque<Cut>>),
) {
    let (swarm, group, stop) = (Swarm::new(), Group::new("proxy"), StopToken::new());
    for (file, content) in files {
        super::swarm::write(&swarm.data("alice").join("shared").join(file), content);
    }
    let mut config = swarm.config("alice");
    config.trackers.clear();
    let alice = swarm.start(&config);
    super::swarm::until("alice has hashed", LONG, || alice.stats().files == files.len() as u64);
    let left = Arc::new(Mutex::new(VecDeque::from(cuts)));
    let key = StaticKey::load_or_create(&config.data.join(".parvi/id")).unwrap();
    let ready = alice.ready();
    let chunk = proxy(ready.chunk, left.clone(), &group, &stop);
    let ports = Ports { search: ready.search.port(), size: ready.size.port(), chunk };
    let info =
        PeerInfo { id: key.public(), label: ready.node, ip: ready.search.ip(), ports, files: 0 };
    let entries: Vec<_> = files.iter().map(|(f, c)| Goods::of(f, c).entry).collect();
    let _link = register(&swarm, &link_config(key), &info, &entries);
    f(&swarm, &left);
    stop.stop();
}

/// Downloads small files, many at a time, until every cut is made.
fn arrives_despite(cuts: Vec<Cut>) {
    let files: Vec<(String, Vec<u8>)> =
        (0..cuts.len() * 2).map(|n| (format!("f{n}"), bytes(1_500, n as u64))).collect();
    behind_a_proxy(&files, cuts, |swarm, left| {
        let (next, carols) = (AtomicUsize::new(0), [swarm.node("carol"), swarm.node("cato")]);
        std::thread::scope(|scope| {
            for worker in 0..2 * AT_ONCE {
                let (carol, next, files) = (&carols[worker % 2], &next, &files);
                scope.spawn(move || {
                    while !left.lock().is_empty()
                        && let Some((file, content)) = files.get(next.fetch_add(1, Relaxed))
                    {
                        download_equal(carol, file, content);
                    }
                });
            }
        });
        assert!(left.lock().is_empty(), "{} cuts were never made", left.lock().len());
        assert!(carols.iter().all(|carol| carol.stats().corrupt_chunks == 0));
    });
}

#[test]
fn a_transfer_cut_at_each_of_its_first_600_bytes_arrives() {
    arrives_despite((1..=600).map(|k| Cut { to_requester: k, ..NEVER }).collect());
}

#[test]
fn a_transfer_whose_requests_are_cut_at_each_of_their_first_350_bytes_arrives() {
    arrives_despite((1..=350).map(|k| Cut { to_owner: k, ..NEVER }).collect());
}

#[test]
fn a_transfer_cut_at_random_points_arrives() {
    let seed = clock::random_u64();
    eprintln!("seed {seed}");
    let content = bytes(2 << 20, 1);
    let random = bytes(8 * soak(60), seed);
    let cuts: Vec<Cut> = random
        .as_chunks::<8>()
        .0
        .iter()
        .map(|b| Cut {
            to_requester: (u64::from_le_bytes(*b) % (512 * 1024)) as usize + 1,
            ..NEVER
        })
        .collect();
    behind_a_proxy(&[("film".to_owned(), content.clone())], cuts, |swarm, _| {
        for n in 0..soak(8) {
            let carol = swarm.node(&format!("carol{n}"));
            download_equal(&carol, "film", &content);
            carol.stop();
        }
    });
}
