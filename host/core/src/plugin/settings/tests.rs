//! What an operator is told about settings that don't fit.

use serde_json::Value;
use serde_json::json;

use super::ConfigureError;
use super::check;

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
