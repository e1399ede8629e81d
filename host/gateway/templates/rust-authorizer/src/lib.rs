//! Everybody may read, and a group may write.

use portcullis_sdk::prelude::*;

settings! {
    pub struct MyPlugin {
        /// Who may do more than read.
        group: String,
    }
}

impl Authorizer for MyPlugin {
    type Settings = Self;

    fn new(settings: Self) -> Result<Self, SettingsError> {
        Ok(settings)
    }

    fn authorize(&self, request: &Request, principal: &Principal) -> Result<Permit, Denial> {
        if principal.user.is_in(&self.group) {
            return Ok(Permit::new().with_attribute("role", "editor"));
        }
        if request.is_safe() {
            return Ok(Permit::new());
        }
        Err(Denial::forbidden(
            format!("{} isn't in {}", principal.user.name, self.group),
            None,
        ))
    }
}

portcullis_sdk::export!(
    MyPlugin,
    authorizer,
    grants = {},
    self_test = [{
        name = "who isn't in the group doesn't write",
        request = { method = "POST" },
        user = { name = "nobody in particular" },
        expect = { status = 403, verdict = "forbid" },
    }],
);

#[cfg(test)]
mod tests {
    use portcullis_sdk::testing::{RequestBuilder, configure_authorizer};

    use super::*;

    #[test]
    fn only_the_group_writes() {
        let plugin: MyPlugin = configure_authorizer(r#"{"group": "editors"}"#).unwrap();
        let ask = |method: &str, groups: &[&str]| {
            let user = User::new("alice").with_groups(groups.iter().copied());
            plugin.authorize(
                &RequestBuilder::new(method, "/page").build(),
                &Principal::new(user, "hub"),
            )
        };
        assert_eq!(ask("GET", &["staff"]), Ok(Permit::new()));
        assert!(ask("POST", &["staff", "editors"]).is_ok());
        assert!(matches!(ask("POST", &["staff"]), Err(Denial::Forbidden(..))));
    }
}
