//! Session cookies. Only a sealed value must open, and only under the same name.
#![no_main]
#![allow(dead_code, unused_imports, reason = "the modules are the gateway's own, and not all of them is used here")]

#[path = "../mirror/session.rs"]
mod session;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use session::Key;
use session::KeyRing;

static RING: LazyLock<KeyRing> = LazyLock::new(|| {
    let key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    KeyRing::new([Key::from_hex(key).unwrap()]).unwrap()
});

fuzz_target!(|input: &[u8]| {
    assert_eq!(session::open(&RING, "c", input), None, "a cookie can't be sealed without the key");
    if let Ok(text) = std::str::from_utf8(input) {
        let _ = Key::from_hex(text);
    }
    let sealed = session::seal(&RING, "c", input).unwrap();
    // A value of any size can be sealed, but one that is too long is not opened.
    let opened = session::open(&RING, "c", sealed.as_bytes());
    assert_eq!(opened.as_deref(), (sealed.len() <= 8 * 1024).then_some(input));
    assert_eq!(session::open(&RING, "d", sealed.as_bytes()), None);
    let (Some(at), Some(by)) = (input.first(), input.get(1)) else { return };
    let mut changed = sealed.into_bytes();
    let at = usize::from(*at) % changed.len();
    if changed[at] != *by {
        changed[at] = *by;
        assert_eq!(session::open(&RING, "c", &changed), None);
    }
});
