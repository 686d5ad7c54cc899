//! What can happen next.

use parvi::base::{Range, Time};

use crate::network::{ConnId, Purpose, Side};
use crate::plan::DiskKind;

/// What happens next.
#[derive(Debug, Clone)]
pub enum Event {
    Boot {
        node: usize,
    },
    Tick {
        node: usize,
        life: u64,
    },
    Beat {
        node: usize,
        life: u64,
    },
    /// A person orders, or orders again what has failed.
    Person {
        order: usize,
    },
    /// An order begins anew after something that had to pass.
    Order {
        node: usize,
        life: u64,
        order: usize,
    },
    Found {
        node: usize,
        life: u64,
        order: usize,
        run: u64,
    },
    Look {
        node: usize,
        life: u64,
        order: usize,
        run: u64,
    },
    Publish {
        node: usize,
        life: u64,
        order: usize,
        run: u64,
        step: u8,
    },
    Dialled {
        node: usize,
        life: u64,
        to: usize,
        purpose: Purpose,
        /// Until when an answer is waited for.
        until: Time,
    },
    DialFailed {
        node: usize,
        life: u64,
        purpose: Purpose,
    },
    Arrive {
        conn: ConnId,
        side: Side,
    },
    /// This end is told that the connection is broken.
    Broken {
        conn: ConnId,
        side: Side,
    },
    /// This end closes, for its own reasons.
    Hang {
        conn: ConnId,
        side: Side,
    },
    /// The owner's answer is due by now.
    AnswerDue {
        conn: ConnId,
    },
    Logged {
        conn: ConnId,
    },
    /// What has arrived at the owner since the last HAVE can be told.
    Tell {
        conn: ConnId,
    },
    Sent {
        conn: ConnId,
        items: Range,
    },
    /// A liar seems alive.
    Talk {
        node: usize,
        life: u64,
    },
    Fault {
        number: usize,
    },
    Resume {
        node: usize,
    },
    Join {
        a: usize,
        b: Option<usize>,
    },
    TrackerStart,
    DiskWell {
        node: usize,
        disk: DiskKind,
    },
    GoOn {
        order: usize,
    },
    Heal,
}
