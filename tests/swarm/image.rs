//! The image and how config.sh builds it.

use std::fs::File;
use std::io::Write;

use crate::place::Place;

/// Gives the place an image of its own name, which is removed at the end.
struct OwnImage(Place);

impl OwnImage {
    fn new() -> OwnImage {
        let mut place = Place::containers();
        place.image = format!("{}-image", place.project);
        let own = OwnImage(place);
        own.change_binary();
        own
    }

    fn id(&self) -> String {
        let said = self.0.docker(&["image", "inspect", "--format", "{{.Id}}", &self.0.image]);
        said.ended(0).out
    }

    fn is_there(&self, id: &str) -> bool {
        self.0.docker(&["image", "inspect", id.trim()]).code == 0
    }

    /// Makes the binary another one that does the same.
    fn change_binary(&self) {
        let path = self.0.root().join("docker/parvi");
        File::options().append(true).open(path).unwrap().write_all(b"\n").unwrap();
    }
}

impl Drop for OwnImage {
    fn drop(&mut self) {
        self.0.docker(&["rmi", "--force", &self.0.image]);
    }
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn config_replaces_its_own_image_and_nr_keeps_it() {
    let own = OwnImage::new();
    let config = |words: &[&str]| own.0.script("config.sh", words).ended(0).out;
    assert!(config(&[]).contains("image: "));
    let first = own.id();
    assert!(config(&[]).contains("as before"), "a second run changes nothing");
    assert_eq!(own.id(), first);

    own.change_binary();
    assert!(config(&["-nr"]).contains("image: "));
    assert_ne!(own.id(), first);
    assert!(own.is_there(&first), "kept");
    let second = own.id();

    own.change_binary();
    assert!(config(&[]).contains("removed the image it replaces"));
    assert!(!own.is_there(&second), "removed");
    assert!(own.is_there(&first), "what it did not replace stays");
    own.0.docker(&["rmi", first.trim()]).ended(0);
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn an_image_that_somebody_gave_another_name_stays_and_a_strangers_is_not_replaced() {
    let own = OwnImage::new();
    own.0.script("config.sh", &[]).ended(0);
    let (first, kept) = (own.id(), format!("{}-kept", own.0.image));
    own.0.docker(&["tag", &own.0.image, &kept]).ended(0);
    own.change_binary();
    let said = own.0.script("config.sh", &[]).ended(0);
    assert!(said.out.contains("it has another name, too"), "{}", said.out);
    assert!(own.is_there(&first));
    own.0.docker(&["rmi", &kept]).ended(0);

    let mut strangers = OwnImage::new();
    strangers.0.image = format!("{}-theirs", own.0.project);
    let empty = strangers.0.root().join("empty.tar");
    std::fs::write(&empty, [0; 1024]).unwrap();
    strangers.0.docker(&["import", empty.to_str().unwrap(), &strangers.0.image]).ended(0);
    let said = strangers.0.script("config.sh", &[]).ended(13);
    assert!(said.err.contains("that is not parvi's"), "{}", said.err);
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn the_image_is_small_and_its_containers_have_few_rights() {
    let place = Place::containers();
    let image = |format: &str| {
        let said = place.docker(&["image", "inspect", "--format", format, &place.image]);
        said.ended(0).out.trim().to_owned()
    };
    let bytes: u64 = image("{{.Size}}").parse().unwrap();
    assert!(bytes < 15 << 20, "{bytes} bytes");
    assert_eq!(image("{{.Config.User}}"), "1000:1000");
    assert_eq!(image("{{.Config.Healthcheck.Test}}"), "[CMD /parvi health]");

    place.script("run.sh", &["-d", "-s", "1", "-n", "1"]).ended(0);
    for name in ["tracker", "node1"] {
        let format =
            "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.Privileged}}";
        assert_eq!(place.inspect(name, format), "true [ALL] false", "{name}");
        let user = place.inspect(name, "{{.Config.User}}");
        assert!(!user.starts_with("0") && !user.starts_with("root"), "{name} runs as {user}");
    }
}
