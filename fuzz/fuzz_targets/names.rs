//! What is taken for a name stays below its folder, keeps its bytes, and cannot drive a terminal.
#![no_main]

use std::path::Component;

use libfuzzer_sys::fuzz_target;
use parvi::base::Name;

fuzz_target!(|text: &str| {
    let Ok(name) = Name::parse(text) else { return };
    assert_eq!(name.as_str(), text);
    assert!(!text.contains('\0'));
    for part in name.as_path().components() {
        let Component::Normal(part) = part else { panic!("{name:?} has the part {part:?}") };
        assert!(part != ".parvi" && part.len() <= 255);
    }
    assert_eq!(name.components().collect::<Vec<_>>().join("/"), text);
    assert_eq!(Name::from_path(name.as_path()).as_ref(), Ok(&name));
    assert!(!name.to_string().chars().any(char::is_control));
    assert!(name.answers(&name) && !name.is_below(&name));
    if let Ok(inner) = name.join(&name) {
        assert!(inner.is_below(&name) && inner.answers(&name));
    }
});
