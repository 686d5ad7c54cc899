//! Which downloads want which contents, and what of a download that was given up can go.
//!
//! Invariant: nothing goes that a download wants which is not over, and nothing at all while one of
//! them has not found out what it wants; what was given up until then is kept in mind. Ends with the
//! node; who keeps it on the disk tells it again at the next start.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::Root;

/// The downloads that are not over, by their numbers.
#[derive(Debug, Default)]
pub struct Claims {
    /// `None`: it has not found out yet.
    wants: BTreeMap<u64, Option<BTreeSet<Root>>>,
    given_up: BTreeSet<Root>,
}

impl Claims {
    /// A download begins.
    pub fn begin(&mut self, id: u64) {
        self.wants.entry(id).or_default();
    }

    /// It wants these, besides those it wanted before. Whoever gave them up, they are its own now.
    pub fn wants(&mut self, id: u64, roots: impl IntoIterator<Item = Root>) {
        let wants = self.wants.entry(id).or_default().get_or_insert_default();
        for root in roots {
            self.given_up.remove(&root);
            wants.insert(root);
        }
    }

    /// It has ended by itself: what is left of it stays for another try.
    pub fn over(&mut self, id: u64) {
        self.wants.remove(&id);
    }

    /// It was given up: what nobody else wants may go.
    pub fn give_up(&mut self, id: u64) {
        let roots = self.wants.remove(&id).flatten().unwrap_or_default();
        self.stay(roots);
    }

    /// These were given up and have not gone yet.
    pub fn stay(&mut self, roots: impl IntoIterator<Item = Root>) {
        let is_wanted = |root: &Root| self.wants.values().flatten().any(|w| w.contains(root));
        self.given_up.extend(roots.into_iter().filter(|root| !is_wanted(root)));
    }

    /// Whether nothing was given up that is still there.
    pub fn are_settled(&self) -> bool {
        self.given_up.is_empty()
    }

    /// What can go now.
    pub fn unwanted(&mut self) -> BTreeSet<Root> {
        if self.wants.values().any(Option::is_none) {
            return BTreeSet::new();
        }
        std::mem::take(&mut self.given_up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(n: u8) -> Root {
        Root::of(&[n])
    }

    fn unwanted(claims: &mut Claims) -> Vec<Root> {
        claims.unwanted().into_iter().collect()
    }

    #[test]
    fn what_is_given_up_goes_but_for_what_others_want() {
        let mut claims = Claims::default();
        claims.wants(1, [root(1), root(2)]);
        claims.wants(2, [root(2)]);
        assert!(unwanted(&mut claims).is_empty());
        claims.give_up(1);
        assert_eq!(unwanted(&mut claims), [root(1)]);
        assert!(unwanted(&mut claims).is_empty(), "once");
        claims.give_up(2);
        assert_eq!(unwanted(&mut claims), [root(2)]);
    }

    #[test]
    fn nothing_goes_while_somebody_has_not_found_out_what_it_wants() {
        let mut claims = Claims::default();
        claims.wants(1, [root(1), root(2)]);
        claims.begin(2);
        claims.give_up(1);
        assert!(unwanted(&mut claims).is_empty());
        claims.wants(2, [root(2)]);
        assert_eq!(unwanted(&mut claims), [root(1)]);
    }

    #[test]
    fn what_ended_by_itself_keeps_what_it_has() {
        let mut claims = Claims::default();
        claims.wants(1, [root(1)]);
        claims.over(1);
        assert!(unwanted(&mut claims).is_empty());
        claims.give_up(7);
        assert!(unwanted(&mut claims).is_empty(), "nobody knows it");
    }

    #[test]
    fn what_it_wanted_before_it_stood_still_is_its_own_too() {
        let mut claims = Claims::default();
        claims.wants(1, [root(1)]);
        claims.begin(1);
        claims.wants(1, [root(2)]);
        claims.give_up(1);
        assert_eq!(unwanted(&mut claims).len(), 2);
    }

    #[test]
    fn what_was_given_up_and_is_still_there_is_kept_in_mind() {
        let mut claims = Claims::default();
        claims.wants(1, [root(1), root(2)]);
        claims.begin(2);
        claims.give_up(1);
        assert!(!claims.are_settled(), "nobody knows what 2 wants");
        claims.wants(3, [root(1)]);
        claims.over(3);
        claims.wants(2, []);
        assert_eq!(unwanted(&mut claims), [root(2)], "3 has left the other for another try");
        claims.stay([root(2)]);
        assert!(!claims.are_settled(), "it could not be removed");
        assert_eq!(unwanted(&mut claims), [root(2)]);
        assert!(claims.are_settled());
    }
}
