//! The values that flags take, each read with words that say what is wanted.
//!
//! Invariant: whatever comes out of here is valid; nothing behind `ui::args` checks again.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::base::name::NameError;
use crate::base::{Name, NodeLabel, Rate, RootPrefix};
use crate::io::link::Bulk;
use crate::logic::pattern::part_or_glob;
use crate::logic::registry::COPIES_WANTED_MAX;
use crate::logic::scrub::ScrubPace;
use crate::wire::message::find::Pattern;

/// Longest time a flag may ask for: a day.
const SECONDS_MAX: f64 = 86_400.0;
/// Shortest: tests go down to this.
const SECONDS_MIN: f64 = 0.01;
/// Largest file to measure with, bytes.
const FILE_SIZE_MAX: u64 = 16 << 30;
/// Highest first port of a node, which takes three in a row.
const PORT_BASE_MAX: u16 = u16::MAX - 2;

/// `--listen` of a tracker.
pub(super) fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an address with a port, like 0.0.0.0:12345".into())
}

/// `--listen` of a node.
pub(super) fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "expected an IP address without a port, like 192.168.1.5".into())
}

/// `--advertise`: an address others can dial.
pub(super) fn dialable_ip(text: &str) -> Result<IpAddr, String> {
    match ip(text)? {
        ip if ip.is_unspecified() || ip.is_multicast() => {
            Err("expected the one address at which others reach this node".into())
        }
        ip => Ok(ip),
    }
}

/// The name of a user of the machine, as every system takes it.
pub(super) fn account(text: &str) -> Result<String, String> {
    let first = |c: char| c.is_ascii_lowercase() || c == '_';
    let later = |c: char| first(c) || c.is_ascii_digit() || c == '-';
    match text.starts_with(first) && text.len() <= 32 && text.chars().all(later) {
        true => Ok(text.to_owned()),
        false => Err("expected the name of a user, like parvi".into()),
    }
}

/// `--tracker`: a host, a colon, a port. The name is resolved at each attempt, not here.
pub(super) fn host_port(text: &str) -> Result<String, String> {
    let wanted = || "expected HOST:PORT, like 192.168.1.5:12345".to_string();
    let (host, port) = text.rsplit_once(':').ok_or_else(wanted)?;
    let bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
    let odd = host.is_empty() || bare_v6 || host.contains(|c: char| c.is_whitespace() || c == '/');
    match port.parse::<u16>() {
        Ok(1..) if !odd => Ok(text.to_owned()),
        _ => Err(wanted()),
    }
}

/// A number of seconds, or a time like `500ms`.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let plain = text.parse::<f64>().ok().filter(|s| s.is_finite());
    let spoken = || humantime::parse_duration(text).ok().map(|d| d.as_secs_f64());
    match plain.or_else(spoken) {
        Some(s) if (SECONDS_MIN..=SECONDS_MAX).contains(&s) => Ok(Duration::from_secs_f64(s)),
        _ => Err(format!("expected seconds from {SECONDS_MIN} to {SECONDS_MAX}, like 20")),
    }
}

/// `--port-base`: the search port; size and chunk take the two behind it.
pub(super) fn port_base(text: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(port @ 1..=PORT_BASE_MAX) => Ok(port),
        _ => Err(format!("expected a port from 1 to {PORT_BASE_MAX}: three in a row are used")),
    }
}

/// `--name`.
pub(super) fn label(text: &str) -> Result<NodeLabel, String> {
    text.parse().map_err(|e: crate::base::endpoint::LabelError| e.to_string())
}

/// `--replicas`.
pub(super) fn replicas(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(copies @ 1..=COPIES_WANTED_MAX) => Ok(copies),
        _ => Err(format!(
            "expected how many copies of a file there are to be, its owner's counted, from 1 to \
             {COPIES_WANTED_MAX}; 1 makes no others"
        )),
    }
}

/// `--replicas-for`: a pattern as `files` takes it, and a number.
pub(super) fn replicas_for(text: &str) -> Result<(Pattern, u32), String> {
    let wanted = || "expected PATTERN=N, like *.tmp=1".to_owned();
    let (pattern, copies) = text.rsplit_once('=').ok_or_else(wanted)?;
    let pattern = part_or_glob(pattern, false).map_err(|e| e.to_string())?;
    Ok((pattern, replicas(copies)?))
}

/// `--up`, `--down`.
pub(super) fn rate(text: &str) -> Result<Rate, String> {
    text.parse().map_err(|e: crate::base::rate::RateError| e.to_string())
}

/// `--replica-quota`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let wanted = || "expected a size, like 20GiB; 0 for none".to_string();
    text.trim().parse::<bytesize::ByteSize>().map(|size| size.0).map_err(|_| wanted())
}

/// `--scrub-rate`.
pub(super) fn scrub_rate(text: &str) -> Result<ScrubPace, String> {
    match text {
        "off" => Ok(ScrubPace::Off),
        "auto" => Ok(ScrubPace::Auto),
        rate => rate.parse().map(ScrubPace::Rate).map_err(|e: crate::base::rate::RateError| {
            format!("{e}; or off, or auto for all within a month")
        }),
    }
}

/// A bound on what a peer may send and receive, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line(pub Option<Rate>);

/// `--line`.
pub(super) fn line(text: &str) -> Result<Line, String> {
    match text {
        "off" => Ok(Line(None)),
        _ => rate(text).map(|rate| Line(Some(rate))).map_err(|why| format!("{why}; or off")),
    }
}

/// The size of a file to measure with.
pub(super) fn file_size(text: &str) -> Result<u64, String> {
    match text.parse::<bytesize::ByteSize>() {
        Ok(size) if (1..=FILE_SIZE_MAX).contains(&size.0) => Ok(size.0),
        _ => Err("expected a size up to 16GiB, like 8MiB or 500kB".into()),
    }
}

/// `--fsync`, `--share-downloaded`.
pub(super) fn yes_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("expected yes or no".into()),
    }
}

/// `--bulk`.
pub(super) fn bulk(text: &str) -> Result<Bulk, String> {
    match text {
        "private" => Ok(Bulk::Private),
        "clear" => Ok(Bulk::Clear),
        _ => {
            Err("expected private (inside the cipher) or clear (raw where both ends say so)".into())
        }
    }
}

/// `NAME` or what may be `NAME@ROOT`; a folder may be written with slashes at its end.
pub(super) fn content(text: &str) -> Result<(Name, Option<RootPrefix>), String> {
    let text = text.trim_end_matches('/');
    if let (name, Some(root)) = RootPrefix::split(text)
        && let Ok(name) = name.parse()
    {
        return Ok((name, Some(root)));
    }
    text.parse().map(|name| (name, None)).map_err(|e: NameError| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Text;

    #[test]
    fn trackers_are_a_host_and_a_port() {
        for good in ["localhost:1", "10.0.0.1:12345", "[::1]:80", "parvi-tracker:65535"] {
            assert_eq!(host_port(good).as_deref(), Ok(good));
        }
        for bad in ["", "host", "host:", ":1", "host:0", "host:65536", "::1:80", "a b:1", "h/x:1"] {
            assert!(host_port(bad).is_err(), "{bad:?} was taken for HOST:PORT");
        }
    }

    #[test]
    fn times_are_seconds_or_spoken_and_bounded() {
        assert_eq!(seconds("20"), Ok(Duration::from_secs(20)));
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("500ms"), Ok(Duration::from_millis(500)));
        for bad in ["", "0", "-1", "NaN", "inf", "1e9", "soon", "90000"] {
            assert!(seconds(bad).is_err(), "{bad:?} was taken for a time");
        }
    }

    #[test]
    fn a_number_of_copies_is_at_least_one_and_a_pattern_may_have_its_own() {
        assert_eq!(replicas("1"), Ok(1));
        for bad in ["0", "-1", "65", "two", "", "1.5", "99999999999"] {
            assert!(replicas(bad).is_err_and(|text| text.contains("from 1 to 64")), "{bad:?}");
        }
        let glob = |text: &str| Pattern::Glob { text: Text::of(text), ignore_case: false };
        assert_eq!(replicas_for("a=b*=3"), Ok((glob("a=b*"), 3)));
        for bad in ["*.tmp", "=2", "*.tmp=0", "a[=2", "*.tmp="] {
            assert!(replicas_for(bad).is_err(), "{bad:?} was taken for PATTERN=N");
        }
    }

    #[test]
    fn a_line_may_be_off_and_files_to_measure_with_are_bounded() {
        assert_eq!(line("off"), Ok(Line(None)));
        assert_eq!(line("8MiB"), Ok(Line(Some(Rate::per_second(8 << 20)))));
        assert!(line("fast").is_err() && line("0").is_err());
        assert_eq!(file_size("1MiB"), Ok(1 << 20));
        for bad in ["0", "-1", "17GiB", "big", ""] {
            assert!(file_size(bad).is_err(), "{bad:?} was taken for a size");
        }
    }

    #[test]
    fn a_quota_is_a_size_and_a_scrub_has_a_rate_or_none() {
        assert_eq!(
            (size("20KiB"), size("0"), size("5 GB")),
            (Ok(20_480), Ok(0), Ok(5_000_000_000))
        );
        for bad in ["", "-1", "much", "5 apples", "1e400"] {
            assert!(size(bad).is_err(), "{bad:?} was taken for a size");
        }
        assert_eq!(scrub_rate("off"), Ok(ScrubPace::Off));
        assert_eq!(scrub_rate("1MiB"), Ok(ScrubPace::Rate(Rate::per_second(1 << 20))));
        assert!(scrub_rate("0").is_err() && scrub_rate("never").is_err());
    }

    #[test]
    fn ports_leave_room_for_three() {
        assert_eq!(port_base("65533"), Ok(65533));
        assert!(port_base("65534").is_err() && port_base("0").is_err());
    }

    #[test]
    fn an_advertised_address_can_be_dialled() {
        assert!(dialable_ip("0.0.0.0").is_err() && dialable_ip("224.0.0.1").is_err());
        assert!(dialable_ip("10.1.2.3").is_ok());
    }
}
