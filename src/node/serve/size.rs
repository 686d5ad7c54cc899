//! The size listener: how large is a content, which chunks are here, what are their values? A file
//! that is being fetched is described as far as it is here; one whose download stands still is not, but who
//! asks hears that it will be.

use super::transfer::Owner;
use crate::base::chunk::chunk_count;
use crate::base::manifest::ChunkValue;
use crate::base::{Bitmap, Root};
use crate::io::failpoint::fail_point;
use crate::io::link::Link;
use crate::wire::message::size::SizeAnswer;
use crate::wire::message::tracker::{Refused, Why};
use crate::wire::{List, Message};

/// One connection.
pub(in crate::node) fn serve(link: Link, owner: &Owner) {
    super::answer_questions(link, |question| answer(question, owner));
}

fn answer(question: Message, owner: &Owner) -> Result<Message, Refused> {
    let index = &owner.index;
    let Message::SizeQuestion(question) = question else {
        return Err(super::unexpected(&question, "size"));
    };
    fail_point!("size.answer").map_err(|e| Refused::new(Why::Busy, e.to_string()))?;
    let root = question.root;
    let looking = index.is_looking();
    let size = index.entry_of(&root).map(|entry| entry.size);
    if size.is_none()
        && let Some((have, manifest)) = owner.ctx.fetching.manifest(&root)
    {
        let values = if question.manifest { manifest.values().to_vec() } else { Vec::new() };
        return Ok(SizeAnswer { size: manifest.size(), have, values: List::of(values) }.into());
    }
    if size.is_none()
        && let Some(words) = owner.downloads.file_stands_still(&root)
    {
        return Err(Refused::new(Why::Later, words));
    }
    let values = question.manifest.then(|| index.manifest(&root).map(|m| m.values().to_vec()));
    Ok(describe(&root, size, values, looking)?.into())
}

/// What to answer, given the size of the file, if it is here, and its values, if they were asked
/// for and are here: it may be forgotten between the two looks. `looking`: it may be found yet.
fn describe(
    root: &Root,
    size: Option<u64>,
    values: Option<Option<Vec<ChunkValue>>>,
    looking: bool,
) -> Result<SizeAnswer, Refused> {
    let missing = || super::absent(looking, &format!("{root} is not here"));
    let size = size.ok_or_else(missing)?;
    let values = match values {
        Some(values) => values.ok_or_else(missing)?,
        None => Vec::new(),
    };
    Ok(SizeAnswer { size, have: Bitmap::all(chunk_count(size)), values: List::of(values) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::tracker::Why;

    #[test]
    fn a_file_forgotten_between_the_two_looks_is_not_here() {
        let root = Root::of(b"a");
        let refused = describe(&root, Some(1_000_000), Some(None), false).unwrap_err();
        assert_eq!(refused.why, Why::NotHere);
        assert!(describe(&root, None, None, false).is_err());
        let early = describe(&root, None, None, true).unwrap_err();
        assert_eq!(early.why, Why::Busy, "the folders are still being looked through");
        assert!(describe(&root, Some(1_000_000), None, true).unwrap().values.is_empty());
        let one = describe(&root, Some(1), Some(Some(vec![*root.as_bytes()])), false).unwrap();
        assert_eq!((one.size, one.values.len()), (1, 1));
    }
}
