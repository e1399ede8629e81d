//! Users and passwords from a file of Apache's `htpasswd`. Passwords are hashed with bcrypt, the only format of
//! `htpasswd` that withstands guessing, or with Argon2 or scrypt, which other programs write.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_sdk::BasicCredentials;
use portcullis_sdk::cache;
use portcullis_sdk::crypto;
use portcullis_sdk::prelude::*;
use portcullis_sdk::settings::Span;

settings! {
    /// The settings.
    pub struct Settings {
        /// The content of the file, as `htpasswd -B` writes it: `"file:users.htpasswd"`.
        pub users: String,
        /// The realm, which browsers show when they ask for the password.
        #[serde(default = "realm")]
        pub realm: String,
        /// How long a password that was right is remembered, because bcrypt is slow on purpose. Default: 5 minutes.
        #[serde(default = "five_minutes")]
        pub remember: Span,
    }
}

/// How the hashes of bcrypt, Argon2 and scrypt begin.
const KINDS: [&str; 5] = ["$2a$", "$2b$", "$2y$", "$argon2", "$scrypt$"];

/// Accepts the users of the file.
#[derive(Debug)]
pub struct Htpasswd {
    /// The users and the hashes of their passwords.
    hashes: BTreeMap<String, String>,
    realm: String,
    remember: Duration,
}

impl Authenticator for Htpasswd {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, SettingsError> {
        let mut hashes = BTreeMap::new();
        for (index, line) in settings.users.lines().enumerate() {
            let number = index + 1;
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // The messages never repeat the line, which may be a password.
            let (user, hash) = line
                .split_once(':')
                .ok_or_else(|| format!("users: line {number} is not a user and a hash, separated by a colon"))?;
            User::parse(user).map_err(|why| format!("users: line {number}: {why}"))?;
            if !KINDS.iter().any(|kind| hash.starts_with(kind)) {
                return Err(format!("users: line {number} has no bcrypt hash; write it with htpasswd -B").into());
            }
            if hashes.insert(user.to_owned(), hash.to_owned()).is_some() {
                return Err(format!("users: line {number} has a user of an earlier line").into());
            }
        }
        let (realm, remember) = (settings.realm, settings.remember.duration());
        Ok(Self {
            hashes,
            realm,
            remember,
        })
    }

    fn authenticate(&self, request: &Request) -> Result<Grant, Refusal> {
        let challenge = || Challenge::basic(&self.realm);
        let credentials = request.basic().map_err(|error| error.refuse(challenge()))?;
        if !self.accepts(&credentials).map_err(Refusal::unavailable)? {
            return Err(Refusal::unauthenticated("unknown user or wrong password", challenge()));
        }
        let user = User::parse(credentials.user).map_err(|why| Refusal::unauthenticated(why, challenge()))?;
        Ok(Grant::from(user).valid_for(self.remember))
    }
}

impl Htpasswd {
    fn accepts(&self, credentials: &BasicCredentials) -> Result<bool, String> {
        let known = self.hashes.get(&credentials.user);
        // Checking an unknown user takes as long as checking a known one, so the time tells no client which users exist.
        let Some(hash) = known.or_else(|| self.hashes.values().next()) else {
            return Ok(false);
        };
        // The key is a digest of its parts. With the hash in it, a new password is not taken for the old one.
        let key = cache::key(&[hash.as_bytes(), credentials.password.as_bytes()]);
        let is_right = cache::get(&key).is_some() || crypto::verify_password(&credentials.password, hash)?;
        if is_right && !self.remember.is_zero() {
            cache::set(&key, &[], self.remember);
        }
        Ok(is_right && known.is_some())
    }
}

portcullis_sdk::export!(Htpasswd, grants = { headers = ["authorization"] });

fn realm() -> String {
    "Portcullis".to_owned()
}

const fn five_minutes() -> Span {
    Span::seconds(300)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use portcullis_sdk::testing::{FakeHost, RequestBuilder, configure};

    use super::*;

    /// alice has the password `wonderland`, bob has `builder`.
    fn users() -> String {
        let hash = |password| bcrypt::hash(password, 4).unwrap();
        format!("# team\nalice:{}\n\nbob:{}\n", hash("wonderland"), hash("builder"))
    }

    fn configured(users: &str) -> Result<Htpasswd, String> {
        configure(&serde_json::json!({ "users": users }).to_string())
    }

    #[test]
    fn a_user_needs_the_password_of_the_file() {
        let _host = FakeHost::start();
        let authenticator = configured(&users()).unwrap();
        let name = |user: &str, password: &str| {
            let credentials = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
            let request = RequestBuilder::get("/").header("authorization", credentials);
            authenticator
                .authenticate(&request.build())
                .map(|grant| grant.user.name)
        };
        // Twice, because a password that was right is remembered.
        for _ in 0..2 {
            assert_eq!(name("alice", "wonderland"), Ok("alice".to_owned()));
            for (user, password) in [
                ("alice", "builder"),
                ("alice", ""),
                ("Alice", "wonderland"),
                ("carol", "wonderland"),
                ("# team\nalice", "wonderland"),
            ] {
                assert!(
                    matches!(name(user, password), Err(Refusal::Unauthenticated(..))),
                    "{user} {password}"
                );
            }
        }
        let without = authenticator.authenticate(&RequestBuilder::get("/").build());
        assert!(matches!(without, Err(Refusal::NotMine(_))));
    }

    #[test]
    fn other_programs_write_other_hashes() {
        let _host = FakeHost::start();
        let hash = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let authenticator = configured(&format!("alice:{hash}")).unwrap();
        for (password, expected) in [("password", true), ("passwort", false)] {
            let credentials = format!("Basic {}", STANDARD.encode(format!("alice:{password}")));
            let request = RequestBuilder::get("/").header("authorization", credentials).build();
            assert_eq!(authenticator.authenticate(&request).is_ok(), expected, "{password}");
        }
    }

    #[test]
    fn a_line_that_is_no_user_is_named_without_its_text() {
        let users = users();
        let bob = users.lines().last().unwrap();
        for (line, expected) in [
            ("bob", "users: line 5 is not a user and a hash, separated by a colon"),
            (
                "bob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
                "users: line 5 has no bcrypt hash; write it with htpasswd -B",
            ),
            (
                "bob:builder",
                "users: line 5 has no bcrypt hash; write it with htpasswd -B",
            ),
            (bob, "users: line 5 has a user of an earlier line"),
        ] {
            assert_eq!(configured(&format!("{users}{line}")).unwrap_err(), expected);
        }
    }
}
