//! Who has a content, and as what: two without further memory, more in a list.
//!
//! Invariant: ascending, each once. More than two are in a list, two or fewer never, so that a list
//! belongs to exactly one content.

use super::CopyKey;
use crate::base::Kept;

/// A copy of a catalogue, and as what its node has the content: in the two lowest bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Holding(u32);

impl Holding {
    pub(super) fn new(key: CopyKey, kept: Kept) -> Holding {
        let kind = match kept {
            Kept::Shared => 0,
            Kept::Downloaded => 1,
            Kept::Replica => 2,
        };
        Holding(key.0 << 2 | kind)
    }

    pub(super) fn key(self) -> CopyKey {
        CopyKey(self.0 >> 2)
    }

    pub(super) fn kept(self) -> Kept {
        match self.0 & 3 {
            0 => Kept::Shared,
            1 => Kept::Downloaded,
            _ => Kept::Replica,
        }
    }
}

/// Stands where no owner is; no holding has both low bits set.
const NOBODY: Holding = Holding(u32::MAX);
/// Stands first where the second number is that of a list.
const LIST: Holding = Holding(u32::MAX - 4);

/// The owners of one content; `OwnerLists` reads it.
#[derive(Debug)]
pub(super) struct Owners([Holding; 2]);

impl Owners {
    /// One owner.
    pub(super) fn one(owner: Holding) -> Owners {
        Owners([owner, NOBODY])
    }
}

impl Default for Owners {
    fn default() -> Owners {
        Owners([NOBODY, NOBODY])
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct OwnerLists {
    lists: Vec<Vec<Holding>>,
    free: Vec<u32>,
}

impl OwnerLists {
    /// All of them.
    pub(super) fn of<'a>(&'a self, owners: &'a Owners) -> &'a [Holding] {
        match owners.0 {
            [LIST, Holding(list)] => &self.lists[list as usize],
            [NOBODY, _] => &[],
            [_, NOBODY] => &owners.0[..1],
            _ => &owners.0,
        }
    }

    /// One more, or one that has it as something else now.
    pub(super) fn add(&mut self, owners: &mut Owners, owner: Holding) {
        let [first, second] = owners.0;
        if first == LIST {
            return put(&mut self.lists[second.0 as usize], owner);
        }
        let mut all: Vec<Holding> = self.of(owners).to_vec();
        put(&mut all, owner);
        *owners = match all[..] {
            [first, second] => Owners([first, second]),
            [one] => Owners::one(one),
            _ => Owners([LIST, Holding(self.new_list(all))]),
        };
    }

    /// One less; as what he had it, if he had.
    pub(super) fn remove(&mut self, owners: &mut Owners, owner: CopyKey) -> Option<Kept> {
        let at = self.of(owners).binary_search_by_key(&owner, |held| held.key()).ok()?;
        let kept = self.of(owners)[at].kept();
        match owners.0 {
            [LIST, Holding(list)] => {
                self.lists[list as usize].remove(at);
                if let [first, second] = self.lists[list as usize][..] {
                    *owners = Owners([first, second]);
                    self.lists[list as usize] = Vec::new();
                    self.free.push(list);
                }
            }
            [_, second] if at == 0 => *owners = Owners([second, NOBODY]),
            [first, _] => *owners = Owners::one(first),
        }
        Some(kept)
    }

    fn new_list(&mut self, owners: Vec<Holding>) -> u32 {
        if let Some(list) = self.free.pop() {
            self.lists[list as usize] = owners;
            return list;
        }
        self.lists.push(owners);
        self.lists.len() as u32 - 1
    }
}

fn put(all: &mut Vec<Holding>, owner: Holding) {
    match all.binary_search_by_key(&owner.key(), |held| held.key()) {
        Ok(at) => all[at] = owner,
        Err(at) => all.insert(at, owner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::dice::Dice;
    use std::collections::BTreeMap;

    #[test]
    fn owners_are_a_set_whatever_comes_and_goes() {
        crate::logic::dice::rounds(|dice: &mut Dice| {
            let (mut lists, mut owners) =
                (OwnerLists::default(), [Owners::default(), Owners::default()]);
            let mut model = [BTreeMap::new(), BTreeMap::new()];
            for _ in 0..100 {
                let (which, key) = (dice.below(2) as usize, CopyKey(dice.below(6) as u32));
                if dice.below(2) == 0 {
                    let kinds = [Kept::Shared, Kept::Downloaded, Kept::Replica];
                    let kept = kinds[dice.below(3) as usize];
                    lists.add(&mut owners[which], Holding::new(key, kept));
                    model[which].insert(key, kept);
                } else {
                    let was = model[which].remove(&key);
                    assert_eq!(lists.remove(&mut owners[which], key), was);
                }
                for (owners, model) in owners.iter().zip(&model) {
                    assert!(
                        lists
                            .of(owners)
                            .iter()
                            .map(|held| (held.key(), held.kept()))
                            .eq(model.iter().map(|(key, kept)| (*key, *kept))),
                        "{model:?}"
                    );
                }
            }
        });
    }
}
