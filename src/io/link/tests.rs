use std::net::{IpAddr, Ipv4Addr};

use super::*;

#[test]
fn smoke() {
    let config = Arc::new(LinkConfig::new(StaticKey::generate().unwrap(), None, Bulk::Clear));
    let l = crate::io::listen::Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = l.local_addr();
    let (group, stop) = (crate::io::threads::Group::new("t"), crate::io::threads::StopToken::new());
    crate::io::listen::serve(
        l,
        "s",
        crate::io::listen::ServeLimits { connections_max: 4, pending_max: 4 },
        config.clone(),
        &group,
        &stop,
        Arc::new(|mut link| {
            while let Ok(m) = link.recv(Duration::from_secs(3)) {
                link.send(m).unwrap();
            }
        }),
    )
    .unwrap();
    let mut link =
        dial(addr, IpAddr::V4(Ipv4Addr::LOCALHOST), &config, Some(config.key.public())).unwrap();
    let m = link.ask(crate::wire::message::transfer::Working).unwrap();
    assert_eq!(m, Message::Working(crate::wire::message::transfer::Working));
    stop.stop();
    assert!(group.join_all(Duration::from_secs(5)).is_empty());
}
