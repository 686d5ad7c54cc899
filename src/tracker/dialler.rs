//! Dials nodes back on two threads of its own, so that a dead address never keeps a worker.
//!
//! Invariant: it says nothing to whom it dials but who we are, and only after they proved to be the
//! node that is expected. What does not fit the queue is tried later; the registry decides when.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::pool::Pool;
use super::service::DialBack;
use crate::io::link;
use crate::io::threads::Group;
use crate::logic::registry::DialOutcome;

/// Dials that wait.
pub(super) const QUEUE_MAX: usize = 256;
/// Threads that dial.
const DIALLERS: usize = 2;
/// How soon a dialler without work sees that it should end.
const IDLE: Duration = Duration::from_millis(250);

/// Starts the diallers; `bind` is the address they dial from.
pub(super) fn start(
    pool: &Pool,
    dials: &Receiver<DialBack>,
    bind: IpAddr,
    group: &Group,
) -> io::Result<()> {
    for n in 0..DIALLERS {
        let (pool, dials) = (pool.clone(), dials.clone());
        group.spawn(format!("dialler {n}"), move || run(&pool, &dials, bind))?;
    }
    Ok(())
}

fn run(pool: &Pool, dials: &Receiver<DialBack>, bind: IpAddr) {
    while !pool.stop.is_stopped() {
        match dials.recv_timeout(IDLE) {
            Ok(dial) => pool.service.on_dialled(dial, try_dial(pool, dial, bind)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn try_dial(pool: &Pool, dial: DialBack, bind: IpAddr) -> DialOutcome {
    match link::dial(dial.addr, bind, &pool.config, Some(dial.id)) {
        Ok(_) => DialOutcome::Met,
        Err(e) => {
            log::debug!("could not dial {} back at {}: {e}", dial.id.short(), dial.addr);
            DialOutcome::Failed
        }
    }
}
