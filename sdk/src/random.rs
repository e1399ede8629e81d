//! Random numbers of the gateway, for what must not be guessed. A plugin that draws some while it is configured isn't copied: draw
//! them when a request needs them.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::host;

/// Random bytes.
pub fn bytes<const N: usize>() -> [u8; N] {
    let drawn = host::random(N);
    let mut bytes = [0; N];
    bytes.iter_mut().zip(drawn).for_each(|(byte, drawn)| *byte = drawn);
    bytes
}

/// A text that can't be guessed: 22 characters of base64url, which stand for 128 random bits.
pub fn text() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes::<16>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_texts_are_the_same() {
        let texts = std::collections::BTreeSet::from_iter((0..100).map(|_| text()));
        assert_eq!(texts.len(), 100);
        assert!(texts.iter().all(|text| text.len() == 22));
    }
}
