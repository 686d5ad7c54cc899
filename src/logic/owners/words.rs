//! What a person is told of the owners: why nothing moves, and why nothing ever will. Changes nothing.

use super::{Ban, Owner, Owners, State};
use crate::base::{NodeId, Time};

impl Owners {
    /// The words for the person when nobody who has it may be asked any more.
    pub fn all_banned(&self) -> Option<String> {
        let all = !self.owners.is_empty() && self.not_banned().is_empty();
        all.then(|| self.all_corrupt())
    }

    /// The same words, where everybody else has sent wrong bytes but not often enough for a ban.
    pub fn all_corrupt(&self) -> String {
        let broke = |o: &&Owner| matches!(o.state, State::Banned(Ban::Violations));
        let names =
            |of: Vec<&Owner>| of.iter().map(|o| o.info.shown()).collect::<Vec<_>>().join(", ");
        match self.owners.values().partition::<Vec<_>, _>(broke) {
            (broke, wrong) if broke.is_empty() => format!(
                "every owner sends bytes that do not match the file's hash: {}",
                names(wrong)
            ),
            (broke, wrong) if wrong.is_empty() => {
                format!("every owner {}: {}", Ban::Violations.words(), names(broke))
            }
            (broke, wrong) => format!(
                "no owner is left: {} sent wrong bytes, {} {}",
                names(wrong),
                names(broke),
                Ban::Violations.words()
            ),
        }
    }

    /// Those who may still be asked, now or later.
    pub fn not_banned(&self) -> Vec<NodeId> {
        self.owners.keys().copied().filter(|id| !self.is_banned(*id)).collect()
    }

    /// Those who are said to share it, and say that they do not.
    pub fn deniers(&self) -> Vec<NodeId> {
        let denies = |o: &Owner| o.shares && matches!(o.state, State::Gone { .. });
        self.owners.iter().filter(|(_, o)| denies(o)).map(|(id, _)| *id).collect()
    }

    /// Why nothing moves, and what happens next.
    pub fn why_waiting(&self, now: Time) -> String {
        let soonest = self.owners.values().filter_map(|o| match &o.state {
            State::Waiting { due, why } => Some((*due, why, &o.info)),
            _ => None,
        });
        if let Some((due, why, info)) = soonest.min_by_key(|(due, ..)| *due) {
            let secs = due.since(now).as_secs_f64();
            return format!("{}: {why}; next try in {secs:.0} s", info.shown());
        }
        if let Some(o) = self.owners.values().find(|o| matches!(o.state, State::Dialling)) {
            return format!("connecting to {}", o.info.shown());
        }
        let secs = self.next_search.since(now).as_secs_f64();
        let gone = self.owners.values().find_map(|o| match &o.state {
            State::Gone { why } => Some(format!("{}: {why}", o.info.shown())),
            State::Banned(ban) => Some(format!("{} {}", o.info.shown(), ban.words())),
            _ => None,
        });
        let why = gone.unwrap_or_else(|| "nobody has it now".into());
        format!("{why}; looking for owners again in {secs:.0} s")
    }
}
