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

    /// It wants these, besides those it wanted before.
    pub fn wants(&mut self, id: u64, roots: impl IntoIterator<Item = Root>) {
        self.wants.entry(id).or_default().get_or_insert_default().extend(roots);
    }

    /// It has ended by itself: what is left of it stays for another try.
    pub fn over(&mut self, id: u64) {
        self.wants.remove(&id);
    }

    /// It was given up.
    pub fn give_up(&mut self, id: u64) {
        self.given_up.extend(self.wants.remove(&id).flatten().into_iter().flatten());
    }

    /// What can go now. What somebody else wants is his from here on.
    pub fn unwanted(&mut self) -> BTreeSet<Root> {
        if self.wants.values().any(Option::is_none) {
            return BTreeSet::new();
        }
        let mut unwanted = std::mem::take(&mut self.given_up);
        unwanted.retain(|root| !self.wants.values().flatten().any(|wants| wants.contains(root)));
        unwanted
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
}
