//! Two networks with a router between them, in network namespaces of their own, and the wire cut
//! there: packets vanish, and neither end is told.
//!
//! That takes root; for others the tests say that they are skipped. A namespace lives as long as
//! the process in it, which ends with the test, however that ends.

use std::io::Write;
use std::process::{Child, Command, Stdio};

/// Where the two ends are.
pub const LEFT: &str = "10.9.1.2";
pub const RIGHT: &str = "10.9.2.2";

/// The namespaces: the router, the left end and the right one.
pub struct Wire {
    holders: [Holder; 3],
}

struct Holder(Child);

impl Holder {
    /// A process in a network namespace of its own that ends when its input does.
    fn new() -> Option<Holder> {
        let mut unshare = Command::new("unshare");
        unshare.args(["-n", "sh", "-c", "echo; exec cat"]).stdin(Stdio::piped());
        let child = unshare.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let mut holder = Holder(child);
        let mut line = [0];
        // It has moved there once it says something.
        std::io::Read::read_exact(holder.0.stdout.as_mut()?, &mut line).ok()?;
        Some(holder)
    }

    /// What runs a program in there.
    fn starter(&self) -> Vec<String> {
        vec!["nsenter".into(), format!("--net=/proc/{}/ns/net", self.0.id()), "--".into()]
    }

    fn run(&self, script: &str) -> bool {
        let starter = self.starter();
        let mut command = Command::new(&starter[0]);
        command.args(&starter[1..]).args(["sh", "-e"]).stdin(Stdio::piped());
        let mut shell = command.stderr(Stdio::null()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        shell.wait().unwrap().success()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Wire {
    /// Lays the wire; `None` where that is not allowed.
    pub fn lay() -> Option<Wire> {
        let wire = Wire::try_lay();
        if wire.is_none() {
            eprintln!(
                "skipped: to lay a wire between network namespaces one needs to be root, and ip (Debian: apt install iproute2)"
            );
        }
        wire
    }

    fn try_lay() -> Option<Wire> {
        let holders = [Holder::new()?, Holder::new()?, Holder::new()?];
        let ends = [(&holders[1], 1), (&holders[2], 2)];
        for (end, n) in ends {
            let id = end.0.id();
            let plugged = holders[0].run(&format!(
                "ip link add wire{n} type veth peer name eth0 netns {id}
                ip addr add 10.9.{n}.1/24 dev wire{n}
                ip link set wire{n} up"
            )) && end.run(&format!(
                "ip link set lo up
                ip addr add 10.9.{n}.2/24 dev eth0
                ip link set eth0 up
                ip route add default via 10.9.{n}.1"
            ));
            plugged.then_some(())?;
        }
        let wire = Wire { holders };
        wire.forwards(true).then_some(wire)
    }

    /// Whether the router passes packets on; told so without a word to the ends.
    fn forwards(&self, on: bool) -> bool {
        let switch = "/proc/sys/net/ipv4/ip_forward";
        self.holders[0].run(&format!("echo {} > {switch}", u8::from(on)))
    }

    pub fn cut(&self) {
        assert!(self.forwards(false));
    }

    pub fn mend(&self) {
        assert!(self.forwards(true));
    }

    pub fn left(&self) -> Vec<String> {
        self.holders[1].starter()
    }

    pub fn right(&self) -> Vec<String> {
        self.holders[2].starter()
    }
}
