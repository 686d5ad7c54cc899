//! What a run is to measure: the lists of the command line, with their defaults.
//!
//! Invariant: each list is in order, without doubles, and not empty. Two runs with equal settings have the
//! same cells and move the same bytes, so one may go on where the other stopped.

use serde::{Deserialize, Serialize};

use crate::base::Rate;
use crate::ui::args::EvalArgs;

/// The parameters of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settings {
    /// Peers that fetch or ask at once.
    pub peers: Vec<u32>,
    /// Downloads, or lookups, of one peer at once.
    pub concurrency: Vec<u32>,
    /// Sizes of files, bytes.
    pub sizes: Vec<u64>,
    /// Files in the index that is searched.
    pub index: Vec<u32>,
    /// Rounds that count, of each cell.
    pub rounds: u32,
    /// Lookups of each asker in a round.
    pub lookups: u32,
    /// What each peer may send, and receive: bytes a second.
    pub line: Option<u64>,
    /// What files and questions follow from.
    pub seed: u64,
    /// Whether the swarm is one that runs already.
    pub compose: bool,
}

impl Settings {
    /// As the command line says.
    pub(super) fn of(args: &EvalArgs) -> Settings {
        let quick = args.quick;
        // What a running swarm sends and receives, it was told when it started.
        let line = args.line.0.filter(|_| !args.compose);
        Settings {
            peers: list(&args.peers, if quick { &[1, 2, 4] } else { &[1, 2, 4, 8, 16] }),
            concurrency: list(&args.concurrency, &[1, 4]),
            sizes: list(&args.sizes, if quick { &[1 << 20, 4 << 20] } else { &[1 << 20, 8 << 20] }),
            index: list(
                &args.index,
                if quick { &[1_000, 10_000] } else { &[1_000, 10_000, 100_000] },
            ),
            rounds: args.rounds.unwrap_or(if quick { 2 } else { 3 }),
            lookups: if quick { 100 } else { 200 },
            line: line.map(Rate::bytes),
            seed: args.seed,
            compose: args.compose,
        }
    }

    /// The largest number of peers.
    pub(super) fn most_peers(&self) -> u32 {
        self.peers.last().copied().unwrap_or(1)
    }

    /// What of `self` is not as in `other`, in the words of the flags; empty when they are equal.
    pub(super) fn differences(&self, other: &Settings) -> Vec<String> {
        let line = |line: Option<u64>| line.map_or("off".into(), |bytes| bytes.to_string());
        let table = [
            ("peers", text(&self.peers), text(&other.peers)),
            ("concurrency", text(&self.concurrency), text(&other.concurrency)),
            ("sizes", text(&self.sizes), text(&other.sizes)),
            ("index", text(&self.index), text(&other.index)),
            ("rounds", self.rounds.to_string(), other.rounds.to_string()),
            ("line", line(self.line), line(other.line)),
            ("seed", self.seed.to_string(), other.seed.to_string()),
        ];
        // A switch takes no value.
        let switches = [
            ("quick", self.lookups < other.lookups, self.lookups > other.lookups),
            ("compose", self.compose && !other.compose, !self.compose && other.compose),
        ];
        let differ = table.into_iter().filter(|(_, ours, theirs)| ours != theirs);
        let values = differ.map(|(flag, ours, theirs)| format!("--{flag} {theirs}, not {ours}"));
        let switched =
            switches.into_iter().filter_map(|(flag, ours, theirs)| match (ours, theirs) {
                (true, _) => Some(format!("without --{flag}, not with it")),
                (_, true) => Some(format!("with --{flag}, not without it")),
                _ => None,
            });
        values.chain(switched).collect()
    }
}

/// What was given, or else the default, in order and without doubles.
fn list<T: Ord + Copy>(given: &Option<Vec<T>>, default: &[T]) -> Vec<T> {
    let mut list = given.clone().filter(|l| !l.is_empty()).unwrap_or_else(|| default.to_vec());
    list.sort_unstable();
    list.dedup();
    list
}

fn text<T: ToString>(list: &[T]) -> String {
    list.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Small ones, for tests.
    pub(crate) fn settings() -> Settings {
        Settings {
            peers: vec![1, 2, 4],
            concurrency: vec![1, 2],
            sizes: vec![1 << 10, 1 << 20],
            index: vec![100, 1000],
            rounds: 2,
            lookups: 10,
            line: Some(1 << 20),
            seed: 1,
            compose: false,
        }
    }

    #[test]
    fn lists_are_in_order_and_what_was_not_given_is_the_default() {
        assert_eq!(list(&Some(vec![4, 1, 4]), &[7]), [1, 4]);
        assert_eq!(list(&None, &[7]), [7]);
        assert_eq!(list(&Some(vec![]), &[7]), [7]);
    }

    #[test]
    fn what_differs_is_told_in_the_words_of_the_flags() {
        let ours = settings();
        assert_eq!(ours.differences(&ours), Vec::<String>::new());
        let theirs = Settings { peers: vec![1, 2], line: None, ..settings() };
        let told = ours.differences(&theirs);
        assert_eq!(told, ["--peers 1,2, not 1,2,4", "--line off, not 1048576"]);
        let theirs = Settings { lookups: 5, compose: true, ..settings() };
        let with = ["with --quick, not without it", "with --compose, not without it"];
        assert_eq!(ours.differences(&theirs), with);
        let without = ["without --quick, not with it", "without --compose, not with it"];
        assert_eq!(theirs.differences(&ours), without);
    }
}
