//! A tracker and four nodes with real files in subfolders: everybody finds everything.

use crate::harness::{Daemon, MIB, Swarm, column, noise, read, root, until};

const PEOPLE: [&str; 4] = ["alice", "bob", "carol", "dave"];

fn four(swarm: &Swarm) -> (Daemon, Vec<Daemon>) {
    for (n, name) in (0..).zip(PEOPLE) {
        swarm.put(name, &format!("papers/of/{name}.pdf"), noise(n, 300_000));
        swarm.put(name, "common/rules.txt", "be kind");
    }
    let tracker = swarm.tracker();
    let nodes = PEOPLE.map(|name| swarm.node(name, &tracker)).into();
    (tracker, nodes)
}

#[test]
fn everybody_finds_everything_of_the_others_by_its_path() {
    let swarm = Swarm::new();
    let (_tracker, nodes) = four(&swarm);
    for (who, node) in PEOPLE.iter().zip(&nodes) {
        for (n, owner) in (0..).zip(PEOPLE).filter(|(_, owner)| owner != who) {
            let name = format!("papers/of/{owner}.pdf");
            let found = node.finds(&name, 1);
            assert_eq!(found["name"], name.as_str());
            assert_eq!(found["size"], 300_000);
            assert_eq!(found["root"], root(&noise(n, 300_000)).as_str());
            let only = &found["owners"][0];
            assert_eq!((&only["node"], &only["complete"]), (&owner.into(), &true.into()));
            assert_eq!(only["addr"], nodes[n as usize].addr().as_str());
        }
    }
}

#[test]
fn a_folder_stands_for_what_is_below_it_and_one_name_may_have_several_contents() {
    let swarm = Swarm::new();
    swarm.put("eve", "common/rules.txt", "be unkind");
    let (tracker, nodes) = four(&swarm);
    let _eve = swarm.node("eve", &tracker);
    let dave = &nodes[3];
    let papers = until("four papers", || {
        let answer = dave.ctl(&["lookup", "--json", "papers"]);
        let papers = (answer.code == 0).then(|| answer.json())?;
        (papers.as_array()?.len() == 4).then_some(papers)
    });
    let names: Vec<String> = PEOPLE.iter().map(|p| format!("papers/of/{p}.pdf")).collect();
    assert_eq!(column(&papers, "name"), names);
    let rules = until("two contents", || {
        let answer = dave.ctl(&["--json", "lookup", "common/rules.txt"]);
        let rules = (answer.code == 0).then(|| answer.json())?;
        let owners = |n: usize| rules[n]["owners"].as_array().map_or(0, Vec::len);
        (owners(0) + owners(1) == 5).then_some(rules)
    });
    let mut roots = column(&rules, "root");
    roots.sort_unstable();
    let mut wanted = [root(b"be kind"), root(b"be unkind")];
    wanted.sort();
    assert_eq!(roots, wanted);
    dave.ctl(&["download", "common/rules.txt", "--wait"])
        .refused(13, "choose one with --from NODE, or one content with");
    dave.json(&["download", "common/rules.txt", "--from", "eve"]);
    assert_eq!(read(&swarm.downloaded("dave", "common/rules.txt")), b"be unkind");
}

#[test]
fn files_are_found_by_pattern_by_root_and_by_their_node_and_chosen_by_root() {
    let swarm = Swarm::new();
    swarm.put("eve", "common/rules.txt", "be unkind");
    let (tracker, nodes) = four(&swarm);
    let eve = swarm.node("eve", &tracker);
    let dave = &nodes[3];
    let found = |words: &[&str], count: usize| {
        until(&format!("{count} files for {words:?}"), || {
            let answer = dave.ctl(words);
            let rows = (answer.code == 0).then(|| answer.json())?;
            (rows.as_array()?.len() == count).then_some(rows)
        })
    };
    let papers: Vec<String> = PEOPLE.iter().map(|p| format!("papers/of/{p}.pdf")).collect();
    assert_eq!(column(&found(&["lookup", "--json", "*.pdf"], 4), "name"), papers);
    let carol = found(&["lookup", "--json", "-i", "CAROL.*"], 1);
    assert_eq!(carol[0]["owners"][0]["node"], "carol");
    assert_eq!(column(&found(&["files", "--json", "ers/of"], 4), "name"), papers);
    let rules = found(&["files", "--json", "rules"], 2);
    assert_eq!((&rules[0]["copies"], &rules[1]["copies"]), (&4.into(), &1.into()));
    assert_eq!(rules[1]["owners"][0], "eve");
    let kind = format!("@{}", &root(b"be kind")[..8]);
    assert_eq!(found(&["lookup", "--json", &kind], 1)[0]["owners"].as_array().unwrap().len(), 4);
    assert_eq!(column(&found(&["show", "--json", "eve"], 1), "root"), [root(b"be unkind")]);
    dave.ctl(&["show", "nobody"]).refused(3, "no node is known as nobody");
    dave.ctl(&["lookup", "b["]).refused(2, "is not closed by a ]");
    dave.ctl(&["files", "[z-a]"]).refused(2, "goes backwards");
    dave.ctl(&["lookup", "*.zip"]).refused(3, "nobody has *.zip");
    let listed = tracker.ctl(&["files", "--json", "-i", "RULES"]);
    assert_eq!(listed.json().as_array().unwrap().len(), 2);

    let unkind = format!("common/rules.txt@{}", &root(b"be unkind")[..8]);
    dave.ctl(&["download", "common/rules.txt@00000000", "--wait"]).refused(3, "nobody has");
    assert_eq!(dave.json(&["lookup", &unkind])["owners"][0]["node"], "eve");
    dave.json(&["download", &unkind]);
    assert_eq!(read(&swarm.downloaded("dave", "common/rules.txt")), b"be unkind");
    drop(eve);
}

#[test]
fn a_name_comes_first_where_it_looks_like_a_pattern_or_like_a_name_and_a_root() {
    let swarm = Swarm::new();
    let names = ["backup@20240115", "old@20230115/a", "a[1].txt", "a[", "Album [2001]/x", "a1.txt"];
    for name in names {
        swarm.put("alice", name, name);
    }
    let tracker = swarm.tracker();
    let [_alice, bob] = ["alice", "bob"].map(|name| swarm.node(name, &tracker));
    for name in names {
        assert_eq!(bob.finds(name, 1)["name"], name);
    }
    for folder in ["Album [2001]", "old@20230115/"] {
        assert_eq!(bob.json(&["lookup", folder]).as_array().unwrap().len(), 1, "{folder}");
    }
    let ones = bob.json(&["lookup", "a[0-9].txt"]);
    assert_eq!(column(&ones, "name"), ["a1.txt"]);
    let got = bob.json(&["download", "backup@20240115"]);
    assert_eq!(got["name"], "backup@20240115");
    bob.json(&["download", "old@20230115"]);
    for name in &names[..2] {
        assert_eq!(read(&swarm.downloaded("bob", name)), name.as_bytes());
    }
    for name in [names[0], "old@20230115"] {
        let got = swarm.get(name, "out", &tracker, &["--json"]);
        assert_eq!((got.code, got.json()["name"] == name), (0, name == names[0]), "{name}");
    }
    bob.ctl(&["download", "a1.txt@20240115", "--wait"]).refused(3, "nobody has a1.txt with");
    bob.ctl(&["download", "backup@20240116", "--wait"]).refused(3, "nobody has backup");
}

#[test]
fn what_nobody_has_is_exit_code_3_and_nonsense_is_2() {
    let swarm = Swarm::new();
    let tracker = swarm.tracker();
    let alice = swarm.node("alice", &tracker);
    alice.ctl(&["lookup", "nothing"]).refused(3, "nobody has nothing");
    alice.ctl(&["download", "nothing", "--wait"]).refused(3, "nobody has nothing");
    alice.ctl(&["lookup", "../etc/passwd"]).refused(2, "usage: lookup NAME");
    alice.ctl(&["lokup", "x"]).refused(2, "did you mean lookup?");
    alice.ctl(&["cancel", "99"]).refused(3, "there is no download 99");
    tracker.ctl(&["lookup", "x"]).refused(2, "there is no command lookup");
}

#[test]
fn who_asks_for_what_he_alone_has_is_told_that_it_is_his() {
    let swarm = Swarm::new();
    swarm.put("alice", "diary.txt", "dear diary");
    let tracker = swarm.tracker();
    let alice = swarm.node("alice", &tracker);
    assert_eq!(alice.finds("diary.txt", 1)["owners"][0]["node"], "alice");
}

#[test]
fn who_is_still_fetching_a_file_is_found_too_and_serves_what_it_has_when_nobody_has_it_all() {
    let (swarm, film) = (Swarm::new(), noise(1, 24 * MIB));
    swarm.put("alice", "film", &film);
    let tracker = swarm.tracker();
    let alice = swarm.node_with("alice", &tracker, &["--up", "4MiB"]);
    let [bob, carol] = ["bob", "carol"].map(|name| swarm.node(name, &tracker));
    bob.finds("film", 1);
    assert_eq!(bob.ctl(&["download", "film"]).code, 0);
    let half = 12 * MIB as u64;
    bob.transfer("bob has half of it", |t| t["done"].as_u64() >= Some(half));
    let found = carol.finds("film", 2);
    let owners = found["owners"].as_array().unwrap().iter();
    let owners: Vec<_> = owners.map(|o| (o["node"].clone(), o["complete"].clone())).collect();
    assert_eq!(owners, [("alice".into(), true.into()), ("bob".into(), false.into())]);
    assert!(carol.ctl(&["lookup", "film"]).out.contains(" of 96 chunks\n"));
    alice.kill();
    assert_eq!(carol.finds("film", 1)["owners"][0]["complete"], false);
    assert_eq!(carol.ctl(&["download", "film"]).code, 0);
    carol.transfer("carol has what bob has", |t| t["done"].as_u64() >= Some(half));
    let _alice = swarm.node("alice", &tracker);
    for (who, node) in [("bob", &bob), ("carol", &carol)] {
        node.transfer("all of it comes", |t| t["state"] == "done");
        assert!(read(&swarm.downloaded(who, "film")) == film, "wrong bytes at {who}");
    }
    carol.finds("film", 3);
}
