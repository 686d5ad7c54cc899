//! What is made of the answers of trackers and owners.

use super::*;
use crate::base::Modified;
use crate::node::samples::peer;

fn entry(name: &str, size: u64) -> FileEntry {
    FileEntry {
        name: name.parse().unwrap(),
        size,
        root: crate::base::Root::of(b"film"),
        modified: Modified::default(),
        executable: false,
    }
}

#[test]
fn one_who_was_named_and_does_not_answer_is_unreachable_and_strangers_are_not_awaited() {
    let (alice, bob, eve) = (peer(0), peer(1), peer(2));
    let asked = [alice.clone(), bob.clone()];
    let named = BTreeSet::from([bob.id, eve.id]);
    assert_eq!(awaited(&asked, &named).into_keys().collect::<Vec<_>>(), [bob.id]);
    let (send, answers) = unbounded::<Answer>();
    send.send((alice.clone(), Ok(Listed::default()))).unwrap();
    drop(send);
    let (got, first) = collect(&answers, &asked, &named, &|| false);
    let silent = (bob, Err("does not answer".into()));
    assert_eq!(got, [(alice.clone(), Ok(Listed::default())), silent]);
    assert_eq!(first, None, "alice has nothing");
    let (send, answers) = unbounded::<Answer>();
    let has = |files| Ok(Listed { files, ..Listed::default() });
    let began = clock::now();
    send.send((alice, has(vec![entry("d/a", 1)]))).unwrap();
    assert!(collect(&answers, &asked[..1], &named, &|| false).1 >= Some(began));
}

#[test]
fn files_are_taken_up_to_the_bounds_of_a_peer_and_of_the_whole_lookup() {
    let search = |files, name_bytes| Search {
        query: Query::Name("d".parse().unwrap()).into(),
        deadline: Time::ZERO,
        over: StopToken::new(),
        room: Room { files, name_bytes }.into(),
    };
    let page = || vec![entry("d/a", 1), entry("other", 1), entry("d/b", 1), entry("d/c", 1)];
    let taken = |search: &Search, mut own: Room| {
        let mut files = Vec::new();
        (search.take(&mut files, page(), &mut own), files.len())
    };
    let wide = Room { files: 99, name_bytes: 99 };
    assert_eq!(taken(&search(99, 99), wide), (true, 3));
    assert_eq!(taken(&search(99, 99), Room { files: 2, ..wide }), (false, 2));
    assert_eq!(taken(&search(99, 99), Room { name_bytes: 5, ..wide }), (false, 1));
    let full = search(4, 99);
    assert_eq!((taken(&full, wide), taken(&full, wide)), ((true, 3), (false, 1)));
}
