//! Units are read again here, as systemd does it; where systemd is installed, it reads them as well.

use std::collections::BTreeMap;
use std::process::Command;

use super::*;

/// A unit by section and key; a key that stands twice fails.
struct Read(BTreeMap<(String, String), String>);

impl Read {
    fn of(text: &str) -> Read {
        let (mut section, mut keys) = (String::new(), BTreeMap::new());
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(name) = line.strip_prefix('[') {
                section = name.strip_suffix(']').unwrap().to_owned();
                continue;
            }
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{line:?} has no ="));
            assert!(key.chars().all(|c| c.is_ascii_alphanumeric()), "{line:?}");
            assert!(["Unit", "Service", "Install"].contains(&section.as_str()), "{line:?}");
            let earlier = keys.insert((section.clone(), key.to_owned()), value.to_owned());
            assert_eq!(earlier, None, "{key} stands twice");
        }
        Read(keys)
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|((_, name), _)| name == key).map(|(_, value)| value.as_str())
    }

    fn has(&self, key: &str) -> &str {
        self.get(key).unwrap_or_else(|| panic!("{key} is missing: {:?}", self.0))
    }
}

/// Words as systemd cuts and unquotes them.
fn words_of(line: &str) -> Vec<String> {
    let (mut words, mut word, mut open) = (Vec::new(), None::<String>, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                word.get_or_insert_default();
                open = !open;
            }
            '\\' => word.get_or_insert_default().push(chars.next().unwrap()),
            '%' => {
                let next = chars.next().unwrap();
                let text = if next == '%' { "%".into() } else { format!("<{next}>") };
                word.get_or_insert_default().push_str(&text);
            }
            ' ' if !open => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    assert!(!open, "a quote is open: {line}");
    words.extend(word);
    words
}

fn args(user: bool, role: ServiceRole, flags: &[&str]) -> ServiceArgs {
    let flags = flags.iter().map(ToString::to_string).collect();
    ServiceArgs { user, system: false, account: None, role, flags }
}

fn made(args: ServiceArgs) -> (Read, Vec<String>, String) {
    let (unit, advice) = plan(Path::new("/usr/local/bin/parvi"), args).unwrap();
    let read = Read::of(&unit.text());
    let command = words_of(read.has("ExecStart").strip_prefix(':').unwrap());
    (read, command, advice)
}

const FLAGS: &[&str] = &["--tracker", "192.168.1.5:12345", "--swarm-key-file=/etc/parvi/swarm.key"];

#[test]
fn a_system_service_runs_under_a_user_of_its_own_and_may_touch_its_data_alone() {
    let (unit, command, advice) = made(args(false, ServiceRole::Node, FLAGS));
    let wanted = "/usr/local/bin/parvi node --headless --data /var/lib/parvi \
                  --swarm-key-file <d>/swarm.key --tracker 192.168.1.5:12345";
    assert_eq!(command, wanted.split_whitespace().collect::<Vec<_>>());
    for (key, value) in [
        ("DynamicUser", "yes"),
        ("StateDirectory", "parvi"),
        ("LoadCredential", "swarm.key:/etc/parvi/swarm.key"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("NoNewPrivileges", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6 AF_NETLINK"),
        ("SystemCallFilter", "@system-service"),
        ("CapabilityBoundingSet", ""),
        ("KillSignal", "SIGTERM"),
        ("Restart", "on-failure"),
        ("LimitNOFILE", "65536"),
        ("WantedBy", "multi-user.target"),
    ] {
        assert_eq!(unit.has(key), value, "{key}");
    }
    assert_eq!((unit.get("User"), unit.get("ReadWritePaths")), (None, None));
    assert!(advice.contains("parvi service node -- --tracker 192.168.1.5:12345"), "{advice}");
    assert!(advice.contains("enable --now parvi-node"), "{advice}");

    let (unit, command, _) = made(args(false, ServiceRole::Tracker, &["--listen", "0.0.0.0:80"]));
    assert_eq!(unit.has("StateDirectory"), "parvi-tracker");
    assert_eq!(unit.has("AmbientCapabilities"), "CAP_NET_BIND_SERVICE");
    assert_eq!(command[1..3], ["tracker", "--headless"]);
}

#[test]
fn paths_with_spaces_quotes_and_signs_of_systemd_come_out_as_they_went_in() {
    let odd = "/srv/my files/100% \"mine\" \\ $HOME";
    let (unit, command, advice) =
        made(args(false, ServiceRole::Node, &["--headless", "--data", odd]));
    assert_eq!(command[1..], ["node", "--headless", "--data", odd]);
    assert_eq!(words_of(unit.has("ReadWritePaths")), [odd]);
    assert_eq!((unit.has("User"), unit.get("DynamicUser")), ("parvi", None));
    assert_eq!((unit.get("StateDirectory"), unit.has("ProtectHome")), (None, "yes"));
    let wanted = format!("sudo test -e '{odd}' || sudo install -d -o parvi '{odd}'");
    assert!(advice.contains(&wanted), "{advice}");
}

#[test]
fn what_is_in_a_home_can_be_reached_there() {
    let flags = ["--data=/home/alice/parvi"];
    let mut alice = args(false, ServiceRole::Node, &flags);
    alice.account = Some("alice".into());
    let (unit, _, _) = made(alice);
    assert_eq!((unit.has("User"), unit.has("ProtectHome")), ("alice", "read-only"));
    assert_eq!(words_of(unit.has("ReadWritePaths")), ["/home/alice/parvi"]);
}

#[test]
fn a_service_of_ones_own_needs_nothing_that_only_root_gives() {
    let (unit, command, advice) = made(args(true, ServiceRole::Node, FLAGS));
    let wanted = "/usr/local/bin/parvi node --headless --swarm-key-file /etc/parvi/swarm.key \
                  --tracker 192.168.1.5:12345";
    assert_eq!(command, wanted.split_whitespace().collect::<Vec<_>>());
    for key in ["User", "DynamicUser", "ProtectSystem", "CapabilityBoundingSet", "After"] {
        assert_eq!(unit.get(key), None, "{key}");
    }
    assert_eq!(unit.has("WantedBy"), "default.target");
    assert!(advice.contains("systemctl --user enable --now parvi-node"), "{advice}");
}

#[test]
fn what_no_service_can_be_started_with_is_refused_with_words() {
    let table: [(&[&str], &str); 7] = [
        (&["--tracker", "nowhere"], "HOST:PORT"),
        (&["--listen", "0.0.0.0:12345"], "IP address without a port"),
        (&["--data", "here"], "here is a relative path"),
        (&["--data", "/srv/two\nlines"], "no unit can carry"),
        (&["--config", "/etc/parvi.toml"], "instead of --config"),
        (&["--log-file", "/var/log/parvi.log"], "journalctl -u parvi-node"),
        (&["--fly"], "--fly"),
    ];
    for (flags, words) in table {
        let plan = plan(Path::new("/bin/parvi"), args(false, ServiceRole::Node, flags));
        let fault = plan.expect_err(words);
        assert_eq!(fault.kind, FaultKind::Usage, "{fault}");
        assert!(fault.text.contains(words), "{fault}");
    }
}

/// What `sh` would run of a line of advice, with every word in a line of its own.
fn read_by_sh(line: &str) -> String {
    let functions = "sudo() { printf '%s\\n' \"$@\"; return 1; }; parvi() { sudo \"$@\"; }\n";
    let said = Command::new("sh").arg("-c").arg(format!("{functions}{line}")).output().unwrap();
    assert!(said.stderr.is_empty(), "{line}: {said:?}");
    String::from_utf8(said.stdout).unwrap()
}

#[test]
fn a_shell_reads_advice_as_it_was_meant() {
    let odd = "/srv/$HOME `id` $(id) \"a\" 'b' \\ !x; #y &";
    let (_, _, advice) = made(args(false, ServiceRole::Node, &["--data", odd]));
    let line = |start: &str| {
        let found = advice.lines().find(|line| line.trim_start().starts_with(start));
        read_by_sh(found.unwrap_or_else(|| panic!("no {start} in {advice}")))
    };
    let made = format!("test\n-e\n{odd}\ninstall\n-d\n-o\nparvi\n{odd}\n");
    assert_eq!(line("sudo test"), made);
    assert_eq!(line("sudo parvi ctl"), format!("parvi\nctl\n--data\n{odd}\nhelp\n"));
    let again = advice.lines().find(|line| line.contains("parvi service")).unwrap();
    let again = again.split(" | ").next().unwrap();
    let wanted = format!("service\n--account\nparvi\nnode\n--\n--data\n{odd}\n");
    assert_eq!(read_by_sh(again), wanted);
}

/// What systemd says of a unit; none where it is not installed, or has no manager to read it for.
fn verified(unit: &str, name: &str, manager: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("{name}.service"));
    std::fs::write(&path, unit).unwrap();
    let mut analyze = Command::new("systemd-analyze");
    analyze.args([manager, "--man=no", "verify"]).arg(&path);
    let said = analyze.env("XDG_RUNTIME_DIR", folder.path()).output().ok()?;
    // What it says of other units of the machine is not ours.
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    Some(said.lines().filter(|line| line.contains(name)).collect::<Vec<_>>().join("\n"))
}

#[test]
fn systemd_itself_reads_them_where_it_is_installed() {
    let odd = "/srv/my files/100% \"mine\" $HOME";
    // A program that is there: that is verified, too.
    let program = Path::new("/bin/true");
    let cases: [(bool, ServiceRole, &[&str]); 4] = [
        (false, ServiceRole::Node, FLAGS),
        (false, ServiceRole::Tracker, &["--listen", "0.0.0.0:80"]),
        (false, ServiceRole::Node, &["--data", odd]),
        (true, ServiceRole::Node, FLAGS),
    ];
    for (user, role, flags) in cases {
        let manager = if user { "--user" } else { "--system" };
        let (unit, _) = plan(program, args(user, role, flags)).unwrap();
        let broken = unit.text().replace("[Service]", "[Service]\nMistake=yes");
        if !verified(&broken, "parvi-broken", manager).is_some_and(|said| said.contains("Mistake"))
        {
            println!("systemd-analyze verifies nothing here");
            return;
        }
        let said = verified(&unit.text(), "parvi-made", manager).unwrap();
        assert_eq!(said, "", "{}", unit.text());
    }
}
