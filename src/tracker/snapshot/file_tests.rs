use super::*;
use crate::base::{FileEntry, Modified, NodeId, Ports, Root, Time};
use crate::logic::registry::{Limits, Saving, SessionToken};
use crate::wire::List;
use crate::wire::message::copies::Offer;
use crate::wire::message::find::{FindQuestion, Pattern};
use crate::wire::message::tracker::{CatalogueDelta, Held, Register, Stamp};

fn some() -> Registry {
    let mut registry = Registry::new(1, Limits::default());
    let stamp = Stamp { epoch: 3, version: 1 };
    for n in 1..=2_u8 {
        let (id, session) = (NodeId::from_bytes([n; 32]), SessionToken(n.into()));
        let register = Register {
            instance: 1,
            label: "alice".parse().unwrap(),
            ports: Ports { search: 1, size: 2, chunk: 3 },
            advertise: None,
            heartbeat_s: 10,
            catalogue: stamp,
            offer: Offer::default(),
        };
        registry.on_register(Time::ZERO, session, id, [10, 0, 0, n].into(), &register).unwrap();
        let entry = FileEntry {
            name: "film".parse().unwrap(),
            size: 5,
            root: Root::of(b"film"),
            modified: Modified::default(),
            executable: false,
        };
        let page = CatalogueDelta {
            epoch: 3,
            from: 0,
            to: 1,
            added: List::of(vec![Held::shared(entry)]),
            removed: List::default(),
            taken_back: List::default(),
        };
        registry.on_catalogue(Time::ZERO, session, &page).unwrap();
    }
    registry
}

fn written(registry: &Registry) -> Vec<u8> {
    let (mut saving, mut writer) = (Saving::default(), Writer::begin(Vec::new()).unwrap());
    while let Some(record) = registry.save_step(Time::ZERO, &mut saving) {
        writer.write(&record).unwrap();
    }
    writer.into_inner()
}

fn restoring() -> Restoring {
    Restoring::new(Time::ZERO, Registry::new(2, Limits::default()))
}

#[test]
fn what_was_written_is_read() {
    let bytes = written(&some());
    let registry = read(&bytes[..], restoring()).unwrap();
    assert_eq!((registry.stale(), registry.totals()), (2, (0, 1, 5)));
    let question = FindQuestion { pattern: Pattern::All, after: None };
    let mut finding = crate::logic::registry::Finding::new(&question, 0).unwrap();
    registry.find(Time::ZERO, &mut finding);
    assert_eq!(finding.answer().found[0].entry.root, Root::of(b"film"));
    assert_eq!(written(&registry), bytes, "the same again");
}

#[test]
fn whatever_is_cut_off_flipped_or_added_is_refused() {
    let bytes = written(&some());
    for len in 0..bytes.len() {
        assert!(read(&bytes[..len], restoring()).is_err(), "cut off at {len}");
    }
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            assert!(read(&flipped[..], restoring()).is_err(), "bit {bit} of byte {at} flipped");
        }
    }
    for more in [&b"x"[..], &bytes] {
        let longer = [&bytes, more].concat();
        assert!(matches!(read(&longer[..], restoring()), Err(FileError::Trailing)));
    }
}

#[test]
fn what_it_is_instead_is_said() {
    let bytes = written(&some());
    let other = |version: u32| {
        let mut other = bytes.clone();
        other[8..12].copy_from_slice(&version.to_le_bytes());
        other
    };
    assert!(matches!(read(&other(2)[..], restoring()), Err(FileError::Version(2))));
    assert!(matches!(read(&b"a letter to grandma"[..], restoring()), Err(FileError::Foreign)));
    assert!(matches!(read(&b""[..], restoring()), Err(FileError::Cut)));
    let mut wide = bytes.clone();
    wide[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(read(&wide[..], restoring()), Err(FileError::Damaged(0))));
}

#[test]
fn a_disk_that_fills_is_told_at_whatever_byte() {
    /// Has room for so many bytes.
    struct Small(usize);
    impl Write for Small {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fits = bytes.len().min(self.0);
            self.0 -= fits;
            if fits == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(fits) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let registry = some();
    let len = written(&registry).len();
    let write = |room| {
        let (mut saving, mut writer) = (Saving::default(), Writer::begin(Small(room))?);
        while let Some(record) = registry.save_step(Time::ZERO, &mut saving) {
            writer.write(&record)?;
        }
        io::Result::Ok(())
    };
    assert!((0..len).all(|room| write(room).is_err()));
    assert!(write(len).is_ok());
}
