//! How many copies of which files, and how patiently.
//!
//! Invariant: every name has a number of copies between 1 and `COPIES_WANTED_MAX`.

use crate::base::Root;
use crate::logic::pattern::Matcher;
use crate::logic::replication::{Patience, WANTED};

/// Most copies of a file that may be asked for.
pub const COPIES_WANTED_MAX: u32 = 64;

/// Files like these have so many copies.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Which.
    pub matcher: Matcher,
    /// How many, the publisher's counted; 1: no others.
    pub copies: u32,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Copies of a file of which no rule says more, its publisher's counted; 1: no others.
    pub copies: u32,
    /// The first that means a name counts.
    pub rules: Vec<Rule>,
    /// How long is waited.
    pub patience: Patience,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy { copies: WANTED, rules: Vec::new(), patience: Patience::default() }
    }
}

impl Policy {
    /// How many copies of a file under these names: the most that any of them is to have.
    pub(super) fn wanted<'a>(&self, root: &Root, names: impl Iterator<Item = &'a str>) -> u32 {
        let copies = |name: &str| {
            let rule = self.rules.iter().find(|rule| rule.matcher.means(name, root));
            rule.map_or(self.copies, |rule| rule.copies)
        };
        let most = match self.rules.is_empty() {
            true => None,
            false => names.map(copies).max(),
        };
        most.unwrap_or(self.copies).clamp(1, COPIES_WANTED_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::pattern::part_or_glob;

    #[test]
    fn the_first_rule_that_means_a_name_counts_and_the_name_that_is_to_have_most() {
        let rule = |pattern: &str, copies| Rule {
            matcher: Matcher::new(&part_or_glob(pattern, false).unwrap()).unwrap(),
            copies,
        };
        let rules = vec![rule("keep/*.tmp", 4), rule("*.tmp", 1), rule("*.iso", 0)];
        let policy = Policy { rules, ..Policy::default() };
        let wanted = |names: &[&str]| policy.wanted(&Root::of(b""), names.iter().copied());
        let table: [(&[&str], u32); 6] = [
            (&["a"], 2),
            (&["a.tmp"], 1),
            (&["keep/a.tmp"], 4),
            (&["a.tmp", "a"], 2),
            (&["a.iso"], 1),
            (&[], 2),
        ];
        for (names, copies) in table {
            assert_eq!(wanted(names), copies, "{names:?}");
        }
    }
}
