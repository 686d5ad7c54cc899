//! What machine this is, for results that one wants to compare later: processor, memory, kernel.
//!
//! Invariant: nothing here fails; what the system does not tell is an empty text or 0. Neither names nor
//! addresses are read, so that results can be published as they are.

use std::fs::File;
use std::thread::available_parallelism;

use serde::{Deserialize, Serialize};

/// A machine, and the program that ran there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Threads that it runs at once.
    pub cores: usize,
    /// Memory, bytes.
    pub memory: u64,
    /// The kernel's name and release.
    pub kernel: String,
}

impl Machine {
    /// This one.
    pub fn here() -> Machine {
        let uname = rustix::system::uname();
        let [system, release] =
            [uname.sysname(), uname.release()].map(|text| text.to_string_lossy().into_owned());
        let told = |path| std::fs::read_to_string(path).unwrap_or_default();
        Machine {
            cpu: value_of(&told("/proc/cpuinfo"), "model name").to_owned(),
            cores: available_parallelism().map_or(0, usize::from),
            memory: kibibytes(value_of(&told("/proc/meminfo"), "MemTotal")),
            kernel: format!("{system} {release}"),
        }
    }
}

/// How much else the machine does: processes that want to run, as a mean over the last minute.
pub fn load() -> f64 {
    let told = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    told.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

/// The BLAKE3 of the program that runs: two builds of one version differ here.
///
/// # Errors
/// When the program's file cannot be read.
pub fn build() -> std::io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open("/proc/self/exe")?)?;
    Ok(hasher.finalize().to_string())
}

/// The value of the first line `key : value` in `text`, or nothing.
fn value_of<'a>(text: &'a str, key: &str) -> &'a str {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(k, _)| k.trim() == key).map(|(_, v)| v.trim()).next().unwrap_or_default()
}

/// `16384 kB` in bytes.
fn kibibytes(text: &str) -> u64 {
    let number = text.split(' ').next().and_then(|n| n.parse::<u64>().ok());
    number.unwrap_or(0).saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_lists_is_read_and_what_is_missing_is_nothing() {
        let list = "processor\t: 0\nmodel name\t: A Processor: 3 GHz\nmodel name\t: another\n";
        assert_eq!(value_of(list, "model name"), "A Processor: 3 GHz");
        assert_eq!(value_of(list, "bogomips"), "");
        assert_eq!(kibibytes(value_of("MemTotal:       16384 kB\n", "MemTotal")), 16 << 20);
        assert_eq!(kibibytes(""), 0);
    }

    #[test]
    fn this_machine_has_memory_a_kernel_and_a_program() {
        let machine = Machine::here();
        assert!(machine.cores > 0 && machine.memory > 0, "{machine:?}");
        assert!(machine.kernel.starts_with("Linux "), "{machine:?}");
        assert_eq!(build().unwrap().len(), 64);
        assert!(load() >= 0.0);
    }
}
