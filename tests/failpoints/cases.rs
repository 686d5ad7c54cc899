//! Which fail point is reached how: the scenario, the time it is reached, the error of the step.
//!
//! Invariant: every point of the list has a case here, and a case by default ends by itself. The
//! exceptions name what the person must do and why.

/// Who has the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// alice, who has the files.
    Owner,
    /// bob, who downloads them, and may serve them meanwhile.
    Requester,
}

/// What bob downloads, and what happens before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// One file of several chunks.
    Film,
    /// The same, its bytes bare on the wire, in small steps.
    Clear,
    /// A folder of small files, two of them the same.
    Notes,
    /// The same, of which a first bob got all and was killed before one had its name.
    NotesAgain,
    /// A file without bytes.
    Empty,
    /// The film, which bob has under another name.
    Twin,
    /// The film, of which a first bob got a part and was killed.
    Resume,
    /// The film; a first bob was killed with all of it, before DONE. So alice calls.
    Knock,
    /// The film; alice's log fails a sync first, so that she replaces it.
    Checkpoint,
    /// The film; alice's log fails a write first, which is cut away.
    CutBack,
    /// The film; alice was killed in the middle, so that her log is read again.
    Reopen,
    /// A folder of more files from an alice with a slow line. carol fetches it at the same time, some of it
    /// from bob, who is still fetching it.
    Between,
}

/// What ends a download after its step has failed once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nobody does anything.
    Itself,
    /// The person is told, and orders it again.
    AskedAgain,
}

/// One point in one scenario.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub point: &'static str,
    pub who: Who,
    pub scenario: Scenario,
    /// The how manyth time it is reached.
    pub nth: u64,
    /// The error of the step.
    pub error: &'static str,
    pub after_crash: Then,
    pub after_failure: Then,
    /// What had arrived before the failure is not believed any more.
    pub anew: bool,
}

impl Case {
    const fn nth(self, nth: u64) -> Case {
        Case { nth, ..self }
    }

    const fn full(self) -> Case {
        Case { error: "ENOSPC", ..self }
    }

    /// The disk says what does not pass by itself: the person is told.
    const fn told(self) -> Case {
        Case { after_failure: Then::AskedAgain, ..self }
    }

    /// All bytes are sent again after a failure.
    const fn anew(self) -> Case {
        Case { anew: true, ..self }
    }

    /// The order was not taken yet: `download` itself has failed.
    const fn not_ordered(self) -> Case {
        Case { after_crash: Then::AskedAgain, ..self }
    }
}

const fn case(who: Who, scenario: Scenario, point: &'static str) -> Case {
    let (after_crash, after_failure) = (Then::Itself, Then::Itself);
    Case { point, who, scenario, nth: 1, error: "EIO", after_crash, after_failure, anew: false }
}

const fn alice(scenario: Scenario, point: &'static str) -> Case {
    case(Who::Owner, scenario, point)
}

const fn bob(scenario: Scenario, point: &'static str) -> Case {
    case(Who::Requester, scenario, point)
}

use Scenario::{
    Between, Checkpoint, Clear, CutBack, Empty, Film, Knock, Notes, NotesAgain, Reopen, Resume,
    Twin,
};

/// Makes two tests of each case, and the list of them.
macro_rules! cases {
    ($($name:ident: $case:expr;)*) => {
        /// All of them.
        pub const CASES: &[Case] = &[$($case),*];

        mod crashed {
            use super::*;
            $(#[test] fn $name() { crate::run::crashed(&$case); })*
        }

        mod failed {
            use super::*;
            $(#[test] fn $name() { crate::run::failed(&$case); })*
        }
    };
}

cases! {
    // The requester begins.
    orders_write: bob(Film, "orders.write").full().not_ordered();
    replace_rename: bob(Film, "replace.rename").full().not_ordered();
    orders_written: bob(Film, "orders.written");
    orders_write_at_the_end: bob(Film, "orders.write").nth(2).full();
    manifest_ask: bob(Film, "manifest.ask");
    manifest_answered: bob(Film, "manifest.answered");
    part_open: bob(Film, "part.open").full();
    part_room: bob(Film, "part.room").full();
    part_copy: bob(Twin, "part.copy");
    part_verify: bob(Resume, "part.verify").told();
    small_folder: bob(Notes, "small.folder").full();
    small_left: bob(NotesAgain, "small.left").nth(2);
    small_left_full: bob(NotesAgain, "small.left").nth(2).full();
    fetch_dial: bob(Film, "fetch.dial");
    fetch_open: bob(Film, "fetch.open");
    // The owner begins.
    size_answer: alice(Film, "size.answer");
    serve_open: alice(Film, "serve.open");
    journal_append: alice(Film, "journal.append").full();
    journal_append_of_progress: alice(Film, "journal.append").nth(2).full();
    journal_sync: alice(Film, "journal.sync").full();
    serve_begun: alice(Film, "serve.begun");
    serve_opened: alice(Film, "serve.opened");
    // The log's own operations: those of a new log at a start, of an append, of a checkpoint.
    wal_open: alice(Reopen, "wal.open");
    wal_create: alice(Checkpoint, "wal.create").nth(3).full();
    wal_write: alice(Film, "wal.write").nth(2).full();
    wal_write_of_a_checkpoint: alice(Checkpoint, "wal.write").nth(3).full();
    wal_sync: alice(Film, "wal.sync").nth(2);
    wal_sync_of_a_checkpoint: alice(Checkpoint, "wal.sync").nth(3);
    wal_truncate: alice(CutBack, "wal.truncate");
    wal_rename: alice(Checkpoint, "wal.rename").nth(2).full();
    wal_sync_dir: alice(Checkpoint, "wal.sync_dir").nth(3);
    wal_sync_dir_at_the_end: alice(Checkpoint, "wal.sync_dir").nth(4);
    wal_remove: alice(Checkpoint, "wal.remove");
    // The link.
    fetch_opened: bob(Film, "fetch.opened");
    fetch_want: bob(Film, "fetch.want");
    serve_want: alice(Film, "serve.want");
    serve_next: alice(Film, "serve.next").nth(2);
    fetch_next: bob(Film, "fetch.next").nth(2);
    serve_open_file: alice(Film, "serve.open_file");
    serve_open_small_file: alice(Notes, "serve.open_file").nth(2);
    serve_read_small: alice(Notes, "serve.read_small").nth(2);
    serve_header: alice(Film, "serve.header").nth(2);
    link_source: alice(Film, "link.source").nth(2);
    link_sending: alice(Film, "link.sending").nth(2);
    link_source_clear: alice(Clear, "link.source_clear").nth(2);
    link_sending_clear: alice(Clear, "link.sending_clear").nth(2);
    serve_sent: alice(Film, "serve.sent").nth(2);
    serve_sent_small: alice(Notes, "serve.sent");
    fetch_header: bob(Film, "fetch.header").nth(2);
    link_arriving: bob(Film, "link.arriving").nth(6);
    link_arriving_clear: bob(Clear, "link.arriving_clear").nth(2);
    fetch_received: bob(Film, "fetch.received").nth(2);
    part_write: bob(Film, "part.write").nth(2).told();
    part_write_full: bob(Film, "part.write").nth(2).full();
    part_written: bob(Film, "part.written").nth(2).told();
    small_create: bob(Notes, "small.create").nth(2).full();
    small_write: bob(Notes, "small.write").nth(2).full();
    small_dress: bob(Notes, "small.dress").nth(2).full();
    fetch_ack: bob(Film, "fetch.ack").nth(2);
    serve_ack: alice(Film, "serve.ack").nth(2);
    serve_acked: alice(Film, "serve.acked").nth(2);
    empty_write: bob(Empty, "small.write").full();
    // The requester serves what it is fetching.
    between_open: bob(Between, "lent.open").nth(2);
    between_begun: bob(Between, "serve.begun");
    between_next: bob(Between, "serve.next");
    between_header: bob(Between, "serve.header");
    between_source: bob(Between, "link.source");
    between_sending: bob(Between, "link.sending");
    between_sent: bob(Between, "serve.sent");
    between_ack: bob(Between, "serve.ack");
    between_sync: bob(Between, "batch.sync").full();
    between_rename: bob(Between, "batch.rename").nth(2).full();
    between_named: bob(Between, "batch.named").nth(2).told();
    between_arrived: bob(Between, "index.arrived");
    // A final name.
    publish_dress: bob(Film, "publish.dress").full();
    publish_sync: bob(Film, "publish.sync").told().anew();
    publish_sync_full: bob(Film, "publish.sync").full().anew();
    publish_folders: bob(Film, "publish.folders").full();
    publish_rename: bob(Film, "publish.rename").full();
    publish_named: bob(Film, "publish.named").told();
    publish_above: bob(Film, "publish.above").told();
    publish_durable: bob(Film, "publish.durable").told();
    small_twin: bob(Notes, "small.twin").full();
    batch_copy: bob(Notes, "small.create").nth(5).full();
    batch_sync: bob(Notes, "batch.sync").full();
    batch_rename: bob(Notes, "batch.rename").nth(2).full();
    batch_named: bob(Notes, "batch.named").nth(2).told();
    batch_folders: bob(Notes, "batch.folders").told();
    index_arrived: bob(Film, "index.arrived");
    // The end.
    fetch_done: bob(Film, "fetch.done");
    fetch_told: bob(Film, "fetch.told");
    serve_done: alice(Film, "serve.done");
    serve_done_of_a_batch: alice(Notes, "serve.done");
    serve_ended: alice(Film, "serve.ended");
    cache_write: bob(Film, "cache.write").full();
    cache_write_of_an_owner: alice(Film, "cache.write").full();
    cache_rename: bob(Film, "cache.rename").full();
    // The owner calls.
    knock_dial: alice(Knock, "knock.dial");
    knock_heard: bob(Knock, "knock.heard");
    knock_reply: bob(Knock, "knock.reply");
    knock_answered: alice(Knock, "knock.answered");
}
