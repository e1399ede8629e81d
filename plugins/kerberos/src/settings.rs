//! The settings of the authenticator. Settings that contradict each other are errors.

use std::collections::BTreeMap;

use portcullis_sdk::prelude::*;
use portcullis_sdk::settings::Span;

use crate::rule::Rule;

settings! {
    /// The settings of the authenticator `kerberos`.
    #[non_exhaustive]
    pub struct Settings {
        /// The acceptor that verifies tokens: the NAME of [negotiate.NAME]. grants.negotiate must name it as well.
        #[schemars(extend("x-portcullis-grant" = "negotiate"))]
        pub acceptor: String,
        /// The realms whose principals are accepted. They are case-sensitive.
        pub realms: Vec<String>,
        /// The realm whose principals are named without it; it must be one of `realms`. Principals of other realms keep
        /// their realm, so that alice@OTHER is never mistaken for alice.
        pub strip_realm: Option<String>,
        /// Principals and their user names. An entry applies whatever the other settings say, even if its realm is not
        /// in `realms`.
        #[serde(default)]
        pub users: BTreeMap<String, String>,
        /// Rules for the other principals of these realms. The first rule that matches applies.
        #[serde(default)]
        pub rules: Vec<Rule>,
        /// Groups and the users in them.
        #[serde(default)]
        pub groups: BTreeMap<String, Vec<String>>,
        /// The users who are administrators.
        #[serde(default)]
        pub admins: Vec<String>,
        /// The longest time that a session may last: seconds, or a number with a unit. A session never outlasts the
        /// ticket. With 0, every request needs a token.
        pub valid_for: Option<Span>,
    }
}

impl Settings {
    /// Returns an error if settings contradict each other.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        if self.acceptor.is_empty() {
            return Err("acceptor: it must not be empty".into());
        }
        if self.realms.is_empty() && self.users.is_empty() {
            return Err("realms: name at least one, or no request can be accepted".into());
        }
        let invalid =
            |realm: &&String| realm.is_empty() || realm.contains(['@', '/', '\\']) || realm.contains(char::is_control);
        if let Some(realm) = self.realms.iter().find(invalid) {
            return Err(format!("realms: {realm:?} is not a realm").into());
        }
        if let Some(realm) = self.strip_realm.as_ref().filter(|realm| !self.realms.contains(realm)) {
            return Err(format!("strip_realm: {realm:?} is not among realms").into());
        }
        let unusable = |(_, user): &(&String, &String)| User::parse(user.as_str()).is_err();
        if let Some((principal, _)) = self.users.iter().find(unusable) {
            return Err(format!("users: the user name for {principal:?} is invalid").into());
        }
        let incomplete = |principal: &&String| !principal.contains('@');
        if let Some(principal) = self.users.keys().find(incomplete) {
            return Err(format!("users: {principal:?} has no realm; write the whole principal, name@REALM").into());
        }
        Ok(())
    }
}
