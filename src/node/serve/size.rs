//! The size listener: how large is a content, which chunks are here, what are their values?

use crate::base::chunk::chunk_count;
use crate::base::manifest::ChunkValue;
use crate::base::{Bitmap, Root};
use crate::io::failpoint::fail_point;
use crate::io::index::Index;
use crate::io::link::Link;
use crate::wire::message::size::SizeAnswer;
use crate::wire::message::tracker::{Refused, Why};
use crate::wire::{List, Message};

/// One connection.
pub(in crate::node) fn serve(link: Link, index: &Index) {
    super::answer_questions(link, |question| answer(question, index));
}

fn answer(question: Message, index: &Index) -> Result<Message, Refused> {
    let Message::SizeQuestion(question) = question else {
        return Err(super::unexpected(&question, "size"));
    };
    fail_point!("size.answer").map_err(|e| Refused::new(Why::Busy, e.to_string()))?;
    let root = question.root;
    let size = index.entry_of(&root).map(|entry| entry.size);
    let values = question.manifest.then(|| index.manifest(&root).map(|m| m.values().to_vec()));
    Ok(describe(&root, size, values)?.into())
}

/// What to answer, given the size of the file, if it is here, and its values, if they were asked
/// for and are here: it may be forgotten between the two looks.
fn describe(
    root: &Root,
    size: Option<u64>,
    values: Option<Option<Vec<ChunkValue>>>,
) -> Result<SizeAnswer, Refused> {
    let missing = || Refused::new(Why::NotHere, format!("{root} is not here"));
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

    #[test]
    fn a_file_forgotten_between_the_two_looks_is_not_here() {
        let root = Root::of(b"a");
        let refused = describe(&root, Some(1_000_000), Some(None)).unwrap_err();
        assert_eq!(refused.why, Why::NotHere);
        assert!(describe(&root, None, None).is_err());
        assert!(describe(&root, Some(1_000_000), None).unwrap().values.is_empty());
        let one = describe(&root, Some(1), Some(Some(vec![*root.as_bytes()]))).unwrap();
        assert_eq!((one.size, one.values.len()), (1, 1));
    }
}
