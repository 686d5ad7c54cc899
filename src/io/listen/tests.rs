use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, TcpStream};

use parking_lot::{Condvar, Mutex};

use super::*;
use crate::io::link::{Bulk, LinkError, StaticKey, dial};
use crate::wire::Message;
use crate::wire::message::transfer::Working;

const LONG: Duration = Duration::from_secs(20);
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Served {
    addr: SocketAddr,
    config: Arc<LinkConfig>,
    group: Group,
    stop: StopToken,
}

fn served(connections_max: usize, pending_max: usize, handler: Handler) -> Served {
    let config = Arc::new(LinkConfig::new(StaticKey::generate().unwrap(), None, Bulk::Private));
    let (group, stop) = (Group::new("served"), StopToken::new());
    let listener = Listener::bind(SocketAddr::new(LOOPBACK, 0)).unwrap();
    let addr = listener.local_addr();
    let limits = ServeLimits { connections_max, pending_max };
    serve(listener, "served", limits, Arc::clone(&config), &group, &stop, handler).unwrap();
    Served { addr, config, group, stop }
}

impl Served {
    fn dial(&self) -> Result<Link, LinkError> {
        dial(self.addr, LOOPBACK, &self.config, Some(self.config.key.public()))
    }

    /// Dials until there is room, as a peer that was told to try again would.
    fn dial_patiently(&self) -> Link {
        for _ in 0..2_000 {
            match self.dial() {
                Err(LinkError::Busy) => self.stop.wait(Duration::from_millis(5)),
                other => return other.unwrap(),
            };
        }
        panic!("no room was made");
    }

    fn stranger(&self) -> TcpStream {
        let domain = socket2::Domain::for_address(self.addr);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).unwrap();
        socket.connect(&self.addr.into()).unwrap();
        socket.into()
    }

    fn end(self) {
        self.stop.stop();
        assert_eq!(self.group.join_all(LONG), Vec::<String>::new());
    }
}

fn echo() -> Handler {
    Arc::new(|mut link: Link| {
        while let Ok(message) = link.recv(LONG) {
            if link.writer.send(&message).is_err() {
                return;
            }
        }
    })
}

#[test]
fn a_crowd_of_silent_strangers_does_not_keep_a_good_peer_out() {
    let served = served(50, 16, echo());
    let mut crowd: Vec<_> = (0..300).map(|_| served.stranger()).collect();
    let mut alice = served.dial().unwrap();
    assert_eq!(alice.ask(Working).unwrap(), Message::from(Working));
    assert!(served.group.running() <= 2 + 1 + 2 * 16, "{} threads", served.group.running());
    for early in &mut crowd[..284] {
        assert!(matches!(early.read(&mut [0]), Ok(0) | Err(_)), "an early stranger is still here");
    }
    served.end();
}

#[test]
fn a_stop_ends_two_hundred_open_connections() {
    let served = served(200, 16, echo());
    let mut open: Vec<_> = (0..200).map(|_| served.dial().unwrap()).collect();
    assert_eq!(open[199].ask(Working).unwrap(), Message::from(Working));
    served.end();
    assert!(open.iter_mut().all(|link| link.recv(LONG).is_err()));
}

#[test]
fn a_link_counts_until_it_is_dropped_wherever_the_handler_put_it() {
    let parked = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
    let lot = Arc::clone(&parked);
    let served = served(
        2,
        4,
        Arc::new(move |link| {
            lot.0.lock().push(link);
            lot.1.notify_all();
        }),
    );
    let _guests = [served.dial().unwrap(), served.dial().unwrap()];
    let mut cars = parked.0.lock();
    parked.1.wait_while(&mut cars, |cars| cars.len() < 2);
    drop(cars);
    assert!(matches!(served.dial(), Err(LinkError::Busy)));
    parked.0.lock().pop();
    served.dial_patiently();
    served.end();
    parked.0.lock().clear();
}

#[test]
fn a_handler_that_panics_takes_nobody_else_along() {
    let served = served(1, 1, Arc::new(|_link| panic!("clumsy handler")));
    for _ in 0..3 {
        let mut alice = served.dial_patiently();
        assert!(alice.ask(Working).is_err());
    }
    served.end();
}

#[test]
fn a_port_in_use_is_said_with_what_to_do() {
    let first = Listener::bind(SocketAddr::new(LOOPBACK, 0)).unwrap();
    let error = Listener::bind(first.local_addr()).unwrap_err();
    let words = error.to_string();
    assert!(words.contains(&first.local_addr().to_string()), "{words}");
    assert!(words.contains("choose another port"), "{words}");
    let foreign = Listener::bind("192.0.2.1:0".parse().unwrap()).unwrap_err().to_string();
    assert!(foreign.contains("does not have that address"), "{foreign}");
}

#[test]
fn listeners_on_all_addresses_take_ipv4_peers_as_such_and_stop() {
    for all in ["0.0.0.0:0", "[::]:0"] {
        let Ok(listener) = Listener::bind(all.parse().unwrap()) else {
            continue; // No IPv6 on this machine.
        };
        let to = SocketAddr::new(LOOPBACK, listener.local_addr().port());
        let config = Arc::new(LinkConfig::new(StaticKey::generate().unwrap(), None, Bulk::Private));
        let (group, stop) = (Group::new("all"), StopToken::new());
        let limits = ServeLimits { connections_max: 1, pending_max: 1 };
        let handler: Handler = Arc::new(|mut link| {
            assert!(link.remote.is_ipv4(), "{}", link.remote);
            link.send(Working).unwrap();
        });
        serve(listener, "all", limits, Arc::clone(&config), &group, &stop, handler).unwrap();
        let mut alice = dial(to, LOOPBACK, &config, None).unwrap();
        assert_eq!(alice.recv(LONG).unwrap(), Message::from(Working), "listening on {all}");
        stop.stop();
        assert!(group.join_all(LONG).is_empty());
    }
}
