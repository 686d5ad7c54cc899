//! A requester that keeps nothing, to measure what it costs an owner to serve it: with `resumable`
//! the owner logs the upload, with `once` it does not, and nothing else differs.
//!
//! ```text
//! requester open OWNER once|resumable FILE SECONDS THREADS   opens FILE again and again
//! requester fetch OWNER once|resumable PATH                  fetches a file, or a folder's small files
//! ```
//!
//! OWNER is the address of a chunk listener whose node shares the same file or files. It prints JSON;
//! `bench/log.sh` reads it.
#![allow(clippy::print_stdout, reason = "a program for people")]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

mod fetch;
mod open;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use parvi::base::Root;
use parvi::io::link::{self, Bulk, Link, LinkConfig, StaticKey};
use parvi::logic::batch::{Plan, Wanted, plan};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: requester open OWNER once|resumable FILE SECONDS THREADS
       requester fetch OWNER once|resumable PATH";

/// Whom it asks, and how.
struct Owner {
    address: SocketAddr,
    resumable: bool,
}

impl Owner {
    fn dial(&self, config: &LinkConfig) -> Result<Link, Failure> {
        Ok(link::dial(self.address, IpAddr::from([127, 0, 0, 1]), config, None)?)
    }
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let owner = |address: &str, how: &str| -> Result<Owner, Failure> {
        let resumable = match how {
            "once" => false,
            "resumable" => true,
            _ => return Err(USAGE.into()),
        };
        Ok(Owner { address: address.parse()?, resumable })
    };
    match args[..] {
        ["open", address, how, file, seconds, threads] => {
            let plan = planned(&[PathBuf::from(file)])?;
            open::run(&owner(address, how)?, &plan, seconds.parse()?, threads.parse()?)
        }
        ["fetch", address, how, path] => {
            let plan = planned(&files(Path::new(path))?)?;
            fetch::run(&owner(address, how)?, &plan)
        }
        _ => Err(USAGE.into()),
    }
}

fn stranger() -> Result<LinkConfig, Failure> {
    Ok(LinkConfig::new(StaticKey::generate()?, None, Bulk::Private))
}

fn files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path)? {
        found.extend(files(&entry?.path())?);
    }
    found.sort();
    Ok(found)
}

/// The sets that a node would open for these files.
fn planned(files: &[PathBuf]) -> Result<Plan, Failure> {
    let mut wanted = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let bytes = std::fs::read(file)?;
        wanted.push(Wanted { index, size: bytes.len() as u64, root: Root::of(&bytes) });
    }
    Ok(plan(&wanted))
}
