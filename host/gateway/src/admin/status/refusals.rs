//! The last requests that were refused, with the reasons that the clients weren't told. They are kept in memory, for the status
//! page; the audit log has all of them.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::SystemTime;

/// How many are kept.
const MOST: usize = 100;

/// The longest text of one, in bytes.
const MAX_TEXT: usize = 512;

/// A request that was refused. It has neither a query nor a header.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// When.
    pub(crate) time: SystemTime,
    /// The status of the response.
    pub(crate) status: u16,
    /// The method of the request.
    pub(crate) method: String,
    /// The path of the request.
    pub(crate) path: String,
    /// The route. `None` if none matches.
    pub(crate) route: Option<String>,
    /// The address of the client.
    pub(crate) client: String,
    /// The user, or the name that the credentials claim. `None` if they name no user.
    pub(crate) user: Option<String>,
    /// Why.
    pub(crate) why: String,
    /// The id of the request, by which the log and the client know it.
    pub(crate) request_id: String,
}

/// The last of them.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<VecDeque<Refused>>);

impl Refusals {
    /// Adds one, and forgets the oldest if there are too many.
    pub(crate) fn add(&self, mut refused: Refused) {
        let texts = [&mut refused.path, &mut refused.why]
            .into_iter()
            .chain(&mut refused.user);
        for text in texts {
            if let Some((end, _)) = text.char_indices().find(|(index, c)| index + c.len_utf8() > MAX_TEXT) {
                text.truncate(end);
                text.push('…');
            }
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.pop_back();
        }
        kept.push_front(refused);
    }

    /// All, the newest first.
    pub(crate) fn all(&self) -> Vec<Refused> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_hundred_are_kept_and_their_texts_are_bounded() {
        let refusals = Refusals::default();
        for number in 0..130 {
            refusals.add(Refused {
                time: SystemTime::now(),
                status: 403,
                method: "GET".to_owned(),
                path: format!("/{number}"),
                route: None,
                client: String::new(),
                user: Some("é".repeat(300)),
                why: "x".repeat(600),
                request_id: String::new(),
            });
        }
        let all = refusals.all();
        let ends = [all.first(), all.last()].map(|refused| refused.unwrap().path.clone());
        assert_eq!((all.len(), ends), (100, ["/129".to_owned(), "/30".to_owned()]));
        assert_eq!(all[0].user.as_deref(), Some(format!("{}…", "é".repeat(256)).as_str()));
        assert_eq!(all[0].why, format!("{}…", "x".repeat(512)));
    }
}
