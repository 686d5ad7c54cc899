//! The acceptor: puts each new connection into the table, where it costs a descriptor and no
//! thread until it says something.

use std::io;
use std::sync::Arc;

use super::pool::Pool;
use crate::io::clock;
use crate::io::listen::{Listener, accept_each};
use crate::io::threads::Group;

/// Starts it.
pub(super) fn start(pool: &Pool, listener: Listener, group: &Group) -> io::Result<()> {
    let sessions = Arc::clone(&pool.service.sessions);
    let poll = pool.config.timeouts.poll;
    accept_each(listener, "tracker", poll, group, &pool.stop, move |pipe| {
        sessions.admit(clock::now(), Arc::new(pipe))
    })
}
