//! What an operator is told about settings that don't fit.

use serde_json::Value;
use serde_json::json;

use super::ConfigurationWarning;
use super::ConfigureError;
use crate::component::Manifest;
use crate::grants::Grants;
use crate::grants::HttpGrant;
use crate::limits::Limits;

fn schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["must"],
        "properties": {
            "must": {},
            "text": {"type": ["string", "null"]},
            "number": {"type": "integer", "minimum": 3},
            "span": {"type": ["integer", "string"], "minLength": 1, "minimum": 0},
            "scopes": {"anyOf": [
                {"anyOf": [
                    {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
                    {"type": "string", "minLength": 1},
                ]},
                {"type": "null"},
            ]},
            "mode": {"oneOf": [{"type": "string", "const": "all"}, {"type": "string", "const": "any"}]},
            "level": {"enum": ["low", "high", null]},
            "mixed": {"anyOf": [{"const": "off"}, {"type": "integer"}, {"$ref": "#/$defs/Table"}]},
            "tagged": {"oneOf": [
                {"type": "object", "required": ["kind", "path"], "additionalProperties": false,
                 "properties": {"kind": {"const": "file"}, "path": {"type": "string"}}},
                {"type": "object", "required": ["kind", "host"], "additionalProperties": false,
                 "properties": {"kind": {"const": "server"}, "host": {"type": "string"}, "port": {"type": "integer"}}},
            ]},
            "nothing": {"type": "null"},
        },
        "$defs": {"Table": {
            "type": "object",
            "additionalProperties": false,
            "properties": {"name": {"type": "string"}},
        }},
    })
}

/// Checks settings, with the default grants and limits.
fn check(settings: &Value, schema: &Value) -> Result<Vec<ConfigurationWarning>, ConfigureError> {
    super::check(
        settings,
        schema,
        None,
        false,
        &mut Grants::default(),
        &Limits::default(),
    )
    .map(|asked| asked.warnings)
}

fn mistakes(settings: Value) -> Vec<String> {
    let mut settings = settings;
    settings["must"] = 1.into();
    match check(&settings, &schema()) {
        Err(ConfigureError::Settings(errors)) => {
            let shown = errors.iter().map(|error| match error.known.as_slice() {
                [] => error.to_string(),
                known => format!("{error} of {}", known.join(" ")),
            });
            shown.collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_mistake_is_told_in_words_to_act_on() {
    for (settings, expected) in [
        (json!({"text": 1}), "settings.text: expected text"),
        (json!({"number": "x"}), "settings.number: expected a whole number"),
        (
            json!({"number": 2}),
            "settings.number: the value is less than the minimum of 3",
        ),
        (json!({"span": true}), "settings.span: expected a whole number or text"),
        (json!({"span": ""}), "settings.span: it is empty"),
        (json!({"scopes": []}), "settings.scopes: it is empty"),
        (json!({"scopes": ""}), "settings.scopes: it is empty"),
        (json!({"scopes": ["a", ""]}), "settings.scopes.1: it is empty"),
        (json!({"scopes": ["a", 1]}), "settings.scopes.1: expected text"),
        (json!({"scopes": 1}), "settings.scopes: expected a list or text"),
        (json!({"mode": "some"}), "settings.mode: expected \"all\" or \"any\""),
        (json!({"mode": 1}), "settings.mode: expected \"all\" or \"any\""),
        (
            json!({"level": "middle"}),
            "settings.level: expected \"low\" or \"high\"",
        ),
        (
            json!({"mixed": "on"}),
            "settings.mixed: expected \"off\", a whole number or a table",
        ),
        (json!({"mixed": {"name": 1}}), "settings.mixed.name: expected text"),
        (
            json!({"mixed": {"nam": "x"}}),
            "settings.mixed.nam: unknown key of name",
        ),
        (
            json!({"tagged": {"kind": "file"}}),
            "settings.tagged: the key \"path\" is missing",
        ),
        (
            json!({"tagged": {"kind": "server", "host": "h", "port": "x"}}),
            "settings.tagged.port: expected a whole number",
        ),
        (
            json!({"tagged": {"kind": "server", "host": "h", "prt": 1}}),
            "settings.tagged.prt: unknown key of host kind port",
        ),
        (json!({"tagged": "file"}), "settings.tagged: expected a table"),
        (
            json!({"nothing": 1}),
            "settings.nothing: the value is not of type \"null\"",
        ),
    ] {
        assert_eq!(mistakes(settings.clone()), [expected], "{settings}");
    }
}

#[test]
fn a_key_that_is_missing_is_named() {
    let error = check(&json!({}), &schema()).unwrap_err();
    assert_eq!(error.to_string(), "settings: the key \"must\" is missing");
}

#[test]
fn no_value_is_repeated() {
    let secrets = json!({"text": ["hunter2"], "span": {"a": "hunter2"}, "mixed": "hunter2", "mode": "hunter2",
        "tagged": {"kind": "hunter2", "path": "hunter2", "host": ["hunter2"]}, "scopes": {"a": "hunter2"},
        "level": "hunter2", "nothing": "hunter2"});
    for message in mistakes(secrets) {
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn a_schema_that_cant_be_checked_is_an_error() {
    for (schema, expected) in [
        (json!({"type": 12}), "no JSON Schema"),
        (json!({"minimun": 1}), "the keyword \"minimun\" isn't supported"),
        (
            json!({"allOf": [{"$ref": "#/allOf/0"}]}),
            "the settings can't be checked against the settings schema in time",
        ),
    ] {
        let error = check(&json!({}), &schema).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_message_repeats_little_of_a_schema() {
    let long = "x".repeat(1_000_000);
    for schema in [
        json!({"const": long}),
        json!({"enum": (0..100_000).collect::<Vec<_>>()}),
        json!({"required": [long]}),
        json!({"properties": {"a": {"pattern": format!("^{}$", "x?".repeat(2000))}}}),
        json!({"properties": {"a": {"anyOf": [{"const": long}, {"const": 1}]}}}),
    ] {
        let error = check(&json!({"a": "y"}), &schema).unwrap_err();
        assert!(error.to_string().len() < 4096, "{schema:.80}");
    }
}

#[test]
fn a_setting_whose_grant_or_time_is_missing_is_warned_about() {
    let schema = json!({
        "properties": {
            "url": {"type": "string", "x-portcullis-grant": "http"},
            "timeout": {"type": ["string", "integer"], "x-portcullis-requests": 2, "default": "2s"},
            "acceptor": {"x-portcullis-grant": "negotiate"},
            "from": {"items": {"$ref": "#/$defs/Place"}, "default": [{"header": "authorization"}]},
            "hub": {"if": {"required": ["ask"]}, "then": {"properties": {"at": {"x-portcullis-grant": "http"}}}},
        },
        "$defs": {"Place": {"anyOf": [
            {"required": ["header"], "properties": {"header": {"x-portcullis-grant": "headers"}}},
            {"required": ["cookie"], "properties": {"cookie": {"x-portcullis-grant": "cookies"}}},
            {"required": ["query"], "properties": {"query": {"x-portcullis-grant": "query"}}},
        ]}},
    });
    let mut grants = Grants {
        headers: vec!["x-key".parse().unwrap()],
        cookies: vec!["a".to_owned()],
        query: vec!["*".to_owned()],
        http: [
            "https://idp.example",
            "https://hub.example/hub/api",
            "http://10.0.0.1:8081",
        ]
        .map(|grant| grant.parse().unwrap())
        .to_vec(),
        negotiate: Some("main".to_owned()),
        ..Grants::default()
    };
    let place = |kind: &str, name: &str| json!({"from": [{(kind): name}]});
    let never_seen = "so it is never seen";
    for (settings, expected) in [
        (json!({"from": []}), vec![]),
        (
            json!({}),
            vec![format!(
                "settings.from.0.header: grants.headers doesn't have the header \"authorization\", {never_seen}"
            )],
        ),
        (place("header", "X-Key"), vec![]),
        (
            place("header", "Cookie"),
            vec![format!(
                "settings.from.0.header: grants.headers doesn't have the header \"Cookie\", {never_seen}"
            )],
        ),
        (place("cookie", "a"), vec![]),
        (
            place("cookie", "A"),
            vec![format!(
                "settings.from.0.cookie: grants.cookies doesn't have the cookie \"A\", {never_seen}"
            )],
        ),
        (place("query", "anything"), vec![]),
        (json!({"from": [], "url": "https://idp.example/a"}), vec![]),
        (json!({"from": [], "url": "https://hub.example/hub"}), vec![]),
        (
            json!({"from": [], "url": "https://hub.example/hu"}),
            vec![
                "settings.url: grants.http doesn't cover https://hub.example, so requests there are denied".to_owned(),
            ],
        ),
        (
            json!({"from": [], "url": "http://10.0.0.1:80/secret"}),
            vec!["settings.url: grants.http doesn't cover http://10.0.0.1:80, so requests there are denied".to_owned()],
        ),
        (json!({"from": [], "url": "keys.json"}), vec![]),
        (json!({"from": [], "hub": {"at": "https://other.example"}}), vec![]),
        (
            json!({"from": [], "hub": {"at": "https://other.example", "ask": true}}),
            vec![
                "settings.hub.at: grants.http doesn't cover https://other.example, so requests there are denied"
                    .to_owned(),
            ],
        ),
        (json!({"from": [], "acceptor": "main"}), vec![]),
        (
            json!({"from": [], "acceptor": "other"}),
            vec!["settings.acceptor: grants.negotiate is \"main\", so no token can be verified".to_owned()],
        ),
        (json!({"from": [], "timeout": 2}), vec![]),
        (
            json!({"from": [], "timeout": "2500ms"}),
            vec!["settings.timeout: 2 requests in a row may take longer than limits.deadline, which is 5s".to_owned()],
        ),
    ] {
        let warnings = super::check(&settings, &schema, None, false, &mut grants, &Limits::default()).unwrap();
        let warnings = Vec::from_iter(warnings.warnings.iter().map(ToString::to_string));
        assert_eq!(warnings, expected, "{settings}");
    }
}

/// The operator of a built-in plugin writes each server once.
#[test]
fn the_servers_that_settings_name_are_granted_if_that_is_wanted() {
    let schema = json!({"properties": {
        "url": {"x-portcullis-grant": "http"},
        "page": {"x-portcullis-grant": "login"},
        "header": {"x-portcullis-grant": "headers"},
    }});
    let idp = "https://idp.example:443";
    for (settings, private, expected) in [
        (json!({"url": "https://idp.example/realms/a?secret"}), false, vec![idp]),
        (
            json!({"url": "https://idp.example:8443"}),
            false,
            vec!["https://idp.example:8443"],
        ),
        (
            json!({"url": "http://10.0.0.1:8081/hub/api"}),
            false,
            vec!["http://10.0.0.1:8081"],
        ),
        (json!({"url": "https://other.example/a"}), false, vec![]),
        (json!({"url": "https://*.example"}), false, vec![]),
        (json!({"url": "http://localhost:1/a"}), false, vec![]),
        (json!({"url": "http://localhost:1/a"}), true, vec!["http://localhost:1"]),
        (json!({"url": "keys.json"}), false, vec![]),
        (json!({"url": "https://user@idp.example/"}), false, vec![idp]),
        (json!({"url": "ftp://idp.example/"}), false, vec![]),
        (
            json!({"page": "https://idp.example/", "header": "x-key"}),
            false,
            vec![],
        ),
        (json!({}), false, vec![]),
    ] {
        let own: HttpGrant = "https://other.example".parse().unwrap();
        let before = Grants {
            headers: Vec::new(),
            http: vec![own.clone()],
            private,
            ..Grants::default()
        };
        let mut grants = before.clone();
        let asked = super::check(&settings, &schema, None, true, &mut grants, &Limits::default()).unwrap();
        let added = grants.http.iter().filter(|grant| **grant != own);
        assert_eq!(Vec::from_iter(added.map(ToString::to_string)), expected, "{settings}");
        assert!(
            expected.is_empty() || asked.warnings.is_empty(),
            "{settings}: {:?}",
            asked.warnings
        );
        let others = Grants {
            http: before.http.clone(),
            ..grants
        };
        assert_eq!(
            format!("{others:?}"),
            format!("{before:?}"),
            "{settings}: nothing else is granted"
        );
    }
}

#[test]
fn manifest_and_settings_together_say_what_a_plugin_asks_for() {
    let manifest = |grants: Value| {
        let json = json!({"name": "n", "grants": grants}).to_string();
        Manifest::parse(json.as_bytes()).unwrap()
    };
    let schema = json!({"properties": {
        "url": {"x-portcullis-grant": "http"},
        "basic": {"x-portcullis-grant": {"headers": "authorization"}},
    }});
    let mut grants = Grants {
        headers: ["authorization", "x-key"].map(|name| name.parse().unwrap()).to_vec(),
        http: vec!["https://idp.example".parse().unwrap()],
        ..Grants::default()
    };
    let unasked = |what: &str| format!("grants.{what}, which the plugin never asks for");
    let authorization = unasked("headers has the header \"authorization\"");
    let key = unasked("headers has the header \"x-key\"");
    let server = unasked("http has the server \"https://idp.example:443\"");
    let whole = json!({"url": "https://idp.example/secret", "basic": "user"});
    for (asked, settings, expected) in [
        (None, json!({}), vec![]),
        (
            Some(json!({})),
            json!({}),
            vec![authorization.clone(), key.clone(), server.clone()],
        ),
        (Some(json!({"headers": ["*"], "http": ["*"]})), json!({}), vec![]),
        (Some(json!({"headers": ["x-key"]})), whole.clone(), vec![]),
        (Some(json!({})), whole, vec![key.clone()]),
        (
            Some(json!({"headers": ["X-Key", "x-other"], "cookies": ["c"], "client_certificate": true, "negotiate": true})),
            json!({"basic": null, "url": "https://other.example/secret"}),
            vec![
                "grants.headers doesn't have the header \"x-other\", which the plugin asks for, so it is never seen"
                    .to_owned(),
                "grants.cookies doesn't have the cookie \"c\", which the plugin asks for, so it is never seen".to_owned(),
                "grants.client_certificate isn't set, which the plugin asks for, so the plugin never sees the client's \
                 certificate"
                    .to_owned(),
                "grants.negotiate is missing, which the plugin asks for, so no token can be verified".to_owned(),
                "settings.url: grants.http doesn't cover https://other.example, so requests there are denied".to_owned(),
                authorization,
                server,
            ],
        ),
    ] {
        let asked = asked.map(manifest);
        let found = super::check(&settings, &schema, asked.as_ref(), false, &mut grants, &Limits::default()).unwrap();
        let warnings = Vec::from_iter(found.warnings.iter().map(ToString::to_string));
        assert_eq!(warnings, expected, "{settings}");
        assert!(!format!("{:?}", found.grants).contains("secret"), "{:?}", found.grants);
    }
}
