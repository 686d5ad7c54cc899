//! The owner's half: what `node/serve` and `node/uploads` do with threads, here with events. The
//! decisions are those of `logic::upload` and `logic::ledger`, the log is `parvi_wal`.

use std::collections::VecDeque;

use parvi::base::{Bitmap, Time};
use parvi::logic::batch::set_key;
use parvi::logic::haves::Haves;
use parvi::logic::items::Items;
use parvi::logic::ledger::{Connection, LOG_KIND, Lost, Opening, Record, SetKey};
use parvi::logic::spread::Spread;
use parvi::logic::upload::Upload;
use parvi::wire::Message;
use parvi::wire::message::tracker::{Refused, Why};
use parvi::wire::message::transfer::{Content, Open, Opened, Set};

use crate::event::Event;
use crate::network::{ConnId, Side};
use crate::tracker::{id, ip};
use crate::world::{Sabotage, World};

/// One open transfer.
pub struct Serving {
    pub requester: usize,
    pub set: SetKey,
    pub connection: Connection,
    /// The file of each content.
    pub files: Vec<usize>,
    pub upload: Upload,
    /// What was here when it was opened.
    here: Bitmap,
    /// What its requester does not know yet that is here.
    pub haves: Haves,
    /// Whether it is served from the part of a fetch.
    pub lent: bool,
    /// Whether its requester serves what it has.
    pub serves: bool,
    attempt: u32,
    goes_on: bool,
    pub heard: Time,
    pub moved: Time,
    pub outbox: VecDeque<Message>,
    pub writing: bool,
    /// The log has it, and OPENED is on its way.
    pub open: bool,
}

impl World {
    /// A requester opens a set: the ledger decides, the log is asked to remember it.
    pub fn on_open(&mut self, owner: usize, conn: ConnId, requester: usize, open: &Open) {
        let contents = contents(&open.set);
        let files = contents.iter().map(|content| self.file_of(content).expect("it is known"));
        let files: Vec<usize> = files.collect();
        let items = Items::of(&open.set);
        let set = set_key(&open.set);
        let Some(have) = self.what_is_here(owner, &open.set, set, &files) else {
            if self.stands_still(owner, &files) {
                return self.refuse(conn, Why::Later);
            }
            let process = self.nodes[owner].process.as_mut().expect("it runs");
            let record = process.ledger.gone(id(requester), set);
            self.note(owner, record);
            return self.refuse(conn, Why::NotHere);
        };
        let lent = self.growing(owner, set).is_some();
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
                files,
                upload: Upload::new(items, have.clone()),
                here: have,
                haves: Haves::default(),
                lent,
                serves: false,
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
        let (have, lent) = (serving.here.clone(), serving.lent);
        let connection = serving.connection;
        if process.ledger.is_current(connection) {
            self.oracle.begun(owner, requester, set, attempt);
        }
        self.trace(format_args!("{owner} opens {conn} for {requester}, attempt {attempt}"));
        let grows = lent && !have.is_full();
        self.say(conn, Side::Acceptor, Opened { attempt, have, grows }.into());
        self.claim(owner, conn);
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
            Message::Serving(_) => {
                self.requester_serves(owner, conn);
                false
            }
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
}

/// What a set consists of.
pub fn contents(set: &Set) -> Vec<Content> {
    match set {
        Set::File(content) => vec![*content],
        Set::Batch(list) => list.to_vec(),
    }
}
