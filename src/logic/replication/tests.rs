//! Tables of single rules, and properties of whole plans with dice.

use std::collections::BTreeSet;

use super::*;
use crate::logic::dice::{Dice, rounds};

const DAY: Duration = Duration::from_secs(86_400);
/// Now: everything in a view was long ago, unless it says otherwise.
const NOW: u64 = 10 * 86_400;

fn now() -> Time {
    ago(0)
}

fn ago(seconds: u64) -> Time {
    Time::from_origin(Duration::from_secs(NOW - seconds))
}

fn id(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn root(n: u64) -> Root {
    Root::of(&n.to_le_bytes())
}

fn node(room: u64) -> Node {
    Node { opted_in: true, room, ..Node::default() }
}

/// A complete view of nodes 0.. with so much room, and of file 0, of 10 bytes, which node 0 publishes.
fn view(rooms: &[u64]) -> View {
    let nodes = (0..).zip(rooms).map(|(n, room)| (id(n), node(*room))).collect();
    let mut file = File::new(10, 2, Standing::Published, ago(3_600));
    file.holders.insert(id(0), Holder::Own);
    let files = BTreeMap::from([(root(0), file)]);
    View { is_complete: true, nodes, files, ..View::default() }
}

fn film(view: &mut View) -> &mut File {
    view.files.get_mut(&root(0)).unwrap()
}

/// A node has the film.
fn hold(view: &mut View, n: u8, holder: Holder) {
    film(view).holders.insert(id(n), holder);
}

/// A node was told to copy it so many seconds ago.
fn copies(view: &mut View, n: u8, seconds: u64) {
    let size = film(view).size;
    film(view).under_way.insert(id(n), ago(seconds));
    sets_out(view, n, size);
}

/// A node is given a copy to make.
fn sets_out(view: &mut View, n: u8, size: u64) {
    let node = view.nodes.get_mut(&id(n)).unwrap();
    (node.copies, node.ahead) = (node.copies + 1, node.ahead + size);
    node.room -= size;
}

fn gone(view: &mut View, n: u8, seconds: u64) {
    view.nodes.get_mut(&id(n)).unwrap().gone_since = Some(ago(seconds));
}

fn targets(view: &View) -> Vec<NodeId> {
    plan(view, now()).orders.iter().map(|order| order.target).collect()
}

fn trimmed(view: &View) -> Vec<NodeId> {
    plan(view, now()).trims.iter().map(|trim| trim.holder).collect()
}

fn words(view: &View) -> String {
    why(view, now(), &root(0)).unwrap().to_string()
}

#[test]
fn what_lacks_a_copy_is_ordered_where_there_is_room_and_consent() {
    type Change = fn(&mut View);
    let table: &[(Change, &[u8], &str)] = &[
        (|_| (), &[1], "2 wanted, 1 there; 1 to be made"),
        (
            |v| v.nodes.get_mut(&id(1)).unwrap().room = 9,
            &[],
            "; 1 to be made, but no further node has room for it",
        ),
        (
            |v| v.nodes.get_mut(&id(1)).unwrap().opted_in = false,
            &[],
            "but no further node is there that keeps",
        ),
        (|v| gone(v, 1, 1), &[], "but no further node is there"),
        (|v| film(v).wanted = 1, &[], "1 wanted, 1 there"),
        (
            |v| v.is_complete = false,
            &[],
            "; the tracker has just started and waits until all nodes",
        ),
        (
            |v| gone(v, 0, 61),
            &[],
            "2 wanted, 0 there; 2 to be made, but nobody who has it is there",
        ),
        (|v| copies(v, 1, 5), &[], "1 there, 1 on the way"),
        (|v| hold(v, 1, Holder::Own), &[], "2 wanted, 2 there"),
        (|v| film(v).standing = Standing::Withdrawn, &[], "withdrawn, 1 there"),
    ];
    for (change, wanted, said) in table {
        let mut view = view(&[0, 100]);
        change(&mut view);
        let found = targets(&view);
        assert_eq!(found, wanted.iter().map(|n| id(*n)).collect::<Vec<_>>(), "{}", words(&view));
        assert!(words(&view).contains(said), "{said:?} in {:?}", words(&view));
    }
}

#[test]
fn a_restart_costs_nothing_and_who_stays_away_is_replaced() {
    let mut view = view(&[0, 100, 100]);
    hold(&mut view, 1, Holder::Replica);
    gone(&mut view, 1, 59);
    assert_eq!(plan(&view, now()), Plan::default());
    assert_eq!(words(&view), "2 wanted, 1 there, 1 away and waited for 1 s");
    gone(&mut view, 1, 60);
    assert_eq!(targets(&view), [id(2)]);
    // Meanwhile it is told to copy, and restarts too.
    copies(&mut view, 2, 5);
    view.nodes.insert(id(3), node(100));
    gone(&mut view, 2, 59);
    assert_eq!(targets(&view), []);
    view.nodes.remove(&id(2));
    assert_eq!(targets(&view), [id(3)], "nobody knows of that node any more");
}

#[test]
fn a_copy_that_takes_too_long_is_made_elsewhere_too() {
    let mut view = view(&[0, 100, 100]);
    copies(&mut view, 1, copy_time_max(10).as_secs() - 1);
    assert_eq!(targets(&view), []);
    copies(&mut view, 1, copy_time_max(10).as_secs());
    assert_eq!(targets(&view), [id(2)]);
}

#[test]
fn what_was_published_is_kept_and_repaired_when_its_publisher_vanishes() {
    let mut view = view(&[0, 100, 100]);
    hold(&mut view, 1, Holder::Replica);
    gone(&mut view, 0, DAY.as_secs());
    let plan = plan(&view, now());
    let order = Order { root: root(0), target: id(2), sources: vec![id(1)] };
    assert_eq!(plan, Plan { orders: vec![order], ..Plan::default() });
    film(&mut view).wanted = 0;
    assert_eq!(trimmed(&view), [], "the last copy stays");
}

#[test]
fn what_is_too_many_goes_after_a_calm_time_and_never_a_persons_file() {
    let mut view = view(&[0, 100, 100, 100]);
    let first = targets(&view)[0];
    (1..=3).for_each(|n| hold(&mut view, n, Holder::Replica));
    let two = trimmed(&view);
    assert_eq!(two.len(), 2);
    assert!(!two.contains(&id(0)) && !two.contains(&first), "{two:?}, {first:?}");
    film(&mut view).changed = ago(299);
    assert_eq!(trimmed(&view), []);
    assert!(
        words(&view).ends_with("4 there; 2 too many, kept for 1 s at least"),
        "{}",
        words(&view)
    );
    film(&mut view).changed = ago(300);
    assert_eq!(trimmed(&view), two);
    gone(&mut view, 3, 5);
    assert_eq!(trimmed(&view).len(), 1, "who is away does not count");
    view.nodes.insert(id(4), node(100));
    copies(&mut view, 4, 5);
    assert_eq!(trimmed(&view), [], "not while a copy is on the way");
    view.is_complete = false;
    film(&mut view).under_way.clear();
    assert_eq!(trimmed(&view), [], "not while nodes may be unknown");
}

#[test]
fn however_many_say_that_a_file_is_their_own_the_replicas_that_are_wanted_beside_one_stay() {
    let mut view = view(&[0, 100, 100, 100, 100]);
    hold(&mut view, 1, Holder::Replica);
    (2..=4).for_each(|n| hold(&mut view, n, Holder::Own));
    assert_eq!(trimmed(&view), [], "three who may lie have the only replica removed");
    assert_eq!(words(&view), "2 wanted, 5 there");
    assert_eq!(targets(&view), []);
    view.nodes.insert(id(5), node(100));
    hold(&mut view, 5, Holder::Replica);
    assert_eq!(trimmed(&view).len(), 1, "{}", words(&view));
    film(&mut view).wanted = 3;
    assert_eq!(trimmed(&view), []);
}

#[test]
fn what_a_node_may_still_be_given_is_what_plans_give_it() {
    for (copies, ahead) in [(0, 0), (1, AHEAD_MAX), (2, AHEAD_MAX), (2, AHEAD_MAX - 1), (16, 0)] {
        let mut view = view(&[0, 1 << 40]);
        let node = view.nodes.get_mut(&id(1)).unwrap();
        (node.copies, node.ahead) = (copies, ahead);
        assert_eq!(
            targets(&view).is_empty(),
            view.nodes[&id(1)].places() == 0,
            "{copies}, {ahead}"
        );
    }
    let away = Node { gone_since: Some(now()), ..node(9) };
    assert_eq!((away.places(), Node::default().places()), (0, 0));
}

#[test]
fn what_was_taken_back_is_trimmed_everywhere_after_a_calm_time() {
    let mut view = view(&[0, 100, 100, 100]);
    (1..=2).for_each(|n| hold(&mut view, n, Holder::Replica));
    hold(&mut view, 3, Holder::Own);
    film(&mut view).standing = Standing::Withdrawn;
    let gone: BTreeSet<_> = trimmed(&view).into_iter().collect();
    assert_eq!(gone, BTreeSet::from([id(1), id(2)]), "downloaded is not kept for others");
    assert_eq!(words(&view), "withdrawn, 4 there; 2 too many, kept for 0 s at least");
    film(&mut view).changed = ago(299);
    assert_eq!(trimmed(&view), []);
}

#[test]
fn moves_are_bounded_for_each_node_and_for_a_plan_and_the_most_endangered_files_go_first() {
    let mut view = view(&[0, 1_000_000]);
    for n in 1..40 {
        let file = film(&mut view).clone();
        view.files.insert(root(n), file);
    }
    assert_eq!(targets(&view), [id(1); COPIES_MAX]);
    assert_eq!(
        targets(&View { nodes: [(id(0), node(0)), (id(1), node(19))].into(), ..view.clone() }),
        [id(1)]
    );
    let last = plan(&view, now()).orders.last().unwrap().root;
    (0..COPIES_MAX - 1).for_each(|_| sets_out(&mut view, 1, 10));
    assert_eq!(targets(&view).len(), 1);
    sets_out(&mut view, 1, 10);
    assert_eq!(targets(&view), []);
    let said = why(&view, now(), &last).unwrap().to_string();
    assert!(said.ends_with("but the nodes with room for it are copying other files"), "{said}");

    let nodes = (0..60).map(|n| (id(n), node(1_000))).collect();
    let mut crowd = View { is_complete: true, nodes, ..View::default() };
    for n in 0..400 {
        let mut file = File::new(1, 3, Standing::Published, ago(3_600));
        file.holders.insert(id(0), Holder::Own);
        if n % 4 == 0 {
            file.holders.insert(id(1), Holder::Own);
        }
        crowd.files.insert(root(n), file);
    }
    let orders = plan(&crowd, now()).orders;
    assert_eq!(orders.len(), ORDERS_MAX);
    assert!(orders.iter().all(|order| crowd.files[&order.root].holders.len() == 1));
    let file = crowd.files.get_mut(&root(0)).unwrap();
    file.wanted = 21;
    file.holders.extend((0..20).map(|n| (id(n), Holder::Own)));
    crowd.files = BTreeMap::from([(root(0), file.clone())]);
    assert_eq!(plan(&crowd, now()).orders[0].sources.len(), SOURCES_MAX);
}

#[test]
fn a_node_that_comes_or_goes_changes_the_choice_of_no_other() {
    let count = |view: &View| {
        (0..64)
            .map(|n| {
                let mut view = view.clone();
                let film = view.files.remove(&root(0)).unwrap();
                view.files.insert(root(n), film);
                targets(&view)[0]
            })
            .collect::<Vec<_>>()
    };
    let (few, more) = (view(&[0, 9_999, 9_999, 9_999]), view(&[0, 9_999, 9_999, 9_999, 9_999]));
    let (few, more) = (count(&few), count(&more));
    let moved = few.iter().zip(&more).filter(|(a, b)| a != b).collect::<Vec<_>>();
    assert!(moved.iter().all(|(_, to)| **to == id(4)), "only the newcomer is chosen instead");
    assert!((5..35).contains(&moved.len()), "{} of 64", moved.len());
    assert!((1..=3).all(|n| few.contains(&id(n))), "all of them are chosen");
}

/// Any view: nodes there and gone, files in every state, copies on the way.
fn any_view(dice: &mut Dice) -> View {
    let count = 1 + dice.below(9) as u8;
    let mut nodes = BTreeMap::new();
    for n in 0..count {
        let gone_since = (dice.below(4) == 0).then(|| ago(dice.below(200)));
        let opted_in = dice.below(5) > 0;
        nodes.insert(id(n), Node { gone_since, opted_in, room: dice.below(100), ..node(0) });
    }
    let mut files = BTreeMap::new();
    for n in 0..dice.below(20) {
        let standing = if dice.below(5) == 0 { Standing::Withdrawn } else { Standing::Published };
        let mut file =
            File::new(dice.below(30), dice.below(5) as u32, standing, ago(dice.below(600)));
        for n in 0..=count {
            match dice.below(6) {
                kind @ (0 | 1) => {
                    let holder = if kind == 0 { Holder::Own } else { Holder::Replica };
                    file.holders.insert(id(n), holder);
                    match dice.below(12) {
                        0 => _ = file.doubted.insert(id(n)),
                        1 if holder == Holder::Replica => _ = file.leaving.insert(id(n)),
                        2 => _ = file.unsure.insert(id(n)),
                        _ => {}
                    }
                }
                2 => {
                    file.under_way.insert(id(n), ago(dice.below(7_200)));
                    if let Some(node) = nodes.get_mut(&id(n)) {
                        (node.copies, node.ahead) = (node.copies + 1, node.ahead + file.size);
                    }
                }
                3 if dice.below(4) == 0 => _ = file.barred.insert(id(n)),
                _ => {}
            }
        }
        files.insert(root(n), file);
    }
    View { is_complete: true, nodes, files, ..View::default() }
}

fn is_there(view: &View, id: &NodeId) -> bool {
    view.nodes.get(id).is_some_and(|node| node.gone_since.is_none())
}

/// Verified copies at nodes that are there.
fn live(view: &View, file: &File) -> usize {
    let counts = |id: &NodeId| {
        !file.doubted.contains(id) && !file.leaving.contains(id) && !file.unsure.contains(id)
    };
    file.holders.keys().filter(|id| is_there(view, id) && counts(id)).count()
}

/// Of these, those that count where replicas are removed: one own copy at most.
fn verified(view: &View, file: &File) -> usize {
    let mut without = file.clone();
    without.holders.retain(|_, holder| *holder == Holder::Replica);
    let replicas = live(view, &without);
    replicas + (live(view, file) - replicas).min(1)
}

/// What no plan may do.
#[track_caller]
fn check(view: &View, plan: &Plan) {
    assert!(plan.orders.len() <= ORDERS_MAX && plan.trims.len() <= TRIMS_MAX);
    let mut load: BTreeMap<NodeId, (usize, u64)> = BTreeMap::new();
    for (root, file) in &view.files {
        let fresh = plan.orders.iter().filter(|order| order.root == *root);
        for order in fresh {
            let node = view.nodes[&order.target];
            assert!(node.opted_in && node.gone_since.is_none(), "{order:?}");
            assert!(!file.holders.contains_key(&order.target), "it has that: {order:?}");
            assert!(!file.under_way.contains_key(&order.target), "it is at it: {order:?}");
            assert!(!file.barred.contains(&order.target), "it could not: {order:?}");
            assert!(!order.sources.is_empty() && order.sources.len() <= SOURCES_MAX);
            for source in &order.sources {
                assert!(file.holders.contains_key(source) && is_there(view, source), "{order:?}");
            }
            let (copies, bytes) = load.entry(order.target).or_default();
            (*copies, *bytes) = (*copies + 1, *bytes + file.size);
        }
        let trims: Vec<_> = plan.trims.iter().filter(|trim| trim.root == *root).collect();
        for trim in &trims {
            assert_eq!(file.holders[&trim.holder], Holder::Replica, "{trim:?}");
        }
        if file.standing == Standing::Published && !trims.is_empty() {
            let left = verified(view, file) - trims.len();
            assert!(left >= file.wanted.max(1) as usize, "{left} are left of {file:?}");
        }
    }
    for (target, (copies, bytes)) in load {
        let node = view.nodes[&target];
        assert!(copies + node.copies <= COPIES_MAX && bytes <= node.room, "{copies}, {bytes}");
    }
    for spared in &plan.spared {
        assert!(view.files[&spared.root].leaving.contains(&spared.holder), "{spared:?}");
    }
}

/// All copies on the way arrive where they can, and the plan is carried out.
fn carry_out(view: &mut View, plan: Plan, at: Time) {
    let View { nodes, files, .. } = view;
    for file in files.values_mut() {
        // Hours pass: who was unsure has told all, and what was tried in vain may be tried again.
        file.unsure.clear();
        file.doubted.clear();
        file.barred.clear();
        for id in std::mem::take(&mut file.leaving) {
            file.holders.remove(&id);
            file.changed = at;
        }
        for (target, _) in std::mem::take(&mut file.under_way) {
            let Some(node) = nodes.get_mut(&target) else { continue };
            (node.copies, node.ahead) = (node.copies - 1, node.ahead - file.size);
            if node.gone_since.is_none() && !file.holders.contains_key(&target) {
                file.holders.insert(target, Holder::Replica);
                file.changed = at;
            }
        }
    }
    for (root, target) in plan.cancelled {
        files.get_mut(&root).unwrap().under_way.remove(&target);
    }
    for order in plan.orders {
        let file = files.get_mut(&order.root).unwrap();
        file.under_way.insert(order.target, at);
        let node = nodes.get_mut(&order.target).unwrap();
        (node.copies, node.ahead) = (node.copies + 1, node.ahead + file.size);
        node.room -= file.size;
    }
    for spared in plan.spared {
        files.get_mut(&spared.root).unwrap().leaving.remove(&spared.holder);
    }
    for trim in plan.trims {
        files.get_mut(&trim.root).unwrap().leaving.insert(trim.holder);
    }
}

/// Carries plans out until there is nothing left to do; tells when that was.
fn settle(view: &mut View) -> Time {
    let (mut at, mut quiet) = (now(), 0);
    // Each file needs at most five copies and loses at most ten; a node copies two at once.
    for _ in 0..200 {
        let next = plan(view, at);
        check(view, &next);
        let waits = view.files.values().any(|file| {
            !(file.under_way.is_empty() && file.leaving.is_empty() && file.doubted.is_empty())
        });
        quiet = if next == Plan::default() && !waits { quiet + 1 } else { 0 };
        if quiet == 2 {
            return at;
        }
        carry_out(view, next, at);
        at = at + CALM;
    }
    panic!("it does not come to rest: {:?}", plan(view, at));
}

#[test]
fn from_any_view_it_comes_to_rest_with_the_copies_that_are_possible_and_no_more() {
    rounds(|dice| {
        let mut view = any_view(dice);
        let mut at = settle(&mut view);
        at = at + GRACE;
        assert_eq!(plan(&view, at), Plan::default(), "and rests");
        for (root, file) in &view.files {
            let live = live(&view, file);
            let replicas = |(id, holder): (&NodeId, &Holder)| {
                *holder == Holder::Replica && is_there(&view, id)
            };
            let replicas = file.holders.iter().filter(|one| replicas(*one)).count();
            if file.standing == Standing::Withdrawn {
                assert_eq!(replicas, 0, "{file:?}");
                continue;
            }
            let wanted = file.wanted.max(1) as usize;
            let verified = verified(&view, file);
            assert!(verified <= wanted || replicas == 0, "{verified} for {wanted}: {file:?}");
            let could = |(id, node): (&NodeId, &Node)| {
                is_there(&view, id)
                    && node.opted_in
                    && node.room >= file.size
                    && !file.holders.contains_key(id)
            };
            let possible = live > 0 && view.nodes.iter().any(could);
            assert!(live >= wanted || !possible, "{live} for {wanted}: {file:?}");
            let said = why(&view, at, root).unwrap();
            assert_eq!(said.obstacle.is_some(), live < wanted, "{said}");
        }
    });
}

#[test]
fn a_view_gives_one_plan_which_breaks_no_rule() {
    rounds(|dice| {
        let mut view = any_view(dice);
        let first = plan(&view, now());
        check(&view, &first);
        assert_eq!(plan(&view.clone(), now()), first);
        view.is_complete = false;
        assert_eq!(plan(&view, now()), Plan::default());
    });
}

#[test]
fn nodes_that_flap_within_the_grace_move_nothing() {
    rounds(|dice| {
        let mut view = any_view(dice);
        let mut at = settle(&mut view) + DAY;
        for _ in 0..20 {
            let there: Vec<NodeId> =
                view.nodes.keys().copied().filter(|id| is_there(&view, id)).collect();
            let flap: Vec<NodeId> = there.into_iter().filter(|_| dice.below(2) == 0).collect();
            for id in &flap {
                view.nodes.get_mut(id).unwrap().gone_since = Some(at);
            }
            at = at + Duration::from_secs(dice.below(GRACE.as_secs()));
            assert_eq!(plan(&view, at), Plan::default(), "{} are away", flap.len());
            for id in &flap {
                view.nodes.get_mut(id).unwrap().gone_since = None;
            }
            assert_eq!(plan(&view, at), Plan::default(), "all are back");
        }
    });
}
