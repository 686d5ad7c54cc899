//! The daemon's end of the control socket.
//!
//! A thread accepts, and one thread serves each connection. Ends: `stop` takes the socket away,
//! wakes the accepting thread and every reader, and joins them all. A connection that asked to
//! `exit` is answered after the daemon has stopped and closed by `release`, so that its client returns
//! when the data directory is free again; `release` waits for that client's own end.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::net::RecvFlags;

use super::{Answer, CONNECTIONS_MAX, LONG_MAX, REQUEST_BYTES_MAX, socket};
use crate::base::{Fault, FaultKind};
use crate::io::clock;
use crate::io::threads::{Group, StopToken};
use crate::ui::daemon::{Executor, Reply, Request};

/// A request must be here within this time.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);
/// A client that takes no answer for this long is given up.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// After a failed accept (no descriptors left), how long to breathe.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What running commands get to notice the end.
const STOP_TIME_MAX: Duration = Duration::from_secs(6);
/// How long a client that asked to exit may take to end when it is let go.
const RELEASE_TIME_MAX: Duration = Duration::from_secs(2);

/// The serving end.
pub struct Server {
    shared: Arc<Shared>,
    group: Group,
}

struct Shared {
    data: PathBuf,
    listener: UnixListener,
    executor: Arc<dyn Executor>,
    stop: StopToken,
    open: Mutex<BTreeMap<u64, UnixStream>>,
    /// How many commands wait for downloads.
    long: Mutex<usize>,
    /// Answered, but closed only at the very end.
    held: Mutex<Vec<UnixStream>>,
}

impl Server {
    /// Serves `executor` on the socket of `data`, whose lock the caller holds.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn start(data: &Path, executor: Arc<dyn Executor>) -> Result<Server, Fault> {
        let failed = |e: io::Error| {
            let path = socket::path(data);
            Fault::other(format!("cannot serve the control socket {}: {e}", path.display()))
        };
        let shared = Arc::new(Shared {
            data: data.to_owned(),
            listener: socket::bind(data).map_err(failed)?,
            executor,
            stop: StopToken::new(),
            open: Mutex::default(),
            long: Mutex::default(),
            held: Mutex::default(),
        });
        let group = Group::new("ctl");
        let (own, threads) = (Arc::clone(&shared), group.clone());
        group.spawn("accept", move || own.accept(&threads)).map_err(failed)?;
        Ok(Server { shared, group })
    }

    /// Ends every connection and joins every thread.
    pub fn stop(&self) {
        let shared = &self.shared;
        shared.stop.stop();
        if let Err(e) = socket::unlink(&shared.data) {
            log::warn!("cannot remove the control socket: {e}");
        }
        // Linux wakes a blocked accept when the listening socket is shut down.
        if let Err(e) = socket2::SockRef::from(&shared.listener).shutdown(Shutdown::Both) {
            log::warn!("cannot close the control socket: {e}");
        }
        shared.shut_down(Shutdown::Read);
        if self.group.join_all(STOP_TIME_MAX).is_empty() {
            return;
        }
        shared.shut_down(Shutdown::Both);
        let left = self.group.join_all(STOP_TIME_MAX);
        if !left.is_empty() {
            log::error!("control commands still run: {}", left.join(", "));
        }
    }

    /// Lets those go who asked to exit, and returns when they have ended. In a container this process is
    /// the first: its end kills all others there, and a client that was killed has not ended with 0.
    pub fn release(self) {
        let held = std::mem::take(&mut *self.shared.held.lock());
        for stream in &held {
            stream.shutdown(Shutdown::Write).unwrap_or_default();
        }
        let until = clock::now() + RELEASE_TIME_MAX;
        for mut stream in held {
            // No wait at all would be one without an end.
            let left = until.since(clock::now()).max(Duration::from_millis(1));
            let ended = stream.set_read_timeout(Some(left)).and_then(|()| stream.read(&mut [0]));
            if let Err(e) = ended {
                log::debug!("a control client that asked to exit is still there: {e}");
            }
        }
    }
}

impl Shared {
    fn accept(self: Arc<Shared>, group: &Group) {
        for number in 0.. {
            let accepted = self.listener.accept();
            if self.stop.is_stopped() {
                return;
            }
            let taken = accepted.and_then(|(stream, _)| self.admit(number, stream, group));
            if let Err(e) = taken {
                log::warn!("cannot take a control connection: {e}");
                self.stop.wait(ACCEPT_PAUSE);
            }
        }
    }

    fn admit(self: &Arc<Shared>, number: u64, stream: UnixStream, group: &Group) -> io::Result<()> {
        stream.set_read_timeout(Some(REQUEST_TIME_MAX))?;
        stream.set_write_timeout(Some(ANSWER_TIME_MAX))?;
        if self.open.lock().len() >= CONNECTIONS_MAX {
            let mut wire = Wire { stream, lost: false };
            wire.err(&format!("parvi: {CONNECTIONS_MAX} commands run already; try again\n"));
            wire.send(&Answer::Exit(FaultKind::Other.exit_code()));
            return Ok(());
        }
        self.open.lock().insert(number, stream.try_clone()?);
        let own = Arc::clone(self);
        let spawned = group.spawn(format!("command {number}"), move || {
            own.serve(stream);
            own.open.lock().remove(&number);
        });
        if spawned.is_err() {
            self.open.lock().remove(&number);
        }
        spawned
    }

    fn serve(&self, stream: UnixStream) {
        let request = match read_request(&stream) {
            Ok(Some(request)) => request,
            Ok(None) => return,
            Err(e) => {
                let mut wire = Wire { stream, lost: false };
                wire.err(&format!("parvi: the control request cannot be read: {e}\n"));
                wire.send(&Answer::Exit(FaultKind::Usage.exit_code()));
                return;
            }
        };
        let mut wire = Wire { stream, lost: false };
        let code = match self.executor.is_long(&request) {
            true => self.execute_long(&request, &mut wire),
            false => self.executor.execute(&request, &mut wire),
        };
        let stopped = code == 0 && self.executor.finish(&request, &mut wire);
        wire.send(&Answer::Exit(code));
        if stopped {
            self.held.lock().push(wire.stream);
        }
    }

    /// Runs a command that waits for a download, unless `LONG_MAX` do.
    fn execute_long(&self, request: &Request, wire: &mut Wire) -> u8 {
        let room = {
            let mut long = self.long.lock();
            let room = *long < LONG_MAX;
            *long += usize::from(room);
            room
        };
        if !room {
            wire.err(&format!(
                "parvi: {LONG_MAX} commands wait for downloads already; try again, or download \
                 without --wait and --json\n"
            ));
            return FaultKind::Other.exit_code();
        }
        let code = self.executor.execute(request, wire);
        *self.long.lock() -= 1;
        code
    }

    fn shut_down(&self, how: Shutdown) {
        for stream in self.open.lock().values() {
            if let Err(e) = stream.shutdown(how) {
                log::debug!("a control connection was gone already: {e}");
            }
        }
    }
}

/// One line of at most `REQUEST_BYTES_MAX`; `None` when the client left without a word.
fn read_request(stream: &UnixStream) -> io::Result<Option<Request>> {
    let mut line = Vec::new();
    BufReader::new(stream.take(REQUEST_BYTES_MAX)).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        let why = format!("it has no end within {REQUEST_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    serde_json::from_slice(&line).map(Some).map_err(io::Error::from)
}

/// The client, as a reply.
struct Wire {
    stream: UnixStream,
    lost: bool,
}

impl Wire {
    fn send(&mut self, answer: &Answer) {
        let sent = serde_json::to_string(answer)
            .map_err(io::Error::from)
            .and_then(|line| self.stream.write_all((line + "\n").as_bytes()));
        if let Err(e) = sent {
            log::debug!("a control client is gone: {e}");
            self.lost = true;
        }
    }
}

impl Reply for Wire {
    fn out(&mut self, text: &str) {
        self.send(&Answer::Out(text.to_owned()));
    }

    fn err(&mut self, text: &str) {
        self.send(&Answer::Err(text.to_owned()));
    }

    /// A client says nothing after its request, so readable means closed.
    fn gone(&self) -> bool {
        let mut byte = [0_u8];
        let peeked =
            rustix::net::recv(&self.stream, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT);
        self.lost || !matches!(peeked, Ok((1.., _)) | Err(rustix::io::Errno::AGAIN))
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
