//! The size listener: how large is a content, which chunks are here, what are their values?

use crate::base::Bitmap;
use crate::base::chunk::chunk_count;
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
    let Some(entry) = index.entry_of(&question.root) else {
        return Err(Refused::new(Why::NotHere, format!("{} is not here", question.root)));
    };
    let manifest = if question.manifest { index.manifest(&question.root) } else { None };
    let values = manifest.map(|m| m.values().to_vec()).unwrap_or_default();
    let have = Bitmap::all(chunk_count(entry.size));
    Ok(SizeAnswer { size: entry.size, have, values: List::of(values) }.into())
}
