//! The doctor's report for people: a line for what was looked at; below it, where something is wrong, what,
//! and what to do. Problems come last, so that they are what is seen.

use crate::base::name::printable;
use crate::logic::doctor::{Finding, Level, Report};

/// The whole report.
pub(super) fn doctor_text(report: &Report) -> String {
    let mut findings: Vec<&Finding> = report.findings.iter().collect();
    findings.sort_by_key(|finding| finding.level);
    let mut out: String = findings.into_iter().map(finding_text).collect();
    out.push_str(&match (report.problems, report.warnings) {
        (0, 0) => "all is well\n".to_owned(),
        (problems, warnings) => {
            format!("{}, {}\n", count(problems, "problem"), count(warnings, "warning"))
        }
    });
    out
}

fn finding_text(finding: &Finding) -> String {
    let Finding { check, level, seen, wrong, todo } = finding;
    let level = match level {
        Level::Ok => "ok",
        Level::Warning => "warning",
        Level::Problem => "PROBLEM",
    };
    let check = format!("{check:?}").to_lowercase();
    let mut out = format!("{level:<8} {check:<10} {}\n", printable(seen));
    for (word, text) in [("", wrong), ("-> ", todo)] {
        if !text.is_empty() {
            out.push_str(&format!("{:20}{word}{}\n", "", printable(text)));
        }
    }
    out
}

fn count(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}
