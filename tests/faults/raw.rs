//! A peer that speaks the handshake and the records itself, so that it can send any bytes at all.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parvi::io::clock;
use parvi::io::link::{PROTOCOL_VERSION, Pipe, TcpPipe};
use serde::Serialize;
use snow::{Builder, HandshakeState, StatelessTransportState};

use super::swarm::LONG;

pub const PREAMBLE: [u8; 8] = {
    let [low, high] = PROTOCOL_VERSION.to_le_bytes();
    [b'P', b'A', b'R', b'V', low, high, 0, 0]
};
pub const POLL: Duration = Duration::from_millis(5);

/// A bare TCP connection to `addr`.
pub fn connect(addr: SocketAddr) -> Arc<TcpPipe> {
    Arc::new(TcpPipe::connect(addr, Ipv4Addr::LOCALHOST.into(), LONG, POLL).unwrap())
}

/// Reads until `buf` is full; false at the end of the stream, or after `within`.
pub fn read_exact(pipe: &dyn Pipe, buf: &mut [u8], within: Duration) -> bool {
    let (deadline, mut done) = (clock::now() + within, 0);
    while done < buf.len() {
        match pipe.read(&mut buf[done..]) {
            Ok(0) => return false,
            Ok(n) => done += n,
            Err(e) if is_poll(&e) && clock::now() < deadline => {}
            Err(_) => return false,
        }
    }
    true
}

pub fn write_all(pipe: &dyn Pipe, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match pipe.write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(e) if is_poll(&e) => {}
            Err(_) => return false,
        }
    }
    true
}

pub fn is_poll(e: &std::io::Error) -> bool {
    use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(e.kind(), WouldBlock | TimedOut | Interrupted)
}

/// Whether the other side has ended the connection within `within`. What it sends is thrown away.
pub fn is_closed_within(pipe: &dyn Pipe, within: Duration) -> bool {
    let (deadline, mut buf) = (clock::now() + within, [0; 4096]);
    loop {
        match pipe.read(&mut buf) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(e) if is_poll(&e) => {}
            Err(_) => return true,
        }
        if clock::now() >= deadline {
            return false;
        }
    }
}

/// A shaken-hands connection below the level of messages.
pub struct Raw {
    pub pipe: Arc<dyn Pipe>,
    noise: StatelessTransportState,
    sent: u64,
    received: u64,
}

impl Raw {
    pub fn dial(addr: SocketAddr) -> Raw {
        let pipe = connect(addr);
        assert!(write_all(&*pipe, &PREAMBLE));
        let mut noise = noise(true);
        send_handshake(&*pipe, &mut noise, &[]);
        let mut theirs = [0; 8];
        assert!(read_exact(&*pipe, &mut theirs, LONG));
        assert_eq!(theirs, PREAMBLE);
        receive_handshake(&*pipe, &mut noise);
        send_handshake(&*pipe, &mut noise, &[0]);
        Raw::of(pipe, noise)
    }

    /// The listener's side of a fresh connection; none when the dialler leaves.
    pub fn accept(pipe: Arc<dyn Pipe>) -> Option<Raw> {
        let mut theirs = [0; 8];
        if !read_exact(&*pipe, &mut theirs, LONG) || !write_all(&*pipe, &PREAMBLE) {
            return None;
        }
        let mut noise = noise(false);
        receive_handshake(&*pipe, &mut noise)?;
        send_handshake(&*pipe, &mut noise, &[&PREAMBLE[..], &[0]].concat());
        receive_handshake(&*pipe, &mut noise)?;
        Some(Raw::of(pipe, noise))
    }

    fn of(pipe: Arc<dyn Pipe>, noise: HandshakeState) -> Raw {
        let noise = noise.into_stateless_transport_mode().unwrap();
        Raw { pipe, noise, sent: 0, received: 0 }
    }

    /// Sends one record; false when the connection is gone.
    pub fn send_record(&mut self, plain: &[u8]) -> bool {
        let mut out = vec![0; 2 + plain.len() + 16];
        let n = self.noise.write_message(self.sent, plain, &mut out[2..]).unwrap();
        self.sent += 1;
        out[..2].copy_from_slice(&(n as u16).to_le_bytes());
        write_all(&*self.pipe, &out)
    }

    /// Sends a frame of `kind` with any body.
    pub fn send_frame(&mut self, kind: u8, body: &[u8]) -> bool {
        let len = (body.len() as u32).to_le_bytes();
        let header = [b'p', b'v', 3, kind, len[0], len[1], len[2], len[3]];
        let frame = [&header[..], body].concat();
        frame.chunks(32 * 1024).all(|part| self.send_record(part))
    }

    /// Sends `body` as bincode makes it of whatever type.
    pub fn send(&mut self, kind: u8, body: &impl Serialize) -> bool {
        self.send_frame(kind, &parvi::wire::codec::encode(body).unwrap())
    }

    /// The plain bytes of the next record; none at the end of the stream.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        let mut len = [0; 2];
        if !read_exact(&*self.pipe, &mut len, LONG) {
            return None;
        }
        let mut sealed = vec![0; u16::from_le_bytes(len).into()];
        let mut plain = sealed.clone();
        if !read_exact(&*self.pipe, &mut sealed, LONG) {
            return None;
        }
        let n = self.noise.read_message(self.received, &sealed, &mut plain).unwrap();
        self.received += 1;
        plain.truncate(n);
        Some(plain)
    }
}

fn noise(dialler: bool) -> HandshakeState {
    noise_with(dialler, &[7; 32])
}

fn noise_with(dialler: bool, secret: &[u8; 32]) -> HandshakeState {
    let builder = Builder::new("Noise_XX_25519_AESGCM_SHA256".parse().unwrap());
    let builder = builder.local_private_key(secret).unwrap().prologue(&PREAMBLE).unwrap();
    if dialler { builder.build_initiator().unwrap() } else { builder.build_responder().unwrap() }
}

fn send_handshake(pipe: &dyn Pipe, noise: &mut HandshakeState, payload: &[u8]) {
    let mut out = [0; 258];
    let n = noise.write_message(payload, &mut out[2..]).unwrap();
    out[..2].copy_from_slice(&(n as u16).to_le_bytes());
    write_all(pipe, &out[..2 + n]);
}

fn receive_handshake(pipe: &dyn Pipe, noise: &mut HandshakeState) -> Option<()> {
    let (mut len, mut plain) = ([0; 2], [0; 256]);
    read_exact(pipe, &mut len, LONG).then_some(())?;
    let mut message = vec![0; u16::from_le_bytes(len).into()];
    read_exact(pipe, &mut message, LONG).then_some(())?;
    noise.read_message(&message, &mut plain).ok().map(drop)
}

/// The identity that [`Raw::accept`] proves.
pub fn identity() -> parvi::base::NodeId {
    let mut first = noise(true);
    let mut second = noise(false);
    let (mut a, mut b) = ([0; 256], [0; 256]);
    let n = first.write_message(&[], &mut a).unwrap();
    second.read_message(&a[..n], &mut b).unwrap();
    let n = second.write_message(&[0], &mut a).unwrap();
    first.read_message(&a[..n], &mut b).unwrap();
    parvi::base::NodeId::from_bytes(first.get_remote_static().unwrap().try_into().unwrap())
}
