//! Permits what a rule in CEL allows: one expression over the user and the request, which must be true.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cel::Context;
use cel::Env;
use cel::ExecutionError;
use cel::Program;
use cel::Value;
use portcullis_sdk::prelude::*;

settings! {
    pub struct Settings {
        /// The rule, such as `method == "GET" || "editors" in groups`.
        rule: String,
    }
}

/// The rule has no clock, so that equal requests get equal decisions.
const REUSE: Duration = Duration::from_secs(60);

pub struct Cel {
    rule: Program,
    environment: Arc<Env>,
}

impl Authorizer for Cel {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, SettingsError> {
        let environment = Arc::new(Env::stdlib());
        let rule = environment.compile(&settings.rule);
        let cel = Self {
            rule: rule.map_err(|error| format!("rule: {error}"))?,
            environment,
        };
        // A name that isn't known shows when the rule is evaluated.
        match cel.evaluate(&User::new("nobody"), |_| String::new()) {
            Err(ExecutionError::UndeclaredReference(name)) => Err(format!("rule: there is no {name}").into()),
            _ => Ok(cel),
        }
    }

    fn authorize(&self, request: &Request, principal: &Principal) -> Result<Permit, Denial> {
        let answer = self.evaluate(&principal.user, |name| match name {
            "client" => request.client_address().unwrap_or_default(),
            "host" => request.authority().unwrap_or_default(),
            "method" => request.method(),
            _ => request.path(),
        });
        match answer {
            Ok(Value::Bool(true)) => Ok(Permit::new().valid_for(REUSE)),
            Ok(Value::Bool(false)) => Err(Denial::forbidden("the rule is false", None)),
            Ok(_) => Err(Denial::unavailable("the rule is neither true nor false")),
            Err(error) => Err(Denial::unavailable(format!("the rule can't be evaluated: {error}"))),
        }
    }
}

impl Cel {
    /// What isn't mentioned isn't read of the request, so that it makes no difference to the reuse of a decision.
    fn evaluate(&self, user: &User, read: impl Fn(&str) -> String) -> Result<Value, ExecutionError> {
        let mut context = Context::with_env(Arc::clone(&self.environment));
        for name in self.rule.references().variables() {
            let value = match name {
                "admin" => user.admin.into(),
                "attributes" => attributes(user),
                "groups" => user.groups.clone().into(),
                "user" => user.name.as_str().into(),
                "client" | "host" | "method" | "path" => read(name).into(),
                // The rule's own, as in `groups.exists(group, …)`, or nobody's.
                _ => continue,
            };
            context.add_variable_from_value(name, value);
        }
        self.rule.execute(&context)
    }
}

/// The values of each attribute.
fn attributes(user: &User) -> Value {
    let mut attributes: HashMap<String, Vec<String>> = HashMap::new();
    for (name, value) in &user.attributes {
        attributes.entry(name.clone()).or_default().push(value.clone());
    }
    attributes.into()
}

portcullis_sdk::export!(Cel, authorizer, grants = {});

#[cfg(test)]
mod tests {
    use portcullis_sdk::testing::RequestBuilder;
    use portcullis_sdk::testing::configure_authorizer;

    use super::*;

    fn cel(rule: &str) -> Result<Cel, String> {
        configure_authorizer(&format!("{{\"rule\": {rule:?}}}"))
    }

    #[test]
    fn the_rule_decides() {
        let alice = User::new("alice")
            .with_groups(["editors"])
            .with_attribute("mail", "alice@example.org");
        let alice = Principal::new(alice, "people");
        let request = RequestBuilder::new("POST", "/pages/1")
            .client_address("192.0.2.1")
            .build();
        for (rule, expected) in [
            ("true", true),
            ("method in ['GET', 'HEAD'] || 'editors' in groups", true),
            ("method == 'GET'", false),
            ("path.startsWith('/pages/') && user == 'alice' && !admin", true),
            ("attributes.mail.exists(mail, mail.endsWith('@example.org'))", true),
            ("client == '192.0.2.1' && host == 'gateway.test'", true),
        ] {
            let answer = cel(rule).unwrap().authorize(&request, &alice);
            assert_eq!(answer.is_ok(), expected, "{rule}: {answer:?}");
        }
        for rule in ["attributes.phone == ['1']", "1 + 1"] {
            let answer = cel(rule).unwrap().authorize(&request, &alice);
            assert!(matches!(answer, Err(Denial::Unavailable(_))), "{rule}: {answer:?}");
        }
    }

    #[test]
    fn only_what_the_rule_mentions_is_read() {
        let request = RequestBuilder::get("/").build();
        let _ = cel("'a' in groups && method == 'GET'")
            .unwrap()
            .authorize(&request, &Principal::new(User::new("a"), "p"));
        assert_eq!(request.attributes_read(), ["method"]);
    }

    #[test]
    fn a_rule_that_is_none_is_an_error() {
        for (rule, expected) in [("method ==", "rule: "), ("metod == 'GET'", "rule: there is no metod")] {
            let error = cel(rule).err().unwrap();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
