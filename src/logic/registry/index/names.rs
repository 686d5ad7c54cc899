//! The names in order, packed into blocks: text end to end, so that a search for a part of a name
//! reads memory from end to end, and a name costs hardly more than its bytes.
//!
//! Invariant: the blocks in their order, and the names in each, ascend; no block is empty. Whoever
//! stands in a block is told when it comes to another one.
//!
//! ```text
//! order    [ 4, 0, 2 ]            blocks by their first names
//! block 4  text   a/1.txta/2.txt  names end to end
//!          ends   7, 14           where each ends
//!          heads  31, 8           what stands under each: a number of `contents`
//! ```

use std::ops::Bound;

use super::contents::ContentId;

/// Names in one block: what an insertion moves is then some kilobytes.
const BLOCK_NAMES_MAX: usize = 256;
/// Bytes in one block, for long names.
const BLOCK_BYTES_MAX: usize = 64 << 10;
/// A block of fewer names joins its neighbour.
const BLOCK_NAMES_MIN: usize = 32;

/// A block's number; used again after the block has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockId(u32);

impl BlockId {
    /// In no block yet.
    pub(super) const NOWHERE: BlockId = BlockId(u32::MAX);
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Names {
    blocks: Vec<Block>,
    free: Vec<BlockId>,
    order: Vec<BlockId>,
    len: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Block {
    text: String,
    ends: Vec<u32>,
    heads: Vec<ContentId>,
}

impl Block {
    /// How many names.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// All names end to end.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Which name the byte `at` of the text belongs to.
    pub(super) fn nth_at(&self, at: usize) -> usize {
        self.ends.partition_point(|end| *end as usize <= at)
    }

    /// Where the name number `nth` lies in the text.
    pub(super) fn span(&self, nth: usize) -> (usize, usize) {
        let start = if nth == 0 { 0 } else { self.ends[nth - 1] as usize };
        (start, self.ends[nth] as usize)
    }

    /// The name number `nth`, and what stands under it.
    pub(super) fn name(&self, nth: usize) -> (&str, ContentId) {
        let (start, end) = self.span(nth);
        (&self.text[start..end], self.heads[nth])
    }

    /// Where `name` is, or belongs.
    fn find(&self, name: &str) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.name(middle).0.cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    fn insert(&mut self, nth: usize, name: &str, head: ContentId) {
        let start = if nth == 0 { 0 } else { self.ends[nth - 1] };
        self.text.insert_str(start as usize, name);
        let len = name.len() as u32;
        self.ends.insert(nth, start + len);
        self.ends[nth + 1..].iter_mut().for_each(|end| *end += len);
        self.heads.insert(nth, head);
    }

    fn remove(&mut self, nth: usize) {
        let (start, end) = self.span(nth);
        self.text.drain(start..end);
        self.ends.remove(nth);
        self.ends[nth..].iter_mut().for_each(|place| *place -= (end - start) as u32);
        self.heads.remove(nth);
        self.shrink();
    }

    /// Gives room back that was taken for much more than is there: a node's names may go as they
    /// came, and only those that are there are counted.
    fn shrink(&mut self) {
        fn too_much(room: usize, len: usize) -> bool {
            room > 3 * len + 64
        }
        let (text, names) = (self.text.len(), self.len());
        if too_much(self.text.capacity(), text) {
            self.text.shrink_to(text + text / 2);
        }
        if too_much(self.ends.capacity(), names) {
            self.ends.shrink_to(names + names / 2);
            self.heads.shrink_to(names + names / 2);
        }
    }

    /// Takes the names from `nth` on out.
    fn split(&mut self, nth: usize) -> Block {
        let start = if nth == 0 { 0 } else { self.ends[nth - 1] };
        let text = self.text.split_off(start as usize);
        let ends = self.ends.split_off(nth).into_iter().map(|end| end - start).collect();
        let heads = self.heads.split_off(nth);
        // What was split off took half of the names along, but none of the room.
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.heads.shrink_to_fit();
        Block { text, ends, heads }
    }

    fn append(&mut self, other: &Block) {
        let start = self.text.len() as u32;
        self.text.push_str(&other.text);
        self.ends.extend(other.ends.iter().map(|end| end + start));
        self.heads.extend_from_slice(&other.heads);
    }

    fn is_full_for(&self, name: &str) -> bool {
        self.len() >= BLOCK_NAMES_MAX
            || (self.len() > 1 && self.text.len() + name.len() > BLOCK_BYTES_MAX)
    }
}

impl Names {
    /// How many names.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of text, and the room taken for all blocks.
    #[cfg(test)]
    pub(super) fn room(&self) -> (usize, usize) {
        let room = |b: &Block| b.text.capacity() + 4 * (b.ends.capacity() + b.heads.capacity());
        (self.blocks.iter().map(|b| b.text.len()).sum(), self.blocks.iter().map(room).sum())
    }

    /// What stands under `name`.
    pub(super) fn get(&self, name: &str) -> Option<ContentId> {
        let block = &self.blocks[self.order.get(self.place(name))?.0 as usize];
        block.find(name).ok().map(|nth| block.heads[nth])
    }

    /// Puts `head` under `name`, in the place of what stood there; `moved` hears of everything that
    /// stands in a block from now on.
    pub(super) fn insert(
        &mut self,
        name: &str,
        head: ContentId,
        mut moved: impl FnMut(ContentId, BlockId),
    ) {
        let mut place = self.place(name);
        if self.order.is_empty() {
            let id = self.new_block(Block::default());
            self.order.push(id);
        }
        let mut id = self.order[place];
        let mut nth = match self.blocks[id.0 as usize].find(name) {
            Ok(nth) => {
                self.blocks[id.0 as usize].heads[nth] = head;
                return moved(head, id);
            }
            Err(nth) => nth,
        };
        let block = &mut self.blocks[id.0 as usize];
        if block.is_full_for(name) {
            // Names that come in order fill blocks; others find room on both sides.
            let at = if nth == block.len() { nth } else { block.len().div_ceil(2) };
            let upper = block.split(at);
            let upper_id = self.new_block(upper);
            for head in &self.blocks[upper_id.0 as usize].heads {
                moved(*head, upper_id);
            }
            self.order.insert(place + 1, upper_id);
            if nth >= at {
                (place, nth) = (place + 1, nth - at);
                id = self.order[place];
            }
        }
        self.blocks[id.0 as usize].insert(nth, name, head);
        self.len += 1;
        moved(head, id);
    }

    /// Takes `name` out.
    pub(super) fn remove(&mut self, name: &str, mut moved: impl FnMut(ContentId, BlockId)) {
        let place = self.place(name);
        let Some(id) = self.order.get(place).copied() else { return };
        let block = &mut self.blocks[id.0 as usize];
        let Ok(nth) = block.find(name) else { return };
        block.remove(nth);
        self.len -= 1;
        let len = block.len();
        if len == 0 {
            self.drop_block(place);
        } else if len < BLOCK_NAMES_MIN && place > 0 {
            self.join(place - 1, &mut moved);
        } else if len < BLOCK_NAMES_MIN {
            self.join(place, &mut moved);
        }
    }

    /// Brings the block at `place` and the one behind it together when they fit with room to spare.
    fn join(&mut self, place: usize, moved: &mut impl FnMut(ContentId, BlockId)) {
        let [Some(lower), Some(upper)] = [place, place + 1].map(|at| self.order.get(at).copied())
        else {
            return;
        };
        let [names, bytes] = [lower, upper]
            .map(|id| &self.blocks[id.0 as usize])
            .map(|block| [block.len(), block.text.len()])
            .into_iter()
            .fold([0, 0], |sum, block| [sum[0] + block[0], sum[1] + block[1]]);
        if names > BLOCK_NAMES_MAX / 2 || bytes > BLOCK_BYTES_MAX / 2 {
            return;
        }
        let block = std::mem::take(&mut self.blocks[upper.0 as usize]);
        self.blocks[lower.0 as usize].append(&block);
        block.heads.iter().for_each(|head| moved(*head, lower));
        self.drop_block(place + 1);
    }

    fn new_block(&mut self, block: Block) -> BlockId {
        if let Some(id) = self.free.pop() {
            self.blocks[id.0 as usize] = block;
            return id;
        }
        self.blocks.push(block);
        BlockId(self.blocks.len() as u32 - 1)
    }

    fn drop_block(&mut self, place: usize) {
        let id = self.order.remove(place);
        self.blocks[id.0 as usize] = Block::default();
        self.free.push(id);
    }

    /// The place in the order of the block that has `name`, or would.
    fn place(&self, name: &str) -> usize {
        let starts_before = |id: &BlockId| self.blocks[id.0 as usize].name(0).0 <= name;
        self.order.partition_point(starts_before).saturating_sub(1)
    }

    /// The name in the block under which stands what `is_it` says.
    pub(super) fn name_in(
        &self,
        block: BlockId,
        is_it: impl Fn(ContentId) -> bool,
    ) -> Option<&str> {
        let block = self.blocks.get(block.0 as usize)?;
        let nth = block.heads.iter().position(|head| is_it(*head))?;
        Some(block.name(nth).0)
    }

    /// The blocks from the one that has the first name within `start`, and which of its names that
    /// is; of all further ones the first.
    pub(super) fn blocks(&self, start: Bound<&str>) -> impl Iterator<Item = (&Block, usize)> {
        let place = match start {
            Bound::Unbounded => 0,
            Bound::Included(name) | Bound::Excluded(name) => self.place(name),
        };
        let blocks = self.order[place.min(self.order.len())..].iter();
        blocks.enumerate().map(move |(i, id)| {
            let block = &self.blocks[id.0 as usize];
            let first = match (i, start) {
                (0, Bound::Included(name)) => block.find(name).unwrap_or_else(|nth| nth),
                (0, Bound::Excluded(name)) => block.find(name).map_or_else(|nth| nth, |n| n + 1),
                _ => 0,
            };
            (block, first)
        })
    }

    /// The names within `start`, ascending.
    pub(super) fn from(&self, start: Bound<&str>) -> impl Iterator<Item = (&str, ContentId)> {
        self.blocks(start)
            .flat_map(|(block, first)| (first..block.len()).map(move |nth| block.name(nth)))
    }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
