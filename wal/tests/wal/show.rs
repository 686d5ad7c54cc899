//! `dump` and `verify`: they tell, and touch nothing.

use parvi_wal::{Disk, Fault, Record, Storage, Wal, dump, hex, verify};

use super::common::{OWNER, copy, log_of, open, options, record, segments};

#[test]
fn a_whole_log_verifies_and_shows_every_record() {
    let (storage, records) = log_of(60, 100, 4096);
    let (wal, _) = open(&storage, 4096);
    wal.checkpoint(&records).unwrap();
    wal.append_lazy(&record(99, 20)).unwrap();
    let operations = storage.operations();
    let names = storage.names();
    let verdict = verify(&storage, None).unwrap();
    assert_eq!((verdict.code, verdict.records), (0, 61), "{}", verdict.report);
    let text = dump(&storage, &|r| format!("<{}>", hex(&r.payload[..8]))).unwrap();
    assert_eq!(text.matches(" bytes: <").count(), 61, "{text}");
    for expected in ["checkpoint", "owner 0707070707070707", "end of the live set", "kind 2, "] {
        assert!(text.contains(expected), "no {expected:?} in\n{text}");
    }
    assert!(storage.operations() > operations && storage.names() == names);
}

#[test]
fn every_problem_is_named_with_file_and_offset() {
    let (storage, _) = log_of(60, 100, 4096);
    let names = segments(&storage);
    let mut bytes = storage.bytes(&names[0]);
    bytes[1100] ^= 1;
    storage.put(&names[0], bytes);
    let mut bytes = storage.bytes(&names[1]);
    bytes[7] ^= 1;
    storage.put(&names[1], bytes);
    let last = names.last().unwrap();
    storage.put(last, [storage.bytes(last), vec![1; 100]].concat());
    let before = copy(&storage);
    for owner in [None, Some(OWNER)] {
        let verdict = verify(&storage, owner).unwrap();
        assert_eq!(verdict.code, 1);
        assert_eq!(verdict.report.damage.len(), 2, "{}", verdict.report);
        let text = verdict.report.to_string();
        assert!(
            text.contains(&format!("{}: at 1024: corrupt: 136 bytes, records 1 to 1", names[0])),
            "{text}"
        );
        assert!(text.contains(&format!("{}: at 0: a copy of the header", names[1])), "{text}");
        assert!(text.contains("unfinished end of 100 bytes"), "{text}");
    }
    let strange = verify(&storage, Some([1; 32])).unwrap();
    assert!(strange.report.damage.iter().all(|d| d.what == Fault::Foreign(OWNER)));
    let text = dump(&storage, &|_| String::new()).unwrap();
    assert!(text.contains("1024  136 bytes are no record"), "{text}");
    let same = |name: &String| storage.bytes(name) == before.bytes(name);
    assert!(storage.names().iter().all(same) && storage.names() == before.names());
}

#[test]
fn a_log_in_use_can_be_looked_at_read_only() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = Wal::open_dir(dir.path(), options(4096)).unwrap();
    wal.append_durable(&Record::new(3, *b"hello")).unwrap();
    let disk = Disk::read_only(dir.path());
    assert_eq!(verify(&disk, None).unwrap().records, 1);
    assert!(
        dump(&disk, &|r| String::from_utf8_lossy(&r.payload).into_owned())
            .unwrap()
            .contains("hello")
    );
    assert!(disk.open(&disk.list().unwrap()[0]).is_ok());
    let missing = verify(&Disk::read_only(dir.path().join("none")), None).unwrap_err();
    assert!(missing.to_string().starts_with("could not list"), "{missing}");
}
