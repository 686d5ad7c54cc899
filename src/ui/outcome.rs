//! What a command came to, before anybody decides how it is shown.
//!
//! Invariant: an `Outcome` is data only; failures are `base::Fault`. `ui::render` turns it into
//! text for people or JSON for programs.

use std::net::IpAddr;

use crate::base::{Fault, Name, Rate};
use crate::logic::doctor::Report;
use crate::node::view::{
    DownloadReport, FileRow, IndexedFile, LookupHit, NodeStatus, PeerRow, ScrubStatus, Stats,
    TransferRow,
};
use crate::tracker;
use crate::wire::message::copies::WhyFile;

/// The answer to one command.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// `help`.
    Help(String),
    /// `getip`.
    Ip(IpAddr),
    /// `show`.
    Status(NodeStatus),
    /// `list`.
    Files(Vec<FileRow>),
    /// `lookup`.
    Found {
        /// What was asked for.
        name: Name,
        /// What there is.
        hits: Vec<LookupHit>,
    },
    /// `lookup` of a pattern.
    Matches(Vec<LookupHit>),
    /// `files` of a node.
    Indexed(Vec<IndexedFile>),
    /// `download` that goes on in the background.
    Started {
        /// Its transfer.
        id: u64,
        /// What was asked for.
        name: Name,
    },
    /// `download` that was waited for.
    Downloaded {
        /// What was asked for.
        name: Name,
        /// The files.
        reports: Vec<DownloadReport>,
    },
    /// `cancel`, `pause`, `resume`.
    Changed {
        /// The transfer.
        id: u64,
        /// `cancelled`, `paused`, `resumed`.
        to: &'static str,
    },
    /// `limit`.
    Limited {
        /// The transfer.
        id: u64,
        /// What it is held to, if to anything.
        rate: Option<Rate>,
    },
    /// `share`: the name under which others find it.
    Shared(Name),
    /// `unshare`.
    Unshared(Name),
    /// `peers` of a node.
    Peers(Vec<PeerRow>),
    /// `transfers`.
    Transfers(Vec<TransferRow>),
    /// `stats` of a node.
    Stats(Box<Stats>),
    /// `peers` of a tracker.
    TrackerPeers(Vec<tracker::PeerRow>),
    /// `files` of a tracker.
    TrackerFiles(Vec<tracker::FileRow>),
    /// `stats` of a tracker.
    TrackerStats(tracker::TrackerStats),
    /// `why`.
    Why(Vec<WhyFile>),
    /// `scrub`.
    Scrub(Box<ScrubStatus>),
    /// `stats reset`.
    StatsReset,
    /// `doctor`.
    Doctor(Report),
    /// `exit`, done.
    Left,
    /// Nothing to say: the user chose to do nothing.
    Nothing,
}

impl Outcome {
    /// What makes an answer a failure, although there is one.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Outcome::Doctor(report) if report.problems > 0 => {
                Some(Fault::other("something does not work; what to do stands behind each problem"))
            }
            _ => None,
        }
    }
}
