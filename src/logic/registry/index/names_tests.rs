use super::*;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};

use crate::logic::dice::{Dice, rounds};

/// The names, and by what they were told the block of each.
#[derive(Default)]
struct Both {
    names: Names,
    model: BTreeMap<String, ContentId>,
    blocks: BTreeMap<ContentId, BlockId>,
}

impl Both {
    fn insert(&mut self, name: &str, head: ContentId) {
        self.names.insert(name, head, |head, block| {
            self.blocks.insert(head, block);
        });
        self.model.insert(name.to_owned(), head);
    }

    fn remove(&mut self, name: &str) {
        self.names.remove(name, |head, block| {
            self.blocks.insert(head, block);
        });
        self.model.remove(name);
    }

    fn agree(&self, dice: &mut Dice) {
        let all: Vec<(&str, ContentId)> = self.names.from(Unbounded).collect();
        assert!(all.iter().copied().eq(self.model.iter().map(|(n, h)| (n.as_str(), *h))));
        assert_eq!(self.names.len(), self.model.len());
        for (name, head) in &self.model {
            assert_eq!(self.names.get(name), Some(*head));
            let told = self.names.name_in(self.blocks[head], |known| known == *head);
            assert_eq!(told, Some(name.as_str()), "the block it was told of");
        }
        let start = text(dice);
        let behind = self.model.range::<str, _>((Excluded(start.as_str()), Unbounded));
        assert!(self.names.from(Excluded(&start)).map(|(n, _)| n).eq(behind.map(|(n, _)| n)));
        let from = self.model.range::<str, _>((Included(start.as_str()), Unbounded));
        assert!(self.names.from(Included(&start)).map(|(n, _)| n).eq(from.map(|(n, _)| n)));
        let blocks = self.names.order.iter().map(|id| &self.names.blocks[id.0 as usize]);
        assert!(blocks.clone().all(|block| (1..=BLOCK_NAMES_MAX).contains(&block.len())));
    }
}

fn text(dice: &mut Dice) -> String {
    let folder = ["a", "b/ü", "c", ""][dice.below(4) as usize];
    format!("{folder}{}", dice.below(1_500))
}

#[test]
fn names_are_in_order_and_found_whatever_comes_and_goes() {
    rounds(|dice| {
        let mut both = Both::default();
        let grows = 1 + dice.below(3);
        for step in 0..600 {
            let name = text(dice);
            // First it grows, then what is there goes.
            match dice.below(4) <= grows && step < 400 {
                true => both.insert(&name, ContentId(step)),
                false => {
                    let near = both.model.range(name.clone()..).next();
                    let name = near.map_or(name, |(name, _)| name.clone());
                    both.remove(&name);
                }
            }
        }
        both.agree(dice);
    });
}

#[test]
fn names_in_order_fill_their_blocks_and_the_last_to_go_leaves_nothing() {
    let mut both = Both::default();
    for n in 0..2_000 {
        both.insert(&format!("{n:05}"), ContentId(n));
    }
    rounds(|dice| both.agree(dice));
    assert_eq!(both.names.order.len(), 2_000_usize.div_ceil(BLOCK_NAMES_MAX));
    for n in 0..2_000 {
        both.remove(&format!("{n:05}"));
    }
    assert!(both.names.order.is_empty() && both.names.len() == 0);
    assert_eq!(both.names.free.len(), both.names.blocks.len());
}

#[test]
fn long_names_make_small_blocks() {
    let mut both = Both::default();
    for n in 0..300 {
        both.insert(&format!("{}{n}", "x".repeat(3_000)), ContentId(n));
    }
    let largest = both.names.blocks.iter().map(|block| block.text.len()).max().unwrap();
    assert!(largest <= BLOCK_BYTES_MAX + 3_072, "{largest}");
}

#[test]
fn names_that_go_as_they_came_leave_no_room_behind() {
    // Four ways to leave little: here and there, from the front, from the back, long ones for short.
    for way in 0..4 {
        let mut both = Both::default();
        let long = "x".repeat(300);
        for n in 0..4_000_u32 {
            both.insert(&format!("{n:05}{long}"), ContentId(n));
        }
        for n in (0..4_000_u32).rev() {
            let goes = match way {
                0 => n % 40 != 0,
                1 => n < 3_900,
                2 => n >= 100,
                _ => true,
            };
            if goes {
                both.remove(&format!("{n:05}{long}"));
            }
            if way == 3 {
                both.insert(&format!("{n:05}"), ContentId(n));
            }
        }
        let (text, room) = both.names.room();
        let counted = text + 8 * both.names.len();
        assert!(room < 4 * counted + 8_192, "way {way}: {room} bytes for {counted}");
    }
}
