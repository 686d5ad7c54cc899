//! Tables of what is made, refused, told and trimmed.

use super::*;
use crate::base::{FileEntry, Modified};
use crate::wire::message::copies::CopyFault;

fn root(n: u8) -> Root {
    Root::of(&[n])
}

fn order(n: u8) -> CopyOrder {
    let entry = FileEntry {
        name: Name::parse(&format!("file{n}")).unwrap(),
        size: 10,
        root: root(n),
        modified: Modified::default(),
        executable: false,
    };
    CopyOrder { entry, sources: List::default() }
}

fn duties(copies: &[u8], trims: &[u8]) -> Duties {
    Duties {
        copies: List::of(copies.iter().map(|n| order(*n)).collect()),
        trims: List::of(trims.iter().map(|n| root(*n)).collect()),
    }
}

fn waiting(copies: &Copies) -> BTreeSet<Root> {
    copies.waiting().iter().map(|order| order.entry.root).collect()
}

fn failed(why: CopyFault) -> CopyEnd {
    CopyEnd::Failed { why, blamed: List::default() }
}

#[test]
fn what_two_trackers_want_is_made_once_and_both_hear_of_its_end() {
    let mut copies = Copies::default();
    copies.hear(0, duties(&[1, 2], &[]), &[]);
    copies.hear(1, duties(&[2, 3], &[]), &[]);
    assert_eq!(waiting(&copies), [1, 2, 3].map(root).into());
    copies.begin(root(2), 10);
    assert_eq!(waiting(&copies), [1, 3].map(root).into());
    assert!(copies.has_slot());
    copies.begin(root(1), 10);
    assert!(!copies.has_slot());
    assert!(copies.end(&root(2), &CopyEnd::Kept));
    let told = |copies: &Copies, tracker| copies.outcomes(tracker).into_vec();
    let kept = Outcome { root: root(2), end: CopyEnd::Kept };
    assert_eq!(told(&copies, 0), std::slice::from_ref(&kept));
    assert_eq!(told(&copies, 1), std::slice::from_ref(&kept));
    // The answer was on its way already: it is not begun again.
    copies.hear(0, duties(&[1, 2], &[]), &[]);
    assert_eq!((waiting(&copies), told(&copies, 0).len()), ([root(3)].into(), 1));
    copies.hear(0, duties(&[1], &[]), &[kept]);
    assert_eq!((told(&copies, 0).len(), told(&copies, 1).len()), (0, 1));
    assert_eq!(told(&copies, 7), []);
}

#[test]
fn what_failed_is_tried_again_only_when_it_is_ordered_after_that_was_heard() {
    let mut copies = Copies::default();
    copies.hear(0, duties(&[1], &[]), &[]);
    assert!(copies.end(&root(1), &failed(CopyFault::NoSource)));
    assert!(waiting(&copies).is_empty());
    let told = copies.outcomes(0).into_vec();
    copies.hear(0, duties(&[1], &[]), &told);
    assert_eq!(waiting(&copies), [root(1)].into(), "ordered again");
    // It ended otherwise while the first end was told: that is still to be told.
    copies.end(&root(1), &failed(CopyFault::NoRoom));
    copies.hear(0, duties(&[1], &[]), &told);
    assert_eq!(copies.outcomes(0).len(), 1);
    copies.hear(0, duties(&[], &[]), &[]);
    assert!(copies.outcomes(0).is_empty(), "nobody wants it any more");
    assert!(!copies.end(&root(1), &CopyEnd::Kept));
}

#[test]
fn what_is_wanted_no_more_is_dropped_unless_it_is_under_way() {
    let mut copies = Copies::default();
    copies.hear(0, duties(&[1, 2], &[]), &[]);
    copies.begin(root(1), 10);
    copies.hear(0, duties(&[], &[]), &[]);
    assert!(waiting(&copies).is_empty());
    assert_eq!(copies.under_way().collect::<Vec<_>>(), [&root(1)]);
}

#[test]
fn what_anybody_wants_or_is_being_made_is_not_trimmed() {
    let mut copies = Copies::default();
    copies.hear(0, duties(&[], &[1, 2, 3]), &[]);
    copies.hear(1, duties(&[2], &[]), &[]);
    copies.begin(root(3), 1);
    assert_eq!(copies.trims(Time::ZERO), [root(1)]);
    copies.trimmed(&root(1));
    assert!(copies.trims(Time::ZERO).is_empty());
    copies.hear(0, duties(&[], &[1]), &[]);
    assert_eq!(copies.trims(Time::ZERO), [root(1)], "its tracker still sees it");
}

#[test]
fn a_trim_that_failed_waits_however_often_it_is_wanted() {
    let (mut copies, soon) = (Copies::default(), Time::ZERO + TRIM_AGAIN / 2);
    copies.hear(0, duties(&[], &[1, 2]), &[]);
    copies.trim_failed(root(1), Time::ZERO);
    for _ in 0..2 {
        assert_eq!(copies.trims(soon), [root(2)]);
        copies.hear(0, duties(&[], &[1, 2]), &[]);
    }
    assert_eq!(copies.trims(Time::ZERO + TRIM_AGAIN).len(), 2);
}

#[test]
fn room_is_what_quota_and_disk_both_leave_less_what_is_promised() {
    const GIB: u64 = 1 << 30;
    let mut copies = Copies::default();
    copies.begin(root(1), 10);
    let disk = |size, free| Disk { size, free };
    let space = |quota, used, disk| Space { quota, used, disk };
    let table = [
        (space(100, 0, disk(1_000, 1_000)), 90, "the quota"),
        (space(100, 95, disk(1_000, 1_000)), 0, "the quota, and what is promised"),
        (space(u64::MAX, 0, disk(1_000, 100)), 40, "a twentieth stays free"),
        (space(u64::MAX, 0, disk(1_000, 49)), 0, "less than that is free"),
        (space(u64::MAX, 0, disk(1_000 * GIB, 11 * GIB)), GIB - 10, "ten GiB are enough"),
        (space(5, 9, disk(1_000, 1_000)), 0, "a quota that was made smaller"),
    ];
    for (space, room, why) in table {
        assert_eq!(copies.room(&space), room, "{why}");
    }
    assert_eq!(disk(1_000, 5).quota(), 100);
}

#[test]
fn a_name_that_is_taken_gives_way_to_one_with_the_root() {
    let name = Name::parse("a/notes.txt").unwrap();
    let own = own_name(&name, &root(1)).unwrap();
    assert_eq!(own.as_str(), format!("@{}/a/notes.txt", &root(1).to_string()[..8]));
    assert_eq!(common_name(&own, &root(1)), name);
    assert_eq!(common_name(&own, &root(2)), own, "it is called so");
    let long = Name::parse(&vec!["x".repeat(255); 12].join("/")).unwrap();
    assert_eq!(own_name(&long, &root(1)), None, "no name can be that long");
}
