//! What people type and files hold: rates, labels, identities. Anything is a value or an error,
//! and a value's own text is that value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parvi::base::name::printable;
use parvi::base::{NodeId, NodeLabel, Rate, Root};

fuzz_target!(|text: &str| {
    if let Ok(rate) = text.parse::<Rate>() {
        assert!(rate.bytes() > 0);
        assert!(rate.to_string().parse::<Rate>().is_ok(), "{rate} is not read back");
    }
    if let Ok(label) = text.parse::<NodeLabel>() {
        assert_eq!(label.to_string(), text);
    }
    if let Ok(root) = text.parse::<Root>() {
        assert_eq!(root.to_string(), text.to_lowercase());
    }
    if let Ok(id) = text.parse::<NodeId>() {
        assert_eq!(id.to_string().parse::<NodeId>(), Ok(id));
    }
    assert!(!printable(text).chars().any(char::is_control));
});
