//! What arrives twice, too late, in another order, from elsewhere or for an attempt that is over:
//! each row has a state, one input, what must come out, and how bob's film stands then. All inputs
//! of a row together end an upload at most once, and log no byte more than it has.

use super::*;

/// Bytes of the film.
const TOTAL: u64 = 1_600;
/// A connection that the ledger never heard of.
const STRANGE: u64 = 99;

#[derive(Debug, Clone)]
enum Input {
    Open(u64),
    /// Not resumable.
    OneShot(u64),
    /// Eve opens the same film.
    EveOpens(u64),
    Ack(u64, u64),
    Close(u64, Lost),
    /// Time to call, at this second.
    Due(u64),
    Answer(Answer),
    EveAnswers(Answer),
    /// The film is not here any more, and bob asks for it.
    Gone,
    /// The node is killed and comes back.
    Restart,
}

#[derive(Debug, PartialEq)]
enum Out {
    Nothing,
    Begun(u32),
    Acked(u64),
    Ended(End),
    Called,
}

#[derive(Debug, PartialEq)]
enum Stands {
    OnConnection(u64),
    Waits,
    Over,
}

use Input::{Ack, Close, Due, EveAnswers, EveOpens, Gone, OneShot, Open, Restart};
use Stands::{OnConnection, Over, Waits};

type Row = (&'static str, Vec<Input>, Input, Out, Stands);

fn cancelled() -> Lost {
    Lost::Cancelled("no".into())
}

fn no() -> End {
    End::Cancelled(Text::of("no"))
}

fn open() -> Vec<Input> {
    vec![Open(1)]
}

/// Bob has come again on connection 2.
fn again() -> Vec<Input> {
    vec![Open(1), Open(2)]
}

fn lost() -> Vec<Input> {
    vec![Open(1), Close(1, Lost::Broken)]
}

fn called() -> Vec<Input> {
    [lost(), vec![Due(20)]].concat()
}

fn done() -> Vec<Input> {
    vec![Open(1), Close(1, Lost::Done)]
}

fn with(mut state: Vec<Input>, more: Input) -> Vec<Input> {
    state.push(more);
    state
}

fn answer(answer: Answer) -> Input {
    Input::Answer(answer)
}

#[rustfmt::skip]
fn acks() -> Vec<Row> {
    vec![
        ("all of it", open(), Ack(1, TOTAL), Out::Acked(TOTAL), OnConnection(1)),
        ("all of it twice", with(open(), Ack(1, TOTAL)), Ack(1, TOTAL), Out::Nothing, OnConnection(1)),
        ("more than there is", open(), Ack(1, u64::MAX), Out::Acked(TOTAL), OnConnection(1)),
        ("nothing", open(), Ack(1, 0), Out::Nothing, OnConnection(1)),
        ("from a strange connection", open(), Ack(STRANGE, TOTAL), Out::Nothing, OnConnection(1)),
        ("of an old attempt", again(), Ack(1, TOTAL), Out::Nothing, OnConnection(2)),
        ("after one of an old attempt", with(again(), Ack(1, TOTAL)), Ack(2, 100), Out::Acked(100), OnConnection(2)),
        ("after the loss", lost(), Ack(1, TOTAL), Out::Nothing, Waits),
        ("while bob is called", called(), Ack(1, TOTAL), Out::Nothing, Waits),
        ("after DONE", done(), Ack(1, TOTAL), Out::Nothing, Over),
        ("after a restart", with(open(), Restart), Ack(1, TOTAL), Out::Nothing, Waits),
        ("of a one-shot", vec![OneShot(1)], Ack(1, TOTAL), Out::Nothing, OnConnection(1)),
        ("on a connection that is bob's again", with(open(), Open(1)), Ack(1, TOTAL), Out::Acked(TOTAL), OnConnection(1)),
    ]
}

#[rustfmt::skip]
fn ends() -> Vec<Row> {
    vec![
        ("DONE before any ACK", open(), Close(1, Lost::Done), Out::Ended(End::Done), Over),
        ("DONE twice", done(), Close(1, Lost::Done), Out::Nothing, Over),
        ("DONE of an old attempt", again(), Close(1, Lost::Done), Out::Nothing, OnConnection(2)),
        ("DONE from a strange connection", open(), Close(STRANGE, Lost::Done), Out::Nothing, OnConnection(1)),
        ("DONE after the loss", lost(), Close(1, Lost::Done), Out::Nothing, Waits),
        ("DONE after a restart", with(open(), Restart), Close(1, Lost::Done), Out::Nothing, Waits),
        ("DONE of what was opened anew since", with(done(), Open(2)), Close(1, Lost::Done), Out::Nothing, OnConnection(2)),
        ("DONE of eve's", with(open(), EveOpens(2)), Close(2, Lost::Done), Out::Nothing, OnConnection(1)),
        ("DONE of a one-shot", vec![OneShot(1)], Close(1, Lost::Done), Out::Nothing, Over),
        ("CANCEL", open(), Close(1, cancelled()), Out::Ended(no()), Over),
        ("CANCEL twice", with(open(), Close(1, cancelled())), Close(1, cancelled()), Out::Nothing, Over),
        ("CANCEL after DONE", done(), Close(1, cancelled()), Out::Nothing, Over),
        ("DONE after CANCEL", with(open(), Close(1, cancelled())), Close(1, Lost::Done), Out::Nothing, Over),
        ("CANCEL of an old attempt", again(), Close(1, cancelled()), Out::Nothing, OnConnection(2)),
        ("CANCEL after the loss", lost(), Close(1, cancelled()), Out::Nothing, Waits),
        ("a loss after DONE", done(), Close(1, Lost::Broken), Out::Nothing, Over),
        ("a loss of an old attempt", again(), Close(1, Lost::Broken), Out::Nothing, OnConnection(2)),
        ("silence of an old attempt", again(), Close(1, Lost::Silent), Out::Nothing, OnConnection(2)),
        ("opened after DONE", done(), Open(2), Out::Begun(2), OnConnection(2)),
        ("opened twice on one connection", open(), Open(1), Out::Begun(2), OnConnection(1)),
        ("opened by who is called", called(), Open(2), Out::Begun(2), OnConnection(2)),
    ]
}

#[rustfmt::skip]
fn answers() -> Vec<Row> {
    let came = || with(called(), Open(2));
    let left = || with(came(), Close(2, Lost::Broken));
    let not_mine = || Answer::Cancelled("no".into());
    vec![
        ("done", called(), answer(Answer::Done), Out::Ended(End::Done), Over),
        ("done twice", with(called(), answer(Answer::Done)), answer(Answer::Done), Out::Nothing, Over),
        ("not wanted", called(), answer(not_mine()), Out::Ended(no()), Over),
        ("not wanted, then done", with(called(), answer(not_mine())), answer(Answer::Done), Out::Nothing, Over),
        ("done, though nobody called", lost(), answer(Answer::Done), Out::Nothing, Waits),
        ("done, though it is open", open(), answer(Answer::Done), Out::Nothing, OnConnection(1)),
        ("not wanted, though it is open", open(), answer(not_mine()), Out::Nothing, OnConnection(1)),
        ("done, but bob has come since", came(), answer(Answer::Done), Out::Nothing, OnConnection(2)),
        ("done, but bob has come and gone since", left(), answer(Answer::Done), Out::Nothing, Waits),
        ("away, but bob has come since", came(), answer(Answer::Away("late".into())), Out::Nothing, OnConnection(2)),
        ("done, by eve", called(), EveAnswers(Answer::Done), Out::Nothing, Waits),
        ("done, after coming", with(called(), answer(Answer::Coming)), answer(Answer::Done), Out::Nothing, Waits),
        ("done, after later", with(called(), answer(Answer::Later("busy".into()))), answer(Answer::Done), Out::Nothing, Waits),
        ("not wanted, after DONE", done(), answer(not_mine()), Out::Nothing, Over),
        ("done, to a call before a restart", with(called(), Restart), answer(Answer::Done), Out::Nothing, Waits),
        ("called twice", called(), Due(9_999), Out::Nothing, Waits),
        ("called after coming", with(called(), answer(Answer::Coming)), Due(9_999), Out::Called, Waits),
        ("called after DONE", done(), Due(9_999), Out::Nothing, Over),
        ("gone while it is open", open(), Gone, Out::Nothing, OnConnection(1)),
        ("gone while bob is called", called(), Gone, Out::Ended(End::Gone), Over),
        ("gone twice", with(lost(), Gone), Gone, Out::Nothing, Over),
        ("done, but it is gone since", with(called(), Gone), answer(Answer::Done), Out::Nothing, Over),
        ("gone after DONE", done(), Gone, Out::Nothing, Over),
    ]
}

/// A ledger and what it logged.
struct Play {
    ledger: Ledger,
    log: Vec<Record>,
}

impl Play {
    fn give(&mut self, input: Input) -> Out {
        let ledger = &mut self.ledger;
        let eve = |ledger: &mut Ledger, c| ledger.open(opening(EVE, FILM), Connection(c)).1;
        let record = match input {
            Open(c) => ledger.open(opening(BOB, FILM), Connection(c)).1,
            OneShot(c) => {
                let one_shot = Opening { resumable: false, ..opening(BOB, FILM) };
                ledger.open(one_shot, Connection(c)).1
            }
            EveOpens(c) => eve(ledger, c),
            Ack(c, bytes) => ledger.acked(Connection(c), bytes),
            Close(c, how) => ledger.close(at(0), Connection(c), how),
            Due(second) if knocked(ledger, second) => return Out::Called,
            Due(_) => None,
            Input::Answer(answer) => ledger.answered(at(20), BOB, FILM, answer, 0),
            EveAnswers(answer) => ledger.answered(at(20), EVE, FILM, answer, 0),
            Gone => ledger.gone(BOB, FILM),
            Restart => {
                *ledger = Ledger::recover(at(0), PATIENCE, self.log.clone());
                None
            }
        };
        self.log.extend(record.clone());
        match record {
            Some(Record::Begun { requester: BOB, attempt, .. }) => Out::Begun(attempt),
            Some(Record::Acked { requester: BOB, bytes, .. }) => Out::Acked(bytes),
            Some(Record::Ended { requester: BOB, end, .. }) => Out::Ended(end),
            // Eve's are not bob's.
            _ => Out::Nothing,
        }
    }

    fn stands(&self) -> Stands {
        let open: Vec<u64> = (0..=STRANGE)
            .filter(|c| self.ledger.current.get(&Connection(*c)) == Some(&(BOB, FILM)))
            .collect();
        match open[..] {
            [connection] => OnConnection(connection),
            [] if self.ledger.is_unfinished(BOB, FILM) => Waits,
            [] => Over,
            _ => panic!("bob's film is open on {open:?}"),
        }
    }
}

#[test]
fn what_is_late_doubled_strange_or_out_of_order_changes_nothing_and_ends_nothing_twice() {
    let tables = [("ACK", acks()), ("end", ends()), ("answer", answers())];
    for (kind, rows) in tables {
        for (name, state, input, out, stands) in rows {
            let mut play = Play { ledger: Ledger::new(PATIENCE), log: Vec::new() };
            state.into_iter().for_each(|input| drop(play.give(input)));
            let resumable = !play.log.is_empty();
            assert_eq!(play.give(input), out, "{kind}: {name}");
            assert_eq!(play.stands(), stands, "{kind}: {name}");
            let of_bob = |r: &&Record| matches!(r, Record::Ended { requester: BOB, .. });
            let ends = play.log.iter().filter(of_bob).count();
            let has_ended = resumable && play.stands() == Over;
            assert!(ends <= 1 && (!has_ended || ends == 1), "{kind}: {name}: {:?}", play.log);
            let within = |r: &Record| !matches!(r, Record::Acked { bytes, .. } if *bytes > TOTAL);
            assert!(play.log.iter().all(within), "{kind}: {name}: {:?}", play.log);
        }
    }
}
