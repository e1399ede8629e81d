//! What a schema's complaint means to somebody who writes a configuration. No value of a setting is repeated, as it may
//! be a secret; what a schema lists as possible values is no secret.

use jsonschema::JsonType;
use jsonschema::ValidationError;
use jsonschema::error::TypeKind;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use super::SettingsError;

/// What is wrong, in the operator's words.
pub(super) fn explain(error: &ValidationError<'_>, schema: &Value) -> Vec<SettingsError> {
    let path: Vec<String> = error
        .instance_path()
        .iter()
        .map(|segment| segment.to_string())
        .collect();
    if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
        let known = known(schema, &error.schema_path().to_string());
        let unknown = |name: &String| SettingsError {
            path: path.iter().chain([name]).cloned().collect(),
            message: "unknown key".to_owned(),
            known: known.clone(),
        };
        return unexpected.iter().map(unknown).collect();
    }
    // Of several forms, the one that was meant is told what it lacks.
    if let Some(meant) = forms(error).and_then(|forms| nearest(forms, error)) {
        return meant.iter().flat_map(|error| explain(error, schema)).collect();
    }
    vec![SettingsError {
        path,
        message: message(error),
        known: Vec::new(),
    }]
}

/// The properties beside the `additionalProperties` that a schema path leads to.
fn known(schema: &Value, path: &str) -> Vec<String> {
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let properties = schema
        .pointer(&format!("{parent}/properties"))
        .and_then(Value::as_object);
    properties
        .map(|properties| properties.keys().cloned().collect())
        .unwrap_or_default()
}

fn message(error: &ValidationError<'_>) -> String {
    let expected = expected(error);
    if !expected.is_empty() {
        return format!("expected {}", one_of(&expected));
    }
    match error.kind() {
        ValidationErrorKind::MinItems { limit: 1 } | ValidationErrorKind::MinLength { limit: 1 } => {
            "it is empty".to_owned()
        }
        ValidationErrorKind::Required { property } => format!("the key {property} is missing"),
        _ => error.masked_with("the value").to_string(),
    }
}

/// The complaints of each form that a value could have had.
fn forms<'e>(error: &'e ValidationError<'_>) -> Option<&'e [Vec<ValidationError<'static>>]> {
    match error.kind() {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => Some(context),
        _ => None,
    }
}

/// The form that the value was meant to have, if one is of its type: the one whose tag it has, else with the least to
/// complain about.
fn nearest<'e>(
    forms: &'e [Vec<ValidationError<'static>>],
    error: &ValidationError<'_>,
) -> Option<&'e Vec<ValidationError<'static>>> {
    let place = error.instance_path();
    let excluded = |form: &[ValidationError<'_>]| {
        form.iter()
            .any(|error| error.instance_path() == place && is_about_kind(error))
    };
    let misses_tag = |error: &ValidationError<'_>| matches!(error.kind(), ValidationErrorKind::Constant { .. });
    forms
        .iter()
        .filter(|form| !excluded(form))
        .min_by_key(|form| (form.iter().any(misses_tag), form.len()))
}

/// Whether something of another type, or another one of a few values, is wanted in this place.
fn is_about_kind(error: &ValidationError<'_>) -> bool {
    match error.kind() {
        ValidationErrorKind::Constant { .. } | ValidationErrorKind::Enum { .. } | ValidationErrorKind::Type { .. } => {
            true
        }
        _ => forms(error).is_some_and(|forms| nearest(forms, error).is_none()),
    }
}

/// What could stand in the place of a value that fits in no way; empty: something of this type could.
fn expected(error: &ValidationError<'_>) -> Vec<String> {
    let mut expected: Vec<String> = match error.kind() {
        ValidationErrorKind::Constant { expected_value } => vec![expected_value.to_string()],
        ValidationErrorKind::Enum { options } => options
            .as_array()
            .map(|options| {
                options
                    .iter()
                    .filter(|option| !option.is_null())
                    .map(Value::to_string)
                    .collect()
            })
            .unwrap_or_default(),
        ValidationErrorKind::Type {
            kind: TypeKind::Single(kind),
        } => Vec::from_iter(in_words(*kind)),
        ValidationErrorKind::Type {
            kind: TypeKind::Multiple(kinds),
        } => kinds.iter().filter_map(in_words).collect(),
        _ => match forms(error) {
            Some(forms) if nearest(forms, error).is_none() => {
                forms.iter().flat_map(|form| expected_by(form, error)).collect()
            }
            _ => Vec::new(),
        },
    };
    let mut seen = std::collections::BTreeSet::new();
    expected.retain(|what| seen.insert(what.clone()));
    expected
}

/// What one form has in the place of `error`: its values where it lists them, else its types.
fn expected_by(form: &[ValidationError<'_>], error: &ValidationError<'_>) -> Vec<String> {
    let here = || form.iter().filter(|each| each.instance_path() == error.instance_path());
    let values = here().filter(|each| !matches!(each.kind(), ValidationErrorKind::Type { .. }));
    let values: Vec<String> = values.flat_map(expected).collect();
    if values.is_empty() {
        here().flat_map(expected).collect()
    } else {
        values
    }
}

/// A configuration has no `null`, so nobody is told to write it.
fn in_words(kind: JsonType) -> Option<String> {
    let words = match kind {
        JsonType::Array => "a list",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "a whole number",
        JsonType::Null => return None,
        JsonType::Number => "a number",
        JsonType::Object => "a table",
        JsonType::String => "text",
    };
    Some(words.to_owned())
}

fn one_of(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [word] => word.clone(),
        [words @ .., last] => format!("{} or {last}", words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::ConfigureError;
    use super::super::compare;
    use super::*;

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
        match compare(&settings, &schema()) {
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
        let error = compare(&json!({}), &schema()).unwrap_err();
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
}
