//! Thousands of variants of a valid configuration in which random pieces are removed, duplicated or replaced.

use std::path::Path;

use super::KEY;
use super::good::FULL;
use crate::config::Draft;
use crate::config::Environment;

/// Pseudorandom numbers with a fixed seed (Marsaglia's xorshift), so that a failure can be reproduced.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    /// Returns a random range of a text.
    fn range(&mut self, text: &str) -> std::ops::Range<usize> {
        let start = self.below(text.len());
        start..(start + self.below(12)).min(text.len())
    }
}

#[test]
fn a_mangled_configuration_is_valid_or_its_mistakes_have_a_location() {
    let environment = Environment::from([("KEY", KEY), ("API", "http://hub"), ("PASSWORD", "hunter2")]);
    let tokens = [
        "\"", "'''", "[[", "]", "=", ".", "\n", "-", "9e99", "0x7f", "{", "}", "\u{0}", "\u{fc}", "nan", "#",
    ];
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut good, mut wrong) = (0, 0);
    for _ in 0..3000 {
        let mut text = FULL.to_owned();
        for _ in 0..=numbers.below(4) {
            let piece = match numbers.below(3) {
                0 => String::new(),
                1 => tokens[numbers.below(tokens.len())].to_owned(),
                _ => {
                    let range = numbers.range(&text);
                    text.get(range).unwrap_or_default().to_owned()
                }
            };
            let range = numbers.range(&text);
            if text.is_char_boundary(range.start) && text.is_char_boundary(range.end) {
                text.replace_range(range, &piece);
            }
        }
        let errors = Draft::parse(Path::new("/etc/p/portcullis.toml"), &text, &environment).errors;
        if errors.is_empty() {
            good += 1;
            continue;
        }
        wrong += 1;
        for error in errors {
            let error = error.to_string();
            assert!(error.starts_with("/etc/p/portcullis.toml:"), "{error}\n{text}");
            assert!(!error.contains("hunter2") && !error.contains(KEY), "{error}");
        }
    }
    assert!(good > 20 && wrong > 1000, "{good} {wrong}");
}
