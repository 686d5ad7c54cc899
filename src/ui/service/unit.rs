//! A systemd unit as text: sections, keys, and how values are quoted.
//!
//! Invariant: whatever is in a path, the unit says that path and nothing else. What no quoting can carry (a
//! line's end) is refused before.

use std::fmt::Write;

/// Which systemd runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manager {
    /// The machine's.
    System,
    /// A person's own.
    User,
}

/// What a unit is made of.
#[derive(Debug)]
pub(super) struct Unit {
    /// `node` or `tracker`.
    pub(super) role: &'static str,
    pub(super) manager: Manager,
    /// The program and its words.
    pub(super) command: Vec<String>,
    /// Under whom it runs; none: one that systemd makes, or the person whose manager it is.
    pub(super) account: Option<String>,
    /// Below `/var/lib`, when its data is there.
    pub(super) state: Option<&'static str>,
    /// Its data, where that is at a place of the person's choice.
    pub(super) writes: Option<String>,
    /// The swarm's key, which systemd reads for it.
    pub(super) key_file: Option<String>,
    /// Something it needs is in somebody's home.
    pub(super) homes: bool,
    /// It takes a port that only root may take.
    pub(super) low_port: bool,
}

/// The key file as the process finds it: systemd puts it where nobody else can read it.
pub(super) const CREDENTIAL: &str = "swarm.key";

/// A node leaves at once when it is told to; its threads get 10 s for that, its commands 12 s, and it waits
/// 4 s for those who listen. A tracker's threads get 12 s.
const STOP_S: u32 = 30;
/// More than any listener takes; see `io::descriptors`.
const FILES: u32 = 65_536;

/// What costs a process nothing that only serves files: the same for both managers.
const HARDENED: &[&str] = &[
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallErrorNumber=EPERM",
    "SystemCallFilter=@system-service",
];

/// What only the machine's manager can do.
const SHIELDED: &[&str] = &[
    "PrivateDevices=yes",
    "PrivateTmp=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "ProtectSystem=strict",
    "RemoveIPC=yes",
    "RestrictNamespaces=yes",
];

impl Unit {
    /// The file.
    pub(super) fn text(&self) -> String {
        let mut out = Text(String::new());
        out.section("Unit");
        out.key("Description", &format!("parvi {}: files shared by name", self.role));
        if self.manager == Manager::System {
            out.key("Wants", "network-online.target");
            out.key("After", "network-online.target");
        }
        out.section("Service");
        out.key("Type", "exec");
        // A colon: nothing in the words is a variable.
        let words: Vec<String> = self.command.iter().map(|word| quoted(word)).collect();
        out.key("ExecStart", &format!(":{}", words.join(" ")));
        out.key("Restart", "on-failure");
        out.key("RestartSec", "5");
        // Wrong flags, and a data directory that another one uses: trying again is no help.
        out.key("RestartPreventExitStatus", "2 13");
        out.key("KillSignal", "SIGTERM");
        out.key("TimeoutStopSec", &STOP_S.to_string());
        out.key("LimitNOFILE", &FILES.to_string());
        self.whose(&mut out);
        HARDENED.iter().for_each(|line| out.line(line));
        if self.manager == Manager::System {
            SHIELDED.iter().for_each(|line| out.line(line));
        }
        out.section("Install");
        out.key(
            "WantedBy",
            match self.manager {
                Manager::System => "multi-user.target",
                Manager::User => "default.target",
            },
        );
        out.0
    }

    /// Under whom it runs, and what it may touch.
    fn whose(&self, out: &mut Text) {
        if self.manager == Manager::User {
            return;
        }
        match &self.account {
            Some(account) => out.key("User", account),
            None => out.key("DynamicUser", "yes"),
        }
        if let Some(state) = self.state {
            out.key("StateDirectory", state);
        }
        if let Some(path) = &self.writes {
            out.key("ReadWritePaths", &quoted(path));
        }
        if let Some(path) = &self.key_file {
            // Behind the name and its colon the whole line is the path: it takes no quotes.
            out.key("LoadCredential", &format!("{CREDENTIAL}:{}", path.replace('%', "%%")));
        }
        out.key("ProtectHome", if self.homes { "read-only" } else { "yes" });
        let capability = if self.low_port { "CAP_NET_BIND_SERVICE" } else { "" };
        out.key("CapabilityBoundingSet", capability);
        if self.low_port {
            out.key("AmbientCapabilities", capability);
        }
    }
}

/// A word that systemd reads as it was: `%` is doubled, and quotes hold it together where they must.
fn quoted(word: &str) -> String {
    let doubled = word.strip_prefix(SPECIFIED).map_or_else(
        || word.replace('%', "%%"),
        |rest| format!("{SPECIFIED}{}", rest.replace('%', "%%")),
    );
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:=@%".contains(c);
    if !doubled.is_empty() && doubled.chars().all(plain) {
        return doubled;
    }
    format!("\"{}\"", doubled.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The folder of credentials, which only systemd knows: it stands for itself.
pub(super) const SPECIFIED: &str = "%d/";

struct Text(String);

impl Text {
    fn section(&mut self, name: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        // Writing into a String cannot fail.
        writeln!(self.0, "{gap}[{name}]").unwrap_or_default();
    }

    fn key(&mut self, name: &str, value: &str) {
        self.line(&format!("{name}={value}"));
    }

    fn line(&mut self, line: &str) {
        writeln!(self.0, "{line}").unwrap_or_default();
    }
}
