//! What several fuzz targets share: pipes without sockets, and keys.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::time::Duration;

use parvi::io::link::{Bulk, LinkConfig, Pipe, StaticKey, SwarmKey};

/// Alice's and Bob's settings; made once, since keys cost more than most inputs.
pub static ALICE: LazyLock<LinkConfig> = LazyLock::new(|| config(None));
pub static BOB: LazyLock<LinkConfig> = LazyLock::new(|| config(None));
/// Bob in a closed swarm.
pub static CLOSED_BOB: LazyLock<LinkConfig> =
    LazyLock::new(|| config(Some("42".repeat(32).parse().expect("64 hex digits"))));

fn config(swarm: Option<SwarmKey>) -> LinkConfig {
    LinkConfig::new(StaticKey::generate().expect("random numbers"), swarm, Bulk::Clear)
}

/// Bytes on their way in one direction.
#[derive(Default)]
struct Lane {
    state: Mutex<(VecDeque<u8>, bool)>,
    changed: Condvar,
}

impl Lane {
    fn push(&self, bytes: &[u8]) {
        self.state.lock().expect("no panic").0.extend(bytes);
        self.changed.notify_all();
    }

    fn close(&self) {
        self.state.lock().expect("no panic").1 = true;
        self.changed.notify_all();
    }

    fn pull(&self, buf: &mut [u8]) -> io::Result<usize> {
        let state = self.state.lock().expect("no panic");
        let wait = self
            .changed
            .wait_timeout_while(state, Duration::from_millis(250), |s| s.0.is_empty() && !s.1);
        let (mut state, waited) = wait.expect("no panic");
        if waited.timed_out() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = buf.len().min(state.0.len());
        for (to, from) in buf.iter_mut().zip(state.0.drain(..n)) {
            *to = from;
        }
        Ok(n)
    }
}

/// One end of a connection in memory.
#[derive(Clone, Default)]
pub struct End {
    incoming: Arc<Lane>,
    outgoing: Arc<Lane>,
}

impl End {
    /// Both ends of one connection.
    pub fn pair() -> (End, End) {
        let one = End::default();
        let other =
            End { incoming: Arc::clone(&one.outgoing), outgoing: Arc::clone(&one.incoming) };
        (one, other)
    }

    /// An end whose peer has sent `bytes` and hung up.
    pub fn that_hears(bytes: &[u8]) -> End {
        let end = End::default();
        end.hear(bytes);
        end
    }

    /// Puts `bytes` where the peer's arrive, and hangs up for it.
    pub fn hear(&self, bytes: &[u8]) {
        self.incoming.push(bytes);
        self.incoming.close();
    }

    /// Takes what the peer sent before anybody reads it.
    pub fn intercept(&self) -> Vec<u8> {
        self.incoming.state.lock().expect("no panic").0.drain(..).collect()
    }
}

impl Pipe for End {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.incoming.pull(buf)
    }
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.push(bytes);
        Ok(bytes.len())
    }
    fn shutdown(&self) {
        self.incoming.close();
        self.outgoing.close();
    }
    fn remote(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 1).into()
    }
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
