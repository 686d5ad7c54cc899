//! The search listener: who has this name, or files like this? Answered from the index in memory, page by page; what is being
//! fetched and served meanwhile is told on the first.

use crate::io::index::Index;
use crate::io::link::Link;
use crate::logic::pattern::{Matcher, PatternError};
use crate::node::context::Context;
use crate::wire::message::find::{FindAnswer, FindQuestion, Listed};
use crate::wire::message::search::SearchAnswer;
use crate::wire::message::tracker::{Refused, Why};
use crate::wire::{List, Message};

/// One connection.
pub(in crate::node) fn serve(link: Link, index: &Index, ctx: &Context) {
    super::answer_questions(link, |question| answer(question, index, ctx));
}

fn answer(question: Message, index: &Index, ctx: &Context) -> Result<Message, Refused> {
    let question = match question {
        Message::SearchQuestion(question) => question,
        Message::FindQuestion(question) => {
            ctx.counters.searches_answered.one();
            return find(&question, index).map(Message::from);
        }
        other => return Err(super::unexpected(&other, "search")),
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

/// What is shared here and meant by a pattern.
fn find(question: &FindQuestion, index: &Index) -> Result<FindAnswer, Refused> {
    let malformed = |e: PatternError| Refused::new(Why::Unexpected, e.to_string());
    let matcher = Matcher::new(&question.pattern).map_err(malformed)?;
    let (files, next) = index.search(&matcher, question.after.as_ref());
    let listed =
        |entry| Listed { entry, copies: 1, stale: false, seen_s: 0, owners: List::default() };
    Ok(FindAnswer { found: List::of(files.into_iter().map(listed).collect()), next })
}
