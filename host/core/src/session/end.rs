//! The end of a session, for what outlives the request that the session admitted, such as a WebSocket; and what gateways tell each
//! other of sessions that are over.

use std::sync::Arc;
use std::time::Duration;

use super::Revocation;
use super::Revocations;
use super::Session;
use super::SessionError;
use super::Sessions;
use super::ring::Purpose;
use super::sealed::Sealed;
use super::sealed::Time;

/// When a session is over, for a connection that lasts longer than its request.
#[derive(Clone, Debug)]
pub struct SessionEnd {
    session: Arc<Sealed>,
    ends: Time,
    revocations: Option<Arc<Revocations>>,
}

/// The clock of the system may be set meanwhile, so that the time that is left is computed again after this long.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

/// The most revocations of one message, which is shorter than a cookie.
const MAX_TOLD: usize = 200;

/// How old a message may be, and how far the clock of its sender may be ahead, in milliseconds.
const MAX_MESSAGE_AGE: Duration = Duration::from_secs(5 * 60);
const AHEAD: u64 = 60_000;

/// To which name messages are bound.
const MESSAGE: &str = "peers";

impl SessionEnd {
    /// Waits until the session has reached its end or is revoked, and says which. It needn't be renewed or used meanwhile: what it has
    /// admitted goes on. [`Standing`](crate::Standing) also has its login asked.
    pub async fn reached(&self) -> SessionError {
        let mut growth = self.revocations.as_ref().map(|list| list.growth());
        loop {
            let is_revoked = |list: &Arc<Revocations>| list.end(&self.session);
            if self.revocations.as_ref().is_some_and(is_revoked) {
                return SessionError::Revoked;
            }
            let Some(left) = self.ends.left(Time::now()) else {
                return SessionError::Expired;
            };
            let grown = async {
                match &mut growth {
                    // The sender is in the list, which this holds.
                    Some(growth) => drop(growth.changed().await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = grown => {}
                () = tokio::time::sleep(left.min(LOOK_AGAIN)) => {}
            }
        }
    }
}

impl Sessions {
    /// The most revocations that [`seal_revocations`](Self::seal_revocations) takes at once.
    pub const MAX_TOLD: usize = MAX_TOLD;

    /// When a session is over.
    pub fn end_of(&self, session: &Session) -> SessionEnd {
        SessionEnd {
            session: Arc::new(Sealed {
                keep: None,
                ..session.sealed.clone()
            }),
            ends: self.last_end(&session.sealed),
            revocations: self.revocations.clone(),
        }
    }

    /// A message to other gateways with the same keys: these sessions are over. Returns `None` if they are more than
    /// [`MAX_TOLD`](Self::MAX_TOLD).
    pub fn seal_revocations(&self, revocations: &[Revocation]) -> Option<String> {
        if revocations.len() > MAX_TOLD {
            return None;
        }
        let mut bytes = Time::now().0.to_be_bytes().to_vec();
        bytes.extend(Revocation::encode(revocations));
        self.keys.seal_for(Purpose::Revocations, MESSAGE, &bytes)
    }

    /// What a message of another gateway says. `None` if none of the keys sealed it, or if it is older than five minutes: it may be a
    /// copy that somebody has kept.
    pub fn open_revocations(&self, message: &[u8]) -> Option<Vec<Revocation>> {
        let opened = self.keys.open_for(Purpose::Revocations, MESSAGE, message)?;
        let (sent, list) = opened.split_first_chunk()?;
        let (sent, now) = (Time(u64::from_be_bytes(*sent)), Time::now());
        if sent.ago(now) > MAX_MESSAGE_AGE || sent.0 > now.0.saturating_add(AHEAD) {
            return None;
        }
        Revocation::decode(list)
    }
}
