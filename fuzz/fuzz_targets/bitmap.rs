//! Four bytes of length, then the bits. What is taken counts right and comes back as it was; then
//! the bits drive edits, held against a set.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use parvi::base::Bitmap;

fuzz_target!(|bytes: &[u8]| {
    let Some((len, bits)) = bytes.split_first_chunk::<4>() else { return };
    let len = u32::from_le_bytes(*len);
    if let Ok(map) = Bitmap::from_bytes(len, bits) {
        assert_eq!(map.to_bytes(), bits);
        assert_eq!(map.iter().count(), map.count() as usize);
        assert_eq!(map.count() as usize + map.iter_missing().count(), len as usize);
    }
    edits_behave_like_a_set(len % 512, bits);
});

fn edits_behave_like_a_set(len: u32, bits: &[u8]) {
    let (mut map, mut model) = (Bitmap::none(len), BTreeSet::new());
    for (at, byte) in bits.iter().enumerate() {
        let index = u32::from(*byte) * 2 + at as u32 % 3;
        if at % 4 == 3 {
            assert_eq!(map.remove(index), model.remove(&index));
        } else {
            assert_eq!(map.insert(index), index < len && model.insert(index));
        }
    }
    assert!(map.iter().eq(model.iter().copied()));
    assert_eq!(map.is_full(), model.len() == len as usize);
    assert_eq!(Bitmap::from_bytes(len, &map.to_bytes()), Ok(map));
}
