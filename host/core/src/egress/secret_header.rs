//! The value of a header that the host adds to requests, and that can be replaced while they are sent.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderValue;

/// A header value for [`Outbound::header`](crate::Outbound::header). A clone is the same value: what replaces it is in the
/// next request.
#[derive(Clone)]
pub struct SecretHeader(Arc<ArcSwap<HeaderValue>>);

impl SecretHeader {
    /// Replaces the value, and returns whether it is another one.
    pub fn replace(&self, value: HeaderValue) -> bool {
        let before = self.0.swap(Arc::new(sensitive(value.clone())));
        *before != value
    }

    /// The value at this moment.
    pub fn get(&self) -> HeaderValue {
        self.0.load().as_ref().clone()
    }
}

impl From<HeaderValue> for SecretHeader {
    fn from(value: HeaderValue) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(sensitive(value))))
    }
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

impl fmt::Debug for SecretHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHeader(…)")
    }
}
