//! Session cookies: a cookie opens only if it was sealed under the same name.
#![cfg_attr(feature = "libfuzzer", no_main)]

use std::sync::LazyLock;

use portcullis::session::Key;
use portcullis::session::KeyRing;

static RING: LazyLock<KeyRing> = LazyLock::new(|| {
    let key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    KeyRing::new([Key::from_hex(key).unwrap()]).unwrap()
});

portcullis_fuzz::target!(|input: &[u8]| {
    assert_eq!(RING.open("c", input), None, "a cookie can't be sealed without the key");
    if let Ok(text) = std::str::from_utf8(input) {
        let _ = Key::from_hex(text);
    }
    let sealed = RING.seal("c", input).unwrap();
    // Every cookie opens that isn't larger than the limit for decoding.
    let opened = RING.open("c", sealed.as_bytes());
    assert_eq!(opened.as_deref(), (sealed.len() <= 8 * 1024).then_some(input));
    assert_eq!(RING.open("d", sealed.as_bytes()), None);
    let (Some(at), Some(by)) = (input.first(), input.get(1)) else {
        return;
    };
    let mut changed = sealed.into_bytes();
    let at = usize::from(*at) % changed.len();
    if changed[at] != *by {
        changed[at] = *by;
        assert_eq!(RING.open("c", &changed), None);
    }
});
