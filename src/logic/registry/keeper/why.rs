//! Why a file has the copies it has, for who asks.
//!
//! Invariant: the words come from `logic::replication`, of the view from which plans are made.

use super::super::Registry;
use super::super::index::{Content, names_of};
use crate::base::{Name, NodeId, Root, RootPrefix, Time};
use crate::logic::replication::{self, File, View};
use crate::wire::message::copies::{
    CopyState, WHY_FILES_MAX, WhyAnswer, WhyComing, WhyCopy, WhyFile, WhyQuestion,
};
use crate::wire::{List, Text};

/// What is said of a root of which more is listed than is looked at.
const CUT: &str = "more names or nodes list it than are counted; it is left as it is";

impl Registry {
    /// All contents that are meant.
    pub fn why(&self, now: Time, question: &WhyQuestion) -> WhyAnswer {
        let named = self.index.roots_of(&question.name);
        let roots = match named.is_empty() {
            true => self.roots_like(question.name.as_str()),
            false => named,
        };
        let fits = |root: &Root| question.root.as_ref().is_none_or(|prefix| prefix.fits(root));
        let meant = roots.into_iter().filter(fits).take(WHY_FILES_MAX);
        let mut view = self.nodes_in_view(now);
        let files = meant.filter_map(|root| self.why_root(now, &question.name, &root, &mut view));
        WhyAnswer { files: List::of(files.collect()) }
    }

    fn roots_like(&self, word: &str) -> Vec<Root> {
        let prefix = word.strip_prefix('@').unwrap_or(word).parse::<RootPrefix>();
        prefix.map_or(Vec::new(), |prefix| self.index.roots_from(&prefix, WHY_FILES_MAX))
    }

    /// The view is of all nodes; it is given back as it was.
    fn why_root(&self, now: Time, asked: &Name, root: &Root, view: &mut View) -> Option<WhyFile> {
        let content = self.index.content(root)?;
        let file = self.file_in_view(now, &content, view);
        let size = file.size;
        let copies = content.holders.iter().map(|(id, holder)| WhyCopy {
            node: *id,
            label: Text::of(self.label_of(id)),
            kept: holder.kept,
            state: state(&file, view, id),
            seen_s: self.seen_s(now, id),
        });
        let coming = self.keeper.orders.of_root(root).filter_map(|(id, order)| {
            let label = self.label(id)?.clone();
            let since_s = seconds(now.since(order.since).as_secs());
            Some(WhyComing { node: *id, label, since_s })
        });
        let (copies, coming) = (List::of(copies.collect()), List::of(coming.collect()));
        view.files.insert(*root, file);
        let why = replication::why(view, now, root);
        view.files.remove(root);
        let why = why?;
        let text = match content.is_cut {
            true => CUT.to_owned(),
            false => why.to_string(),
        };
        Some(WhyFile {
            name: name_of(self, &content, size, asked)?,
            size,
            root: *root,
            wanted: why.wanted as u32,
            there: why.there.len() as u32,
            copies,
            coming,
            text: Text::of(text),
        })
    }

    fn label_of(&self, id: &NodeId) -> String {
        let gone = || self.keeper.gone.get(id).map(|gone| &gone.label);
        self.label(id).or_else(gone).map(ToString::to_string).unwrap_or_default()
    }

    fn seen_s(&self, now: Time, id: &NodeId) -> u32 {
        let gone = || self.keeper.gone.get(id).map(|gone| gone.since);
        let heard = self.nodes.get(id).map(|node| node.last_heard).or_else(gone);
        heard.map_or(u32::MAX, |heard| seconds(now.since(heard).as_secs()))
    }
}

fn seconds(seconds: u64) -> u32 {
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// The name that was asked for, if it is one of it.
fn name_of(registry: &Registry, content: &Content, size: u64, asked: &Name) -> Option<Name> {
    let mut names = names_of(&registry.index, content, size);
    let first = names.next()?;
    match first == asked.as_str() || names.any(|name| name == asked.as_str()) {
        true => Some(asked.clone()),
        false => Name::parse(first).ok(),
    }
}

fn state(file: &File, view: &View, id: &NodeId) -> CopyState {
    let is_there = view.nodes.get(id).is_some_and(|node| node.gone_since.is_none());
    // Who tells another size than most has something else.
    if file.doubted.contains(id) || !file.holders.contains_key(id) {
        CopyState::Doubted
    } else if file.leaving.contains(id) {
        CopyState::Leaving
    } else if is_there && !file.unsure.contains(id) {
        CopyState::There
    } else {
        CopyState::Away
    }
}
