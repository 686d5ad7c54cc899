//! The owner's half: what `node/serve` and `node/uploads` do with threads, here with events. The
//! decisions are those of `logic::upload` and `logic::ledger`, the log is `parvi_wal`.

use std::collections::VecDeque;
use std::time::Duration;

use parvi::base::{Bitmap, Range, Time};
use parvi::logic::batch::set_key;
use parvi::logic::items::Items;
use parvi::logic::ledger::{Connection, LOG_KIND, Lost, Opening, Record, SetKey};
use parvi::logic::spread::Spread;
use parvi::logic::upload::{Step, Upload};
use parvi::wire::Message;
use parvi::wire::message::tracker::{Refused, Why};
use parvi::wire::message::transfer::{Chunk, Content, Next, Open, Opened, Set};

use crate::event::Event;
use crate::network::{ConnId, Packet, Side};
use crate::tracker::{id, ip};
use crate::world::{Sabotage, World};

/// Bytes travel in pieces of this.
const PIECE: u64 = 64 * 1024;

/// One open transfer.
pub struct Serving {
    pub requester: usize,
    pub set: SetKey,
    pub connection: Connection,
    upload: Upload,
    attempt: u32,
    goes_on: bool,
    pub heard: Time,
    pub moved: Time,
    outbox: VecDeque<Message>,
    writing: bool,
    /// The log has it, and OPENED is on its way.
    pub open: bool,
}

impl World {
    /// A requester opens a set: the ledger decides, the log is asked to remember it.
    pub fn on_open(&mut self, owner: usize, conn: ConnId, requester: usize, open: &Open) {
        let contents = contents(&open.set);
        let items = Items::of(&open.set);
        let have = self.what_is_here(owner, &open.set, &contents);
        let set = set_key(&open.set);
        if have.is_empty() {
            let process = self.nodes[owner].process.as_mut().expect("it runs");
            let record = process.ledger.gone(id(requester), set);
            self.note(owner, record);
            return self.refuse(conn, Why::NotHere);
        }
        let opening = Opening {
            requester: id(requester),
            set,
            name: "file".into(),
            content: if let Set::File(content) = &open.set { Some(*content) } else { None },
            total: items.total(),
            resumable: open.resumable,
        };
        let (now, local) = (self.now, self.local(owner));
        let Some(process) = self.nodes[owner].process.as_mut() else { return };
        let connection = process.number();
        process.budget.proved(local, ip(requester), id(requester));
        let (opened, record) = process.ledger.open(opening, connection);
        process.newest.insert((requester, set), (connection, opened.attempt));
        let older: Vec<ConnId> = process
            .serving
            .iter()
            .filter(|(_, s)| Some(s.connection) == opened.older)
            .map(|(conn, _)| *conn)
            .collect();
        let spread = process.spreads.entry(set).or_insert_with(|| Spread::new(items.count()));
        spread.join();
        process.serving.insert(
            conn,
            Serving {
                requester,
                set,
                connection,
                upload: Upload::new(items, have),
                attempt: opened.attempt,
                goes_on: opened.goes_on,
                heard: now,
                moved: now,
                outbox: VecDeque::new(),
                writing: false,
                open: false,
            },
        );
        for older in older {
            // Its thread may have a message in its hands while the socket is closed under it.
            let wait = self.dice.millis(0, 400);
            self.after(wait, Event::Hang { conn: older, side: Side::Acceptor });
        }
        match record.map(|record| self.log(owner, &record)) {
            Some(Err(_)) => self.not_logged(owner, conn, opened.goes_on),
            _ => {
                let wait = self.dice.millis(1, 60);
                self.after(wait, Event::Logged { conn });
            }
        }
    }

    /// The sync that an opening waits for.
    pub fn on_logged(&mut self, conn: ConnId) {
        let Some(owner) = self.node_of(conn, Side::Acceptor) else { return };
        let Some(process) = self.nodes[owner].process.as_mut() else { return };
        let synced = process.wal.sync();
        let Some(serving) = process.serving.get_mut(&conn) else { return };
        if synced.is_err() {
            let goes_on = serving.goes_on;
            return self.not_logged(owner, conn, goes_on);
        }
        serving.open = true;
        let (attempt, requester, set) = (serving.attempt, serving.requester, serving.set);
        let have = serving.upload_have();
        let connection = serving.connection;
        if process.ledger.is_current(connection) {
            self.oracle.begun(owner, requester, set, attempt);
        }
        self.trace(format_args!("{owner} opens {conn} for {requester}, attempt {attempt}"));
        self.say(conn, Side::Acceptor, Opened { attempt, have }.into());
        self.pump(conn);
    }

    fn not_logged(&mut self, owner: usize, conn: ConnId, goes_on: bool) {
        let refused = || Lost::Cancelled("it could not be logged".into());
        self.end_serving(owner, conn, if goes_on { Lost::Broken } else { refused() });
        self.refuse(conn, Why::Busy);
    }

    fn refuse(&mut self, conn: ConnId, why: Why) {
        self.say(conn, Side::Acceptor, Refused::new(why, "no").into());
        self.close(conn, Side::Acceptor);
    }

    fn what_is_here(&self, owner: usize, set: &Set, contents: &[Content]) -> Bitmap {
        let here = |content: &Content| {
            self.file_of(content).is_some_and(|file| self.has_file(owner, file))
        };
        match set {
            Set::File(content) if here(content) => Bitmap::all(Items::of(set).count()),
            Set::File(_) => Bitmap::none(Items::of(set).count()),
            Set::Batch(_) => {
                let mut have = Bitmap::none(contents.len() as u32);
                (0_u32..).zip(contents).filter(|(_, c)| here(c)).for_each(|(i, _)| {
                    have.insert(i);
                });
                have
            }
        }
    }

    /// Appends to the log, in the order of decisions.
    fn log(&mut self, owner: usize, record: &Record) -> Result<(), String> {
        let payload = record.to_log().map_err(|e| e.to_string())?;
        let Some(process) = self.nodes[owner].process.as_ref() else { return Ok(()) };
        self.oracle.appended(owner, record, &payload);
        let logged = process.wal.append_lazy(&parvi_wal::Record::new(LOG_KIND, payload));
        logged.map(drop).map_err(|e| e.to_string())
    }

    /// Appends what need not be durable at once.
    pub fn note(&mut self, owner: usize, records: impl IntoIterator<Item = Record>) {
        for record in records {
            self.trace(format_args!("{owner} logs {record}"));
            self.judge_end(owner, &record);
            self.log(owner, &record).unwrap_or_default();
        }
    }

    /// What the requester says on an open transfer, as `Transfer::hear` takes it.
    pub fn hear_requester(&mut self, owner: usize, conn: ConnId, message: Message) {
        let now = self.now;
        let Some(process) = self.nodes[owner].process.as_mut() else { return };
        let Some(serving) = process.serving.get_mut(&conn) else { return };
        serving.heard = now;
        let connection = serving.connection;
        let violation = match message {
            Message::Want(want) => serving.upload.on_want(&want).is_err(),
            Message::Skip(skip) => {
                let spread = process.spreads.get_mut(&serving.set).expect("it has joined");
                serving.upload.on_skip(&skip, spread).is_err()
            }
            Message::Working(_) => false,
            Message::Ack(ack) => match serving.upload.on_ack(&ack) {
                Ok(bytes) => {
                    serving.moved = now;
                    let all = serving.upload.is_idle();
                    let connection = self.effective(owner, conn, connection);
                    let process = self.nodes[owner].process.as_mut().expect("it runs");
                    let record = process.ledger.acked(connection, bytes);
                    self.note(owner, record);
                    if all && self.sabotage == Sabotage::EndOnLastAck {
                        self.end_serving_of(owner, connection, Lost::Done);
                    }
                    false
                }
                Err(_) => true,
            },
            Message::Done(_) => return self.over(owner, conn, Lost::Done),
            Message::Cancel(cancel) => {
                self.trace(format_args!("{owner} hears CANCEL on {conn}"));
                let why = Lost::Cancelled(cancel.reason.as_str().to_owned());
                return self.over(owner, conn, why);
            }
            _ => true,
        };
        if violation {
            self.oracle.fail("the owner takes an honest requester for a violator".into());
            return self.over(owner, conn, Lost::Broken);
        }
        self.pump(conn);
    }

    /// A transfer has ended with a word, or must.
    pub fn over(&mut self, owner: usize, conn: ConnId, how: Lost) {
        self.end_serving(owner, conn, how);
        self.close(conn, Side::Acceptor);
    }

    /// The connection of an upload has ended.
    pub fn end_serving(&mut self, owner: usize, conn: ConnId, how: Lost) {
        let Some(process) = self.nodes[owner].process.as_ref() else { return };
        let Some(connection) = process.serving.get(&conn).map(|s| s.connection) else { return };
        let connection = match how {
            Lost::Broken | Lost::Silent => connection,
            _ => self.effective(owner, conn, connection),
        };
        self.end_serving_of(owner, connection, how);
        let process = self.nodes[owner].process.as_mut().expect("it runs");
        if let Some(mut serving) = process.serving.remove(&conn) {
            let spread = process.spreads.get_mut(&serving.set).expect("it has joined");
            serving.upload.leave(spread);
            spread.leave();
        }
    }

    fn end_serving_of(&mut self, owner: usize, connection: Connection, how: Lost) {
        let local = self.local(owner);
        let process = self.nodes[owner].process.as_mut().expect("it runs");
        let record = process.ledger.close(local, connection, how);
        self.note(owner, record);
    }

    /// The connection that counts. With the check of attempts taken out, whatever comes on an old
    /// connection counts for the current one.
    fn effective(&self, owner: usize, conn: ConnId, connection: Connection) -> Connection {
        let process = self.nodes[owner].process.as_ref().expect("it runs");
        if self.sabotage != Sabotage::NoAttemptCheck {
            return connection;
        }
        let Some(own) = process.serving.get(&conn) else { return connection };
        let same =
            process.serving.values().filter(|s| (s.requester, s.set) == (own.requester, own.set));
        same.map(|s| s.connection).max().unwrap_or(connection)
    }

    /// The writer: sends what comes next, unless it is at it.
    pub fn pump(&mut self, conn: ConnId) {
        let Some(owner) = self.node_of(conn, Side::Acceptor) else { return };
        loop {
            let Some(process) = self.nodes[owner].process.as_mut() else { return };
            let Some(serving) = process.serving.get_mut(&conn) else { return };
            if serving.writing || !serving.open {
                return;
            }
            if let Some(message) = serving.outbox.pop_front() {
                self.say(conn, Side::Acceptor, message);
                continue;
            }
            let spread = process.spreads.get_mut(&serving.set).expect("it has joined");
            match serving.upload.next(spread) {
                None => return,
                Some(Step::Announce(items)) => {
                    self.say(conn, Side::Acceptor, Next { items }.into());
                }
                Some(Step::Send(items)) => return self.send_run(owner, conn, items),
            }
        }
    }

    fn send_run(&mut self, owner: usize, conn: ConnId, items: Range) {
        let (now, speed) = (self.now, self.plan.up[owner]);
        let process = self.nodes[owner].process.as_mut().expect("it runs");
        let Some(serving) = process.serving.get_mut(&conn) else { return };
        serving.writing = true;
        let len = serving.upload.items().bytes(items);
        let begins = process.line_free.max(now);
        let takes = |bytes: u64| Duration::from_secs_f64(bytes as f64 / speed as f64);
        process.line_free = begins + takes(len);
        let ends = process.line_free;
        self.check_payload(owner, conn);
        self.send_at(begins, conn, Side::Acceptor, Packet::Message(Chunk { items, len }.into()));
        let mut sent = 0;
        loop {
            let piece = PIECE.min(len - sent);
            sent += piece;
            let last = sent == len;
            let packet = Packet::Bytes { items, len: piece, last };
            self.send_at(begins + takes(sent), conn, Side::Acceptor, packet);
            if last {
                break;
            }
        }
        self.at(ends, Event::Sent { conn, items });
    }

    /// The last byte of a run is out.
    pub fn on_sent(&mut self, conn: ConnId, items: Range) {
        let now = self.now;
        let Some(owner) = self.node_of(conn, Side::Acceptor) else { return };
        let Some(process) = self.nodes[owner].process.as_mut() else { return };
        let Some(serving) = process.serving.get_mut(&conn) else { return };
        serving.upload.on_sent(items);
        serving.moved = now;
        serving.writing = false;
        self.pump(conn);
    }
}

impl Serving {
    fn upload_have(&self) -> Bitmap {
        self.upload.have().clone()
    }
}

/// What a set consists of.
pub fn contents(set: &Set) -> Vec<Content> {
    match set {
        Set::File(content) => vec![*content],
        Set::Batch(list) => list.to_vec(),
    }
}
