//! What the operator sets.

use std::collections::BTreeMap;

use portcullis_sdk::prelude::*;
use portcullis_sdk::settings::Span;

use crate::rule::Rule;

settings! {
    /// What the authenticator `kerberos` is set up with.
    #[non_exhaustive]
    pub struct Settings {
        /// The acceptor that checks tokens: the NAME of [negotiate.NAME], which grants.negotiate must name, too.
        pub acceptor: String,
        /// The realms whose principals may come in. The case counts.
        pub realms: Vec<String>,
        /// The one of them whose principals go by their names without the realm. Those of other realms keep theirs, so
        /// that alice@OTHER is never taken for alice.
        pub strip_realm: Option<String>,
        /// Principals, and the users that they are, whatever else holds for them.
        #[serde(default)]
        pub users: BTreeMap<String, String>,
        /// Rules for the other principals of these realms; the first that matches counts.
        #[serde(default)]
        pub rules: Vec<Rule>,
        /// Groups, and the users that are in them.
        #[serde(default)]
        pub groups: BTreeMap<String, Vec<String>>,
        /// The users that are administrators.
        #[serde(default)]
        pub admins: Vec<String>,
        /// How long a session may last at most: seconds, or a number with a unit. It never outlasts the ticket. 0 asks
        /// for a token with every request.
        pub valid_for: Option<Span>,
    }
}

impl Settings {
    /// Looks for what contradicts itself.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        if self.acceptor.is_empty() {
            return Err("acceptor: it must not be empty".into());
        }
        if self.realms.is_empty() && self.users.is_empty() {
            return Err("realms: name at least one; nobody could come in".into());
        }
        let odd =
            |realm: &&String| realm.is_empty() || realm.contains(['@', '/', '\\']) || realm.contains(char::is_control);
        if let Some(realm) = self.realms.iter().find(odd) {
            return Err(format!("realms: {realm:?} is no realm").into());
        }
        if let Some(realm) = self.strip_realm.as_ref().filter(|realm| !self.realms.contains(realm)) {
            return Err(format!("strip_realm: {realm:?} is not among realms").into());
        }
        let unusable = |(_, user): &(&String, &String)| User::parse(user.as_str()).is_err();
        if let Some((principal, _)) = self.users.iter().find(unusable) {
            return Err(format!("users: the user for {principal:?} can't be named so").into());
        }
        let incomplete = |principal: &&String| !principal.contains('@');
        if let Some(principal) = self.users.keys().find(incomplete) {
            return Err(format!("users: {principal:?} has no realm; write the whole principal, name@REALM").into());
        }
        Ok(())
    }
}
