//! `parvi ctl` and `parvi health`: one command over the control socket.

use std::ffi::OsString;
use std::net::Shutdown;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::args::{CtlArgs, HealthArgs};
use super::ctl::Answer;
use super::ctl::client::Client;
use super::daemon::Request;
use super::layers::Environment;
use super::{output, run};
use crate::base::{Fault, FaultKind};

/// A daemon that does not answer within this time is not well.
const HEALTH_TIME_MAX: Duration = Duration::from_secs(5);

/// `parvi ctl`; returns the daemon's exit code.
///
/// # Errors
/// No daemon there, or it went away.
pub(super) fn ctl(args: CtlArgs, env: Environment<'_>) -> Result<u8, Fault> {
    let data = run::node_data(args.data, env)?;
    let client = Client::connect(&data)?;
    let interrupted = end_on_ctrl_c(&client)?;
    let downloads = matches!(args.words.first().map(String::as_str), Some("download" | "request"));
    let folder = std::env::current_dir().ok();
    let request = Request { words: args.words, json: args.json, folder };
    let answered = client.ask(&request, &mut |answer| match answer {
        Answer::Out(text) => output::out(text),
        Answer::Err(text) => output::err(text),
        Answer::Exit(_) => {}
    });
    if !interrupted.load(Ordering::SeqCst) {
        return answered;
    }
    Err(Fault::new(
        FaultKind::Unfinished,
        match downloads {
            true => "interrupted; the download goes on in the node: parvi ctl transfers shows it",
            false => "interrupted; the node goes on with it",
        },
    ))
}

/// Ctrl-C ends the waiting, not the work: the connection is shut down and the daemon notices.
fn end_on_ctrl_c(client: &Client) -> Result<Arc<AtomicBool>, Fault> {
    let failed = |e: String| Fault::other(format!("cannot watch for Ctrl-C: {e}"));
    let stream = client.handle().map_err(|e| failed(e.to_string()))?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    let end = move || {
        flag.store(true, Ordering::SeqCst);
        if let Err(e) = stream.shutdown(Shutdown::Both) {
            log::debug!("the connection was closed already: {e}");
        }
    };
    ctrlc::set_handler(end).map_err(|e| failed(e.to_string()))?;
    Ok(interrupted)
}

/// `parvi health`: 0 or 1, with words.
///
/// # Errors
/// Why the daemon is not well; always with exit code 1.
pub(super) fn health(args: HealthArgs, env: Environment<'_>) -> Result<(), Fault> {
    let data = run::node_data(args.data, env)?;
    let (code, said) = quietly(&data, &["stats"], Some(HEALTH_TIME_MAX))
        .map_err(|fault| Fault::other(fault.text))?;
    if code != 0 {
        return Err(Fault::other(format!("what runs on {} is not well", data.display())));
    }
    output::out("well\n");
    if let Some(busy) = busy(&said) {
        output::err(&busy);
    }
    Ok(())
}

/// What a node that has just started is busy with, from its `stats`; a tracker never is.
fn busy(stats: &str) -> Option<String> {
    let stats: serde_json::Value = serde_json::from_str(stats).ok()?;
    let (files, hashing) = (stats["files"].as_u64()?, stats["hashing"].as_u64()?);
    let looking = stats["looking"].as_bool()? || hashing > 0;
    looking.then(|| {
        format!(
            "looking through its folders: {files} files shared so far, {hashing} to be hashed\n"
        )
    })
}

/// Runs `words` with `--json` on the daemon of `data`; returns the exit code with the document, or
/// with the messages where it failed.
///
/// # Errors
/// No daemon there, or it went away, or it was silent for longer than `patience`.
pub(super) fn quietly(
    data: &Path,
    words: &[&str],
    patience: Option<Duration>,
) -> Result<(u8, String), Fault> {
    let client = Client::connect(data)?;
    if let Some(within) = patience {
        client.set_patience(within).map_err(|e| Fault::other(e.to_string()))?;
    }
    let words = words.iter().map(ToString::to_string).collect();
    let (mut document, mut messages) = (String::new(), String::new());
    let code =
        client.ask(&Request { words, json: true, folder: None }, &mut |answer| match answer {
            Answer::Out(text) => document.push_str(text),
            Answer::Err(text) => messages.push_str(text),
            Answer::Exit(_) => {}
        })?;
    Ok((code, if code == 0 { document } else { messages }))
}

/// The environment of this process.
pub(super) fn process_environment(key: &str) -> Option<OsString> {
    std::env::var_os(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_says_that_it_still_looks_and_a_tracker_never_does() {
        let node = |hashing, looking| {
            busy(&format!("{{\"files\":3,\"hashing\":{hashing},\"looking\":{looking}}}"))
        };
        assert_eq!(node(0, false), None);
        let words = "looking through its folders: 3 files shared so far, 2 to be hashed\n";
        assert_eq!(node(2, true).as_deref(), Some(words));
        assert!(node(0, true).is_some() && node(1, false).is_some());
        assert_eq!(busy("{\"peers\":1,\"files\":3}"), None);
    }
}
