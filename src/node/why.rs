//! Asks a tracker why a file has the copies it has.
//!
//! Invariant: the first tracker that knows the file answers; what it says is its own view.

use super::Node;
use super::dial::dial_tracker;
use crate::base::{Fault, FaultKind, Name, RootPrefix};
use crate::io::link::LinkError;
use crate::wire::Message;
use crate::wire::message::copies::{WhyFile, WhyQuestion};

impl Node {
    /// How it stands with the copies of a file, or of all files with a root.
    ///
    /// # Errors
    /// There is no tracker, none answers, or none knows the file.
    pub fn why(&self, name: Name, root: Option<RootPrefix>) -> Result<Vec<WhyFile>, Fault> {
        let question = WhyQuestion { name, root };
        let (mut away, mut answered) = (Vec::new(), false);
        for tracker in &self.ctx.trackers {
            match self.why_of(tracker, &question) {
                Ok(files) if files.is_empty() => answered = true,
                Ok(files) => return Ok(files),
                Err(e) => away.push(format!("{tracker}: {e}")),
            }
        }
        let name = &question.name;
        Err(match (answered, away.is_empty()) {
            (true, _) => {
                let text = format!("no node has told the tracker of {name}");
                Fault::new(FaultKind::NotFound, text)
            }
            (false, true) => {
                let text = "this node has no tracker; only a tracker keeps copies of files";
                Fault::new(FaultKind::Network, text)
            }
            (false, false) => {
                let text = format!("no tracker could be asked for {name}: {}", away.join("; "));
                Fault::new(FaultKind::Network, text)
            }
        })
    }

    fn why_of(&self, tracker: &str, question: &WhyQuestion) -> Result<Vec<WhyFile>, LinkError> {
        let mut link = dial_tracker(&self.ctx, tracker)?;
        match link.ask(question.clone())? {
            Message::WhyAnswer(answer) => Ok(answer.files.into_vec()),
            other => Err(LinkError::Unexpected(other.kind())),
        }
    }
}
