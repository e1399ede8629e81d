//! Everybody may read, and a group may write.

use portcullis_sdk::prelude::*;

settings! {
    /// `group` may do more than read.
    pub struct Writers { group: String }
}

impl Authorizer for Writers {
    type Settings = Self;
    fn new(settings: Self) -> Result<Self, SettingsError> {
        Ok(settings)
    }
    fn authorize(&self, request: &Request, principal: &Principal) -> Result<Permit, Denial> {
        if request.is_safe() || principal.user.is_in(&self.group) {
            return Ok(Permit::new());
        }
        let (user, group) = (&principal.user.name, &self.group);
        Err(Denial::forbidden(format!("{user} isn't in {group}"), None))
    }
}

portcullis_sdk::export!(Writers, authorizer, grants = {});

#[cfg(test)]
mod tests {
    use portcullis_sdk::testing::{RequestBuilder, configure_authorizer};

    use super::*;

    #[test]
    fn only_the_group_writes() {
        let writers: Writers = configure_authorizer(r#"{"group": "editors"}"#).unwrap();
        let asked = |method: &str, groups: &[&str]| {
            let alice = User::new("alice").with_groups(groups.iter().copied());
            let request = RequestBuilder::new(method, "/page").build();
            writers.authorize(&request, &Principal::new(alice, "hub"))
        };
        for method in ["GET", "HEAD"] {
            assert_eq!(asked(method, &[]), Ok(Permit::new()));
        }
        assert_eq!(asked("POST", &["staff", "editors"]), Ok(Permit::new()));
        for groups in [&[][..], &["staff"], &["editors2"]] {
            let denial = Denial::forbidden("alice isn't in editors", None);
            assert_eq!(asked("POST", groups), Err(denial), "{groups:?}");
        }
    }
}
