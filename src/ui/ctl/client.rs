//! The asking end of the control socket.
//!
//! Ends with the daemon's exit code, or with a `Network` fault when no daemon runs there or it goes
//! away in the middle.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Answer, socket};
use crate::base::{Fault, FaultKind};
use crate::ui::daemon::Request;

/// A connection to a daemon.
pub struct Client {
    data: PathBuf,
    stream: UnixStream,
}

impl Client {
    /// Connects to the daemon that runs on `data`.
    ///
    /// # Errors
    /// `Network` when none does.
    pub fn connect(data: &Path) -> Result<Client, Fault> {
        let stream = socket::connect(data).map_err(|e| no_daemon(data, &e))?;
        Ok(Client { data: data.to_owned(), stream })
    }

    /// Longest silence of the daemon; none by default, because commands may wait for hours.
    ///
    /// # Errors
    /// When the socket does not take it.
    pub fn set_patience(&self, within: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(within))
    }

    /// A second handle to the connection: shutting it down ends `ask`.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn handle(&self) -> io::Result<UnixStream> {
        self.stream.try_clone()
    }

    /// Sends `request` and passes each answer on; returns the exit code once the daemon closes.
    ///
    /// # Errors
    /// `Network` when the daemon goes away before it has said the exit code.
    pub fn ask(mut self, request: &Request, tell: &mut dyn FnMut(&Answer)) -> Result<u8, Fault> {
        let line = serde_json::to_string(request)
            .map_err(|e| Fault::other(format!("cannot write the request: {e}")))?;
        let sent = self.stream.write_all((line + "\n").as_bytes());
        sent.map_err(|e| self.lost(&e.to_string()))?;
        let mut code = None;
        for line in BufReader::new(&self.stream).lines() {
            let line = line.map_err(|e| self.lost(&e.to_string()))?;
            match serde_json::from_str(&line).map_err(|e| self.lost(&e.to_string()))? {
                Answer::Exit(exit) => code = Some(exit),
                answer => tell(&answer),
            }
        }
        code.ok_or_else(|| self.lost("it closed the connection"))
    }

    fn lost(&self, why: &str) -> Fault {
        let data = self.data.display();
        Fault::new(FaultKind::Network, format!("lost the node or tracker on {data}: {why}"))
    }
}

fn no_daemon(data: &Path, e: &io::Error) -> Fault {
    let shown = data.display();
    let text = match e.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory => format!(
            "no node or tracker runs on {shown}; start one with parvi node --data {shown}, \
             or name another data directory with --data"
        ),
        ErrorKind::PermissionDenied => {
            format!("{shown} belongs to somebody else; only its owner may control what runs there")
        }
        _ => format!("cannot reach the node or tracker on {shown}: {e}"),
    };
    Fault::new(FaultKind::Network, text)
}
