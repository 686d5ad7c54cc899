//! What came of a run, as a line of a table and as JSON.

use serde::{Deserialize, Serialize};

use crate::fair::{self, FileRow};
use crate::plan::{Outcome, Plan};

/// The table's head.
pub(crate) const HEAD: &str = "\
| lines | N | owners | chunks | L ms | seed | makespan s | /bound | fast /bound | first /bound | p50 /bound | sent by first /F | twice, each /F | messages each | KB each | busy | not done |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|";

/// One run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) scene: String,
    pub(crate) nodes: usize,
    /// Who has the file from the beginning.
    pub(crate) sources: usize,
    pub(crate) chunks: u32,
    pub(crate) latency_ms: f64,
    pub(crate) seed: u64,
    /// Seconds, and the same over the bound: all who stayed, the fast ones, the first, the middle one.
    pub(crate) makespan: f64,
    pub(crate) ratio: f64,
    pub(crate) fast: f64,
    pub(crate) earliest: f64,
    pub(crate) middle: f64,
    /// Over the file's bytes.
    pub(crate) first_sent: f64,
    pub(crate) twice: f64,
    /// A requester's share.
    pub(crate) messages: f64,
    pub(crate) message_bytes: f64,
    pub(crate) busy: u64,
    pub(crate) stalled: u64,
    pub(crate) violations: u64,
    pub(crate) unfinished: usize,
    pub(crate) events: u64,
    /// When there are several: each.
    #[serde(default)]
    pub(crate) files: Vec<FileRow>,
}

impl Row {
    pub(crate) fn of(plan: &Plan, outcome: &Outcome) -> Row {
        let (file, nodes) = (plan.bytes() as f64, plan.nodes as f64);
        let (messages, bytes) = outcome.messages();
        Row {
            scene: plan.scene.word().to_owned(),
            nodes: plan.nodes,
            sources: plan.sources,
            chunks: plan.chunks,
            latency_ms: plan.latency.as_secs_f64() * 1e3,
            seed: plan.seed,
            makespan: outcome.makespan,
            ratio: outcome.makespan / plan.bound_of_all(),
            fast: outcome.fast / plan.bound(),
            earliest: outcome.quantile(0.0) / plan.bound(),
            middle: outcome.quantile(0.5) / plan.bound(),
            first_sent: outcome.first_sent as f64 / file,
            twice: outcome.twice as f64 / nodes / file,
            messages: messages as f64 / nodes,
            message_bytes: bytes as f64 / nodes,
            busy: outcome.busy,
            stalled: outcome.stalled,
            violations: outcome.violations,
            unfinished: outcome.unfinished,
            events: outcome.events,
            files: fair::rows(plan, outcome),
        }
    }

    /// A line of the table.
    pub(crate) fn line(&self) -> String {
        format!(
            "| {} | {} | {} | {} | {} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.3} | {:.0} | {:.0} | {} | {} |",
            self.scene,
            self.nodes,
            self.sources,
            self.chunks,
            self.latency_ms,
            self.seed,
            self.makespan,
            self.ratio,
            self.fast,
            self.earliest,
            self.middle,
            self.first_sent,
            self.twice,
            self.messages,
            self.message_bytes / 1e3,
            self.busy,
            self.unfinished,
        )
    }
}

/// Rows that were printed as JSON lines.
pub(crate) fn read(text: &str) -> Result<Vec<Row>, serde_json::Error> {
    text.lines().filter(|line| line.starts_with('{')).map(serde_json::from_str).collect()
}

/// Messages of each kind, a requester's share of them.
pub(crate) fn kinds(plan: &Plan, outcome: &Outcome) -> String {
    let nodes = plan.nodes as f64;
    let kinds = outcome.said.iter().map(|(kind, (count, bytes))| {
        format!("{kind:?} {:.1} ({:.1} KB)", *count as f64 / nodes, *bytes as f64 / nodes / 1e3)
    });
    let other = format!("stalled {}, violations {}", outcome.stalled, outcome.violations);
    kinds.chain([other]).collect::<Vec<_>>().join(", ")
}
