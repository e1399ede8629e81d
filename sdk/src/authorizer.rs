//! The trait that every authorizer implements. The gateway makes an authorizer from its settings and asks it whether a user may
//! make a request.

use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::Challenge;
use crate::Request;
use crate::Response;
use crate::SettingsError;
use crate::User;

/// Decides whether a user may make a request. [`export!`](crate::export!) exports it with `export!(MyPolicy, authorizer)`.
///
/// This is all of one by which everybody may read and a group may write:
///
/// ```
/// use portcullis_sdk::prelude::*;
///
/// settings! {
///     pub struct Writers {
///         /// Who may do more than read.
///         group: String,
///     }
/// }
///
/// impl Authorizer for Writers {
///     type Settings = Self;
///
///     fn new(settings: Self) -> Result<Self, SettingsError> {
///         Ok(settings)
///     }
///
///     fn authorize(&self, request: &Request, principal: &Principal) -> Result<Permit, Denial> {
///         if request.is_safe() || principal.user.is_in(&self.group) {
///             return Ok(Permit::new());
///         }
///         Err(Denial::forbidden(format!("not in {}", self.group), None))
///     }
/// }
///
/// portcullis_sdk::export!(Writers, authorizer);
/// ```
///
/// By default the gateway makes a fresh instance for every request, so [`new`](Self::new) runs as often as
/// [`authorize`](Self::authorize). Keep it cheap, and keep nothing in the value that the next request needs. A plugin that is
/// called often is configured once if its `new` draws no random numbers and sends no requests: each call then begins with a
/// copy, so what `new` parses is parsed once.
pub trait Authorizer: Sized {
    /// The settings in the configuration. [`settings!`](crate::settings!) derives everything that they need, and adds
    /// `#[serde(deny_unknown_fields)]`, which turns a misspelt name into an error.
    type Settings: DeserializeOwned + JsonSchema;

    /// Makes an authorizer from its settings.
    ///
    /// # Errors
    ///
    /// Returns an error if the settings contradict each other or can't work. The operator reads the text: name the
    /// setting that is wrong and say what would be right.
    fn new(settings: Self::Settings) -> Result<Self, SettingsError>;

    /// Decides whether this user may make the request.
    ///
    /// # Errors
    ///
    /// Returns a [`Denial`] if not, or if that can't be decided now.
    fn authorize(&self, request: &Request, principal: &Principal) -> Result<Permit, Denial>;

    /// Decides about a request that nobody has sent as a user, on a route that also accepts requests without credentials. By
    /// default it is forbidden, which the client gets as a 401 with the challenges of the authenticators, or as the way to log in.
    ///
    /// # Errors
    ///
    /// Those of [`authorize`](Self::authorize).
    fn authorize_anonymous(&self, request: &Request) -> Result<Permit, Denial> {
        let _ = request;
        Err(Denial::forbidden("nobody is logged in", None))
    }
}

/// The user of a request, and who says so.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Principal {
    /// The user.
    pub user: User,
    /// The operator's name for the authenticator that identified the user.
    pub authenticator: String,
}

impl Principal {
    /// A made-up principal, for tests.
    pub fn new(user: User, authenticator: impl Into<String>) -> Self {
        Self {
            user,
            authenticator: authenticator.into(),
        }
    }
}

/// The permission to make a request, and how the gateway may proceed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Permit {
    /// How long the gateway may reuse this decision for other requests of the same principal in which everything that was read is
    /// the same. `None` forbids reuse.
    pub valid_for: Option<Duration>,
    /// Facts for the application, such as the user's role there: at most 16, with names of 1 to 256 bytes and values of at most
    /// 4 KiB, without control characters.
    pub attributes: Vec<(String, String)>,
}

impl Permit {
    /// A permit without attributes that is good for one request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the gateway reuse this decision for `duration`, in whole seconds. A duration below one second forbids reuse.
    ///
    /// The same user then gets the same decision for as long, even if something that isn't a part of the request changes
    /// meanwhile, such as the time of day: a rule that depends on the time lets its permits end when the answer changes.
    pub const fn valid_for(mut self, duration: Duration) -> Self {
        self.valid_for = if duration.as_secs() == 0 { None } else { Some(duration) };
        self
    }

    /// Adds a fact for the application.
    pub fn with_attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }
}

/// Why a request may not be made. The texts go to the operator's log; the client only sees the status and the challenge.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Denial {
    /// The user may not make this request: 403. The challenge may say what else is needed (RFC 6750, section 3.1). A request
    /// without a principal gets 401 with the challenges of the route's authenticators, or is sent to log in.
    Forbidden(String, Option<Challenge>),
    /// As if what the request is for weren't there: 404.
    Hidden(String),
    /// The authorizer answers the client itself.
    Respond(Response),
    /// The authorizer could not decide, for example because a server that it asks is down: 503.
    Unavailable(String),
}

impl Denial {
    /// The user may not make this request; see [`Forbidden`](Self::Forbidden).
    pub fn forbidden(reason: impl Into<String>, challenge: impl Into<Option<Challenge>>) -> Self {
        Self::Forbidden(reason.into(), challenge.into())
    }

    /// The client must not learn that there is such a thing; see [`Hidden`](Self::Hidden).
    pub fn hidden(reason: impl Into<String>) -> Self {
        Self::Hidden(reason.into())
    }

    /// The client gets this response; see [`Respond`](Self::Respond).
    pub const fn respond(response: Response) -> Self {
        Self::Respond(response)
    }

    /// The authorizer can't decide at the moment; see [`Unavailable`](Self::Unavailable).
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable(reason.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::RequestBuilder;
    use crate::testing::configure_authorizer;

    crate::settings! {
        struct Team {
            group: String,
        }
    }

    impl Authorizer for Team {
        type Settings = Self;

        fn new(settings: Self) -> Result<Self, SettingsError> {
            match settings.group.as_str() {
                "" => Err("group: name one".into()),
                _ => Ok(settings),
            }
        }

        fn authorize(&self, request: &Request, principal: &Principal) -> Result<Permit, Denial> {
            match principal.user.is_in(&self.group) {
                true if request.is_safe() => Ok(Permit::new().with_attribute("role", "reader")),
                true => Ok(Permit::new().valid_for(Duration::from_millis(1500))),
                false => Err(Denial::hidden("of another team")),
            }
        }
    }

    #[test]
    fn an_authorizer_is_asked_about_made_up_users() {
        assert_eq!(
            configure_authorizer::<Team>(r#"{"group": ""}"#).err(),
            Some("group: name one".to_owned())
        );
        let team: Team = configure_authorizer(r#"{"group": "staff"}"#).unwrap();
        let alice = Principal::new(User::new("alice").with_groups(["all", "staff"]), "hub");
        let bob = Principal::new(User::new("bob").with_groups(["staffers"]), "hub");
        let get = RequestBuilder::get("/").build();
        let post = RequestBuilder::new("POST", "/").build();
        assert_eq!(
            team.authorize(&get, &alice),
            Ok(Permit::new().with_attribute("role", "reader"))
        );
        assert_eq!(
            team.authorize(&post, &alice).unwrap().valid_for,
            Some(Duration::from_millis(1500))
        );
        assert_eq!(team.authorize(&get, &bob), Err(Denial::hidden("of another team")));
        assert!(matches!(
            team.authorize_anonymous(&get),
            Err(Denial::Forbidden(_, None))
        ));
    }

    #[test]
    fn a_permit_that_is_valid_for_less_than_a_second_is_not_reused() {
        for (millis, expected) in [(0, None), (999, None), (1000, Some(1000)), (60_500, Some(60_500))] {
            let permit = Permit::new().valid_for(Duration::from_millis(millis));
            assert_eq!(permit.valid_for, expected.map(Duration::from_millis), "{millis}");
        }
    }
}
