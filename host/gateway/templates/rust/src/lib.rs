//! Accepts requests that carry an API key.

use portcullis_sdk::prelude::*;

settings! {
    /// The settings.
    pub struct Settings {
        /// The key that clients send in `X-Api-Key`.
        pub key: Secret,
    }
}

/// Knows the key.
#[derive(Debug)]
pub struct MyPlugin {
    settings: Settings,
}

impl Authenticator for MyPlugin {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, SettingsError> {
        Ok(Self { settings })
    }

    fn authenticate(&self, request: &Request) -> Result<Grant, Refusal> {
        match request.header("x-api-key").as_slice() {
            [] => Err(Refusal::not_mine(None)),
            [key] if self.settings.key.matches(key) => Ok(User::new("api").into()),
            _ => Err(Refusal::unauthenticated("wrong API key", None)),
        }
    }
}

portcullis_sdk::export!(
    MyPlugin,
    grants = { headers = ["x-api-key"] },
    // The gateway asks about these when it loads the plugin, with the settings of the operator.
    self_test = [
        { name = "without a key, the next authenticator is asked", expect = { verdict = "pass" } },
        {
            name = "no key is empty",
            request = { headers = { "X-Api-Key" = "" } },
            expect = { status = 401, verdict = "reject" },
        },
    ],
);

#[cfg(test)]
mod tests {
    use portcullis_sdk::testing::RequestBuilder;
    use portcullis_sdk::testing::configure;

    use super::*;

    #[test]
    fn only_the_key_lets_in() {
        let authenticator: MyPlugin = configure(r#"{"key": "open sesame"}"#).unwrap();
        let ask = |request: RequestBuilder| authenticator.authenticate(&request.build());
        let request = || RequestBuilder::get("/");
        assert_eq!(
            ask(request().header("x-api-key", "open sesame")),
            Ok(User::new("api").into())
        );
        assert_eq!(ask(request()), Err(Refusal::not_mine(None)));
        let guess = ask(request().header("x-api-key", "guess"));
        assert!(matches!(guess, Err(Refusal::Unauthenticated(..))), "{guess:?}");
    }
}
