//! The search listener: who has this name? Answered from the index in memory, page by page.

use crate::io::index::Index;
use crate::io::link::Link;
use crate::node::counters::Counters;
use crate::wire::message::search::SearchAnswer;
use crate::wire::message::tracker::Refused;
use crate::wire::{List, Message};

/// One connection.
pub(in crate::node) fn serve(link: Link, index: &Index, counters: &Counters) {
    super::answer_questions(link, |question| answer(question, index, counters));
}

fn answer(question: Message, index: &Index, counters: &Counters) -> Result<Message, Refused> {
    let Message::SearchQuestion(question) = question else {
        return Err(super::unexpected(&question, "search"));
    };
    counters.searches_answered.one();
    let (files, more) = index.find(&question.name, question.after.as_ref());
    Ok(SearchAnswer { files: List::of(files), more }.into())
}
