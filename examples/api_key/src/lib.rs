//! An API key in a header.

use portcullis_sdk::prelude::*;

settings! {
    /// `key` is what clients send in `X-Api-Key`.
    pub struct ApiKey { key: Secret }
}

impl Authenticator for ApiKey {
    type Settings = Self;
    fn new(settings: Self) -> Result<Self, SettingsError> {
        Ok(settings)
    }
    fn authenticate(&self, request: &Request) -> Result<Grant, Refusal> {
        match request.header("x-api-key").as_slice() {
            [] => Err(Refusal::not_mine(None)),
            [key] if self.key.matches(key) => Ok(User::new("api").into()),
            _ => Err(Refusal::unauthenticated("wrong API key", None)),
        }
    }
}

portcullis_sdk::export!(ApiKey, grants = { headers = ["x-api-key"] });

#[cfg(test)]
mod tests {
    use portcullis_sdk::testing::{RequestBuilder, configure};

    use super::*;

    #[test]
    fn only_the_key_lets_in() {
        let authenticator: ApiKey = configure(r#"{"key": "open sesame"}"#).unwrap();
        let ask = |request: RequestBuilder| authenticator.authenticate(&request.build());
        let request = || RequestBuilder::get("/");
        assert_eq!(
            ask(request().header("x-api-key", "open sesame")),
            Ok(User::new("api").into())
        );
        assert_eq!(ask(request()), Err(Refusal::not_mine(None)));
        assert!(matches!(
            ask(request().header("x-api-key", "guess")),
            Err(Refusal::Unauthenticated(..))
        ));
    }

    #[test]
    fn settings_without_a_key_are_an_error() {
        for settings in ["{}", r#"{"key": ""}"#, r#"{"key": "k", "kye": "k"}"#] {
            assert!(configure::<ApiKey>(settings).is_err(), "{settings}");
        }
    }
}
