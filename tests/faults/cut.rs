//! The wire is cut after each byte of a transfer, in either direction: the file still arrives.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use parvi::base::{PeerInfo, Ports};
use parvi::io::clock;
use parvi::io::link::{Pipe, StaticKey, TcpPipe};
use parvi::io::listen::{Listener, accept_each};
use parvi::io::threads::{Group, StopToken};
use parvi::node::view::From;

use super::eve::{Goods, link_config, register};
use super::raw::{POLL, connect, is_poll, write_all};
use super::swarm::{LONG, Swarm, bytes, download_equal, name, soak};

/// After how many bytes a connection is cut, in each direction.
#[derive(Clone, Copy)]
struct Cut {
    to_requester: usize,
    to_owner: usize,
}

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

/// Downloads `files` of 1,500 bytes and one of 1 MiB behind a proxy that cuts at `cuts`.
fn arrives_despite(cuts: Vec<Cut>) {
    let (swarm, group, stop) = (Swarm::new(), Group::new("proxy"), StopToken::new());
    let files: Vec<(String, Vec<u8>)> =
        (0..cuts.len()).map(|n| (format!("f{n}"), bytes(1_500, n as u64))).collect();
    for (file, content) in &files {
        super::swarm::write(&swarm.data("alice").join("shared").join(file), content);
    }
    let mut config = swarm.config("alice");
    config.trackers.clear();
    let alice = swarm.start(&config);
    super::swarm::until("alice has hashed", LONG, || alice.stats().files == files.len() as u64);
    let left = Arc::new(Mutex::new(VecDeque::from(cuts)));
    let key = StaticKey::load_or_create(&config.data.join(".parvi/id")).unwrap();
    let ready = alice.ready();
    let ports = Ports {
        search: ready.search.port(),
        size: ready.size.port(),
        chunk: proxy(ready.chunk, left.clone(), &group, &stop),
    };
    let info = PeerInfo {
        id: key.public(),
        label: ready.node,
        ip: Ipv4Addr::LOCALHOST.into(),
        ports,
        files: 0,
    };
    let entries: Vec<_> = files.iter().map(|(f, c)| Goods::of(f, c).entry).collect();
    let _link = register(&swarm, &link_config(key), &info, &entries);
    let carol = swarm.node("carol");
    for some in files.chunks(12) {
        let ids: Vec<u64> =
            some.iter().map(|(f, _)| carol.download(&name(f), From::All).unwrap()).collect();
        for (id, (file, content)) in ids.into_iter().zip(some) {
            let reports = carol.wait(id, LONG).unwrap();
            let report = reports.unwrap_or_else(|| panic!("{file} hangs: {:?}", carol.transfers()));
            assert!(std::fs::read(&report[0].path).unwrap() == *content, "{file} arrived wrong");
        }
    }
    assert!(left.lock().is_empty(), "{} cuts were never made", left.lock().len());
    assert_eq!(carol.stats().corrupt_chunks, 0);
    stop.stop();
}

#[test]
fn a_transfer_cut_at_each_of_its_first_600_bytes_arrives() {
    arrives_despite((1..=600).map(|k| Cut { to_requester: k, ..NEVER }).collect());
}

#[test]
fn a_transfer_whose_requests_are_cut_at_each_of_their_first_500_bytes_arrives() {
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
    let (swarm, group, stop) = (Swarm::new(), Group::new("proxy"), StopToken::new());
    let mut config = swarm.config("alice");
    config.trackers.clear();
    super::swarm::write(&config.data.join("shared/film"), &content);
    let alice = swarm.start(&config);
    super::swarm::until("alice has hashed", LONG, || alice.stats().files == 1);
    let key = StaticKey::load_or_create(&config.data.join(".parvi/id")).unwrap();
    let ready = alice.ready();
    let chunk = proxy(ready.chunk, Arc::new(Mutex::new(cuts.into())), &group, &stop);
    let ports = Ports { search: ready.search.port(), size: ready.size.port(), chunk };
    let info =
        PeerInfo { id: key.public(), label: ready.node, ip: ready.search.ip(), ports, files: 0 };
    let _link = register(&swarm, &link_config(key), &info, &[Goods::of("film", &content).entry]);
    for n in 0..soak(8) {
        let carol = swarm.node(&format!("carol{n}"));
        download_equal(&carol, "film", &content);
        carol.stop();
    }
    stop.stop();
}
