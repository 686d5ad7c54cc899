//! The search listener: who has this name? Answered from the index in memory, page by page; what is being
//! fetched and served meanwhile is told on the first.

use crate::io::index::Index;
use crate::io::link::Link;
use crate::node::context::Context;
use crate::wire::message::search::SearchAnswer;
use crate::wire::message::tracker::Refused;
use crate::wire::{List, Message};

/// One connection.
pub(in crate::node) fn serve(link: Link, index: &Index, ctx: &Context) {
    super::answer_questions(link, |question| answer(question, index, ctx));
}

fn answer(question: Message, index: &Index, ctx: &Context) -> Result<Message, Refused> {
    let Message::SearchQuestion(question) = question else {
        return Err(super::unexpected(&question, "search"));
    };
    ctx.counters.searches_answered.one();
    // Looked at first: what has its name meanwhile is in the index.
    let parts = match question.after {
        None => ctx.fetching.parts(&question.name),
        Some(_) => Vec::new(),
    };
    let (files, more) = index.find(&question.name, question.after.as_ref());
    Ok(SearchAnswer { files: List::of(files), parts: List::of(parts), more }.into())
}
