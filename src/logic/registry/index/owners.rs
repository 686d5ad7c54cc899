//! Who has a content: two without further memory, more in a list.
//!
//! Invariant: ascending, each once. More than two are in a list, two or fewer never, so that a list
//! belongs to exactly one content.

use super::CopyKey;

/// Stands where no owner is; no copy ever has that number.
const NOBODY: CopyKey = CopyKey(u32::MAX);
/// Stands first where the second number is that of a list; no copy ever has that number.
const LIST: CopyKey = CopyKey(u32::MAX - 1);

/// The owners of one content; `OwnerLists` reads it.
#[derive(Debug)]
pub(super) struct Owners([CopyKey; 2]);

impl Owners {
    /// One owner.
    pub(super) fn one(owner: CopyKey) -> Owners {
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
    lists: Vec<Vec<CopyKey>>,
    free: Vec<u32>,
}

impl OwnerLists {
    /// All of them.
    pub(super) fn of<'a>(&'a self, owners: &'a Owners) -> &'a [CopyKey] {
        match owners.0 {
            [LIST, CopyKey(list)] => &self.lists[list as usize],
            [NOBODY, _] => &[],
            [_, NOBODY] => &owners.0[..1],
            _ => &owners.0,
        }
    }

    /// One more.
    pub(super) fn add(&mut self, owners: &mut Owners, owner: CopyKey) {
        let [first, second] = owners.0;
        if first == LIST {
            let list = &mut self.lists[second.0 as usize];
            if let Err(at) = list.binary_search(&owner) {
                list.insert(at, owner);
            }
            return;
        }
        let mut all: Vec<CopyKey> = self.of(owners).to_vec();
        if let Err(at) = all.binary_search(&owner) {
            all.insert(at, owner);
        }
        *owners = match all[..] {
            [first, second] => Owners([first, second]),
            [one] => Owners::one(one),
            _ => Owners([LIST, CopyKey(self.new_list(all))]),
        };
    }

    /// One less; whether he was there.
    pub(super) fn remove(&mut self, owners: &mut Owners, owner: CopyKey) -> bool {
        let Ok(at) = self.of(owners).binary_search(&owner) else { return false };
        match owners.0 {
            [LIST, CopyKey(list)] => {
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
        true
    }

    fn new_list(&mut self, owners: Vec<CopyKey>) -> u32 {
        if let Some(list) = self.free.pop() {
            self.lists[list as usize] = owners;
            return list;
        }
        self.lists.push(owners);
        self.lists.len() as u32 - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::dice::Dice;
    use std::collections::BTreeSet;

    #[test]
    fn owners_are_a_set_whatever_comes_and_goes() {
        crate::logic::dice::rounds(|dice: &mut Dice| {
            let (mut lists, mut owners) =
                (OwnerLists::default(), [Owners::default(), Owners::default()]);
            let mut model = [BTreeSet::new(), BTreeSet::new()];
            for _ in 0..100 {
                let (which, key) = (dice.below(2) as usize, CopyKey(dice.below(6) as u32));
                if dice.below(2) == 0 {
                    lists.add(&mut owners[which], key);
                    model[which].insert(key);
                } else {
                    let was = model[which].remove(&key);
                    assert_eq!(lists.remove(&mut owners[which], key), was);
                }
                for (owners, model) in owners.iter().zip(&model) {
                    assert!(lists.of(owners).iter().eq(model), "{model:?}");
                }
            }
        });
    }
}
