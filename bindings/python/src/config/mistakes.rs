//! Mistakes in a configuration, and where they are.

use std::cell::RefCell;

/// The mistakes found so far.
#[derive(Default)]
pub(super) struct Mistakes(RefCell<Vec<String>>);

impl Mistakes {
    pub(super) fn report(&self, place: &str, message: impl AsRef<str>) {
        self.0.borrow_mut().push(format!("{place}: {}", message.as_ref()));
    }

    pub(super) fn into_inner(self) -> Vec<String> {
        self.0.into_inner()
    }
}

/// The place below another: of a key, or of an index, which is all digits.
pub(super) fn place(above: &str, path: &[String]) -> String {
    let mut place = above.to_owned();
    for key in path {
        place = if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit()) {
            format!("{place}[{key}]")
        } else {
            below(&place, key)
        };
    }
    place
}

/// The place of a key.
pub(super) fn below(above: &str, key: &str) -> String {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if !key.is_empty() && key.bytes().all(allowed) {
        format!("{above}.{key}")
    } else {
        format!("{above}.{key:?}")
    }
}

/// The message for an unknown key. It suggests the nearest known one, or lists all of them.
pub(super) fn unknown<'a>(key: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known = Vec::from_iter(known);
    match nearest(key, &known) {
        Some(nearest) => format!("unknown key; did you mean {nearest:?}?"),
        None if known.is_empty() => "unknown key; there are none".to_owned(),
        None => format!("unknown key; expected one of {}", known.join(", ")),
    }
}

/// The nearest known key, if at most a third of its letters differ, ignoring case.
fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |known: &str| strsim::osa_distance(&key.to_lowercase(), &known.to_lowercase());
    let nearest = known.iter().min_by_key(|known| distance(known))?;
    (distance(nearest) <= (nearest.chars().count() / 3).max(1)).then_some(nearest)
}
