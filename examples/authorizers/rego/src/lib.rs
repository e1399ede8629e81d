//! Permits what a policy in Rego allows, as Open Policy Agent would: `data.portcullis.allow` must be true.

use std::time::Duration;

use portcullis_sdk::prelude::*;
use regorus::CompiledPolicy;
use regorus::Engine;
use regorus::Value;
use serde_json::json;

settings! {
    pub struct Settings {
        /// The policy, in the package `portcullis`. It is usually in a file: `file:policy.rego`.
        policy: String,
        /// What the policy finds in `data`, a JSON object.
        data: Option<String>,
    }
}

/// The rule that decides.
const RULE: &str = "data.portcullis.allow";

/// The policy has no clock and no random numbers, so that equal requests get equal decisions.
const REUSE: Duration = Duration::from_secs(60);

pub struct Rego(CompiledPolicy);

impl Authorizer for Rego {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, SettingsError> {
        let mut engine = Engine::new();
        engine
            .add_policy("policy".to_owned(), settings.policy)
            .map_err(|error| format!("policy: {error}"))?;
        if let Some(data) = settings.data {
            engine.add_data_json(&data).map_err(|error| format!("data: {error}"))?;
        }
        let compiled = engine.compile_with_entrypoint(&RULE.into());
        Ok(Self(compiled.map_err(|error| format!("policy: {error}"))?))
    }

    fn authorize(&self, request: &Request, principal: &Principal) -> Result<Permit, Denial> {
        let Principal {
            user, authenticator, ..
        } = principal;
        let path = request.path();
        let input = json!({
            "method": request.method(),
            "path": Vec::from_iter(path.split('/').filter(|segment| !segment.is_empty())),
            "host": request.authority(),
            "client": request.client_address(),
            "user": { "name": user.name, "groups": user.groups, "admin": user.admin, "attributes": user.attributes },
            "authenticator": authenticator,
        });
        let input = Value::from_json_str(&input.to_string());
        match input.and_then(|input| self.0.eval_with_input(input)) {
            Ok(Value::Bool(true)) => Ok(Permit::new().valid_for(REUSE)),
            Ok(_) => Err(Denial::forbidden(format!("{RULE} isn't true"), None)),
            Err(error) => Err(Denial::unavailable(format!("the policy can't be evaluated: {error}"))),
        }
    }
}

portcullis_sdk::export!(Rego, authorizer, grants = {});

#[cfg(test)]
mod tests {
    use portcullis_sdk::testing::RequestBuilder;
    use portcullis_sdk::testing::configure_authorizer;

    use super::*;

    const POLICY: &str = r#"
        package portcullis
        import rego.v1

        default allow := false
        allow if input.method in {"GET", "HEAD"}
        allow if {
            input.path[0] == "teams"
            input.path[1] in data.teams[input.user.name]
        }
    "#;

    fn rego(policy: &str) -> Result<Rego, String> {
        configure_authorizer(&json!({ "policy": policy, "data": r#"{"teams": {"alice": ["a"]}}"# }).to_string())
    }

    #[test]
    fn the_policy_decides() {
        let rego = rego(POLICY).unwrap();
        for (method, path, user, expected) in [
            ("GET", "/", "bob", true),
            ("POST", "/teams/a/x", "alice", true),
            ("POST", "/teams/b", "alice", false),
            ("POST", "/teams/a", "bob", false),
            ("POST", "/teams", "alice", false),
        ] {
            let request = RequestBuilder::new(method, path).build();
            let answer = rego.authorize(&request, &Principal::new(User::new(user), "people"));
            assert_eq!(answer.is_ok(), expected, "{user} {method} {path}: {answer:?}");
        }
    }

    #[test]
    fn a_policy_that_is_none_is_an_error() {
        for policy in ["package portcullis\nallow if {", "", "package other\nallow := true"] {
            let error = rego(policy).err().unwrap();
            assert!(error.starts_with("policy: "), "{error}");
        }
    }
}
