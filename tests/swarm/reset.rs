//! reset.sh removes what is ours, all of it, and nothing else.

use std::fs;

use crate::place::{Place, until};

fn names(place: &Place, words: &[&str]) -> String {
    place.docker(words).ended(0).out
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn reset_leaves_nothing_of_ours_and_everything_of_others() {
    let (ours, theirs) = (Place::containers(), Place::containers());
    theirs.script("run.sh", &["-d", "-s", "1", "-n", "1"]).ended(0);

    // A stranger's container and network whose names look like ours.
    let stranger = format!("{}-node7", ours.project);
    let network = format!("{}-swarm", ours.project);
    let create = ["create", "--name", &stranger, &ours.image, "key"];
    ours.docker(&create).ended(0);
    ours.docker(&["network", "create", &network]).ended(0);

    ours.script("run.sh", &["-d", "-s", "1", "-n", "2"]).ended(0);
    let said = ours.script("run.sh", &["-d", "-nn", "node7"]).ended(13);
    assert!(said.err.contains("that is not of this swarm is in the way"), "{}", said.err);
    ours.script("reset.sh", &[]).ended(0);
    let left = names(&ours, &["ps", "--all", "--format", "{{.Names}}"]);
    let mine: Vec<&str> = left.lines().filter(|name| name.starts_with(&ours.project)).collect();
    assert_eq!(mine, [&stranger], "{left}");
    let networks = names(&ours, &["network", "ls", "--format", "{{.Name}}"]);
    let mine: Vec<&str> = networks.lines().filter(|name| name.starts_with(&ours.project)).collect();
    assert_eq!(mine, [&network], "{networks}");
    assert!(ours.volume("node1", ".parvi/id").exists(), "volumes stay without -v");
    assert!(!ours.root().join("logs").exists() && !ours.root().join(".run").exists());

    ours.script("run.sh", &["-d", "-s", "1", "-n", "2"]).ended(0);
    fs::write(ours.volume("node1", "shared/mine.txt"), "mine").unwrap();
    let key = fs::read(ours.root().join("keys/swarm.key")).unwrap();
    ours.script("reset.sh", &["-v"]).ended(0);
    assert!(!ours.volume("node1", "shared/mine.txt").exists());
    assert!(!ours.volume("node1", ".parvi").exists(), "new identities");
    assert!(ours.volume("node1", "shared/welcome.txt").exists(), "first files");
    assert_ne!(fs::read(ours.root().join("keys/swarm.key")).unwrap(), key);

    theirs.ctl("node1", &["peers"]).ended(0);
    ours.docker(&["rm", &stranger]).ended(0);
    ours.docker(&["network", "rm", &network]).ended(0);
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn a_network_in_the_way_is_told_before_anything_starts() {
    let place = Place::containers();
    let network = format!("{}-other", place.project);
    place.docker(&["network", "create", "--subnet", &place.subnet, &network]).ended(0);
    let said = place.script("run.sh", &["-d", "-s", "1"]);
    place.docker(&["network", "rm", &network]).ended(0);
    let said = said.ended(13);
    let expected = format!("{} is taken: the docker network {network}", place.subnet);
    assert!(said.err.contains(&expected), "{}", said.err);
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn a_rebuilt_image_is_taken_by_a_stopped_node() {
    let mut place = Place::containers();
    place.script("run.sh", &["-d", "-s", "1", "-n", "1"]).ended(0);
    place.docker(&["kill", &place.container("node1")]).ended(0);
    until("node1 has stopped", || {
        (place.inspect("node1", "{{.State.Running}}") == "false").then_some(())
    });
    let old = place.inspect("node1", "{{.Image}}");
    place.image = format!("{}-new", place.project);
    let path = place.root().join("docker/parvi");
    let bytes = [fs::read(&path).unwrap(), vec![0]].concat();
    fs::write(&path, bytes).unwrap();
    place.script("config.sh", &[]).ended(0);
    place.script("run.sh", &["-d", "-nn", "node1"]).ended(0);
    assert_ne!(place.inspect("node1", "{{.Image}}"), old);
    place.script("reset.sh", &[]).ended(0);
    place.docker(&["rmi", &place.image]).ended(0);
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn another_copy_of_the_folder_does_not_act_on_this_swarm() {
    let (first, mut second) = (Place::containers(), Place::containers());
    first.script("run.sh", &["-d", "-s", "1", "-n", "1"]).ended(0);
    second.project.clone_from(&first.project);
    for (script, words) in [("run.sh", &["-d", "-n", "1"][..]), ("reset.sh", &["-v"])] {
        let said = second.script(script, words).ended(13);
        assert!(said.err.contains("runs from"), "{script}: {}", said.err);
    }
    first.ctl("node1", &["peers"]).ended(0);
    first.script("reset.sh", &[]).ended(0);
}

#[test]
fn another_project_does_not_touch_the_files_in_this_folder() {
    let mut place = Place::local();
    place.script("run.sh", &["--local", "-d", "-s", "1", "-n", "1"]).ended(0);
    let precious = place.volume("node1", "shared/precious.txt");
    fs::write(&precious, "precious").unwrap();
    let project = std::mem::replace(&mut place.project, "parvitestother".into());
    for (script, words) in [("run.sh", &["--local", "-d", "-n", "1"][..]), ("reset.sh", &["-v"])] {
        let said = place.script(script, words).ended(13);
        assert!(
            said.err.contains(&format!("has the files of the swarm {project}")),
            "{}",
            said.err
        );
    }
    assert!(precious.exists());
    place.project = project;
    place.ctl_local("node1", &["peers"]).ended(0);
}

#[test]
fn files_of_a_node_that_was_started_by_other_means_are_not_removed() {
    let place = Place::local();
    let data = place.volume("node9", "");
    let mut command = place.command(env!("CARGO_BIN_EXE_parvi"));
    command.args(["node", "--headless", "--listen", "127.0.0.1", "--data"]).arg(&data);
    let mut node = command.spawn().unwrap();
    until("it answers", || (place.ctl_local("node9", &["peers"]).code == 0).then_some(()));
    let said = place.script("reset.sh", &["-v"]).ended(13);
    assert!(said.err.contains("node9 still runs"), "{}", said.err);
    assert!(place.volume("node9", ".parvi/id").exists());
    place.ctl_local("node9", &["exit"]).ended(0);
    assert!(node.wait().unwrap().success());
}
