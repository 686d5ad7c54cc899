use super::*;
use crate::ui::ctl::client::Client;
use parking_lot::Condvar;

/// Answers `echo`, ends with `exit`, fails `fail`, and holds `hold` and the long `wait` until told or until its asker has gone.
#[derive(Default)]
struct Fake {
    holding: Mutex<usize>,
    changed: Condvar,
    left: Mutex<usize>,
}

impl Fake {
    fn wait_for_holding(&self, wanted: usize) {
        self.changed.wait_while(&mut self.holding.lock(), |n| *n != wanted);
    }
}

impl Executor for Fake {
    fn execute(&self, request: &Request, reply: &mut dyn Reply) -> u8 {
        match request.words.first().map(String::as_str) {
            Some("echo") => {
                reply.out(&request.words[1..].join(" "));
                0
            }
            Some("exit") => 0,
            Some("hold" | "wait") => {
                *self.holding.lock() += 1;
                self.changed.notify_all();
                let never = StopToken::new();
                while !reply.gone() {
                    never.wait(Duration::from_millis(1));
                }
                *self.left.lock() += 1;
                *self.holding.lock() -= 1;
                self.changed.notify_all();
                7
            }
            _ => {
                reply.err("parvi: no\n");
                3
            }
        }
    }

    fn is_long(&self, request: &Request) -> bool {
        request.words == ["wait"]
    }

    fn finish(&self, request: &Request, _: &mut dyn Reply) -> bool {
        request.words == ["exit"]
    }
}

struct Rig {
    data: tempfile::TempDir,
    fake: Arc<Fake>,
    server: Server,
}

fn rig() -> Rig {
    let data = tempfile::tempdir().unwrap();
    let fake = Arc::new(Fake::default());
    let server = Server::start(data.path(), Arc::<Fake>::clone(&fake)).unwrap();
    Rig { data, fake, server }
}

impl Rig {
    fn ask(&self, words: &[&str]) -> (Result<u8, Fault>, Vec<Answer>) {
        let words = words.iter().map(ToString::to_string).collect();
        let mut answers = Vec::new();
        let request = Request { words, json: false, folder: None };
        let client = Client::connect(self.data.path()).unwrap();
        let code = client.ask(&request, &mut |a| answers.push(a.clone()));
        (code, answers)
    }

    /// Sends a command and does not wait for its end.
    fn begin(&self, word: &str) -> UnixStream {
        let mut stream = socket::connect(self.data.path()).unwrap();
        stream.write_all(format!("{{\"words\":[\"{word}\"]}}\n").as_bytes()).unwrap();
        stream
    }

    /// The answers to bytes that no client of ours would send.
    fn say(&self, bytes: &[u8]) -> String {
        let mut stream = socket::connect(self.data.path()).unwrap();
        // The server may answer and close before it has read everything.
        stream.write_all(bytes).unwrap_or_default();
        let mut answer = Vec::new();
        let mut part = [0; 1024];
        while let Ok(n @ 1..) = stream.read(&mut part) {
            answer.extend_from_slice(&part[..n]);
        }
        String::from_utf8(answer).unwrap()
    }
}

#[test]
fn data_messages_and_the_exit_code_come_back() {
    let rig = rig();
    assert_eq!(rig.ask(&["echo", "a b", "ü\n"]), (Ok(0), vec![Answer::Out("a b ü\n".into())]));
    assert_eq!(rig.ask(&["fail"]), (Ok(3), vec![Answer::Err("parvi: no\n".into())]));
    rig.server.stop();
}

#[test]
fn a_request_may_leave_out_what_it_does_not_need() {
    let rig = rig();
    let answer = rig.say(b"{\"words\":[\"echo\",\"x\"]}\n");
    assert_eq!(answer, "{\"out\":\"x\"}\n{\"exit\":0}\n");
    rig.server.stop();
}

#[test]
fn what_is_no_request_is_refused_with_exit_code_2() {
    let rig = rig();
    let endless = vec![b'x'; REQUEST_BYTES_MAX as usize + 10];
    for bad in [&b"hello\n"[..], b"{}\n", b"[1,2]\n", &endless] {
        let answer = rig.say(bad);
        assert!(answer.ends_with("{\"exit\":2}\n") || bad.len() > 100, "{answer}");
    }
    assert_eq!(rig.ask(&["echo"]).0, Ok(0), "the next one is served");
    rig.server.stop();
}

#[test]
fn the_one_too_many_is_told_so_and_room_returns_when_askers_leave() {
    let rig = rig();
    let held: Vec<UnixStream> = (0..CONNECTIONS_MAX).map(|_| rig.begin("hold")).collect();
    rig.fake.wait_for_holding(CONNECTIONS_MAX);
    let mut stream = socket::connect(rig.data.path()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("24 commands run already"), "{answer}");
    drop(held);
    rig.fake.wait_for_holding(0);
    rig.server.stop();
    assert_eq!(*rig.fake.left.lock(), CONNECTIONS_MAX);
}

#[test]
fn those_who_wait_for_downloads_leave_room_for_the_others() {
    let rig = rig();
    let waiting: Vec<UnixStream> = (0..LONG_MAX).map(|_| rig.begin("wait")).collect();
    rig.fake.wait_for_holding(LONG_MAX);
    let (code, answers) = rig.ask(&["wait"]);
    assert_eq!(code, Ok(1));
    assert!(format!("{answers:?}").contains("16 commands wait for downloads"), "{answers:?}");
    assert_eq!(rig.ask(&["echo"]).0, Ok(0), "another one is served");
    drop(waiting);
    rig.fake.wait_for_holding(0);
    rig.server.stop();
    assert_eq!(*rig.server.shared.long.lock(), 0);
}

#[test]
fn stopping_ends_waiting_commands_and_leaves_no_socket() {
    let rig = rig();
    let mut stream = socket::connect(rig.data.path()).unwrap();
    stream.write_all(b"{\"words\":[\"hold\"]}\n").unwrap();
    let silent = socket::connect(rig.data.path()).unwrap();
    rig.fake.wait_for_holding(1);
    rig.server.stop();
    assert_eq!(rig.server.group.running(), 0);
    drop(silent);
    let fault = Client::connect(rig.data.path()).err().unwrap();
    assert_eq!(fault.kind, FaultKind::Network);
    assert!(fault.text.contains("no node or tracker runs on"), "{fault}");
}

#[test]
fn whoever_asked_to_exit_has_ended_before_the_daemon_does() {
    let rig = rig();
    let mut client = rig.begin("exit");
    let mut answer = String::new();
    BufReader::new(&client).read_line(&mut answer).unwrap();
    rig.server.stop();
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            rig.server.release();
            assert!(ended.load(std::sync::atomic::Ordering::SeqCst), "it would have been killed");
        });
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "it is let go");
        ended.store(true, std::sync::atomic::Ordering::SeqCst);
        drop(client);
    });
}
