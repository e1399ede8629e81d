//! Which values match a schema, which schemas are refused, and the cost of hostile schemas. The cases are tables of
//! schemas with values.

use serde_json::Value;
use serde_json::json;

use super::Exhausted;
use super::Schema;

/// Schemas, each with values that match it and values that don't.
const FITTING: &str = r##"[
    [true, [1, null], []],
    [false, [], [1, null]],
    [{"type": "integer"}, [1, -1, 1.0, 1e300], [1.5, "1", null]],
    [{"type": "number"}, [1, 1.5], ["1"]],
    [{"type": ["string", "null"]}, ["", null], [1, [], {}]],
    [{"type": ["array", "object", "boolean"]}, [[], {}, true], [1, ""]],
    [{"enum": [1, {"a": [2.0]}]}, [1, 1.0, {"a": [2]}], ["1", {"a": 2}, true]],
    [{"const": 0}, [0, 0.0, -0.0], [false, null, 1]],
    [{"const": {"a": 1, "b": 2}}, [{"b": 2, "a": 1}], [{"a": 1}]],
    [{"minimum": 1.1}, [1.1, 2, "0"], [1, 1.0]],
    [{"maximum": 3}, [3, 3.0, -5], [3.5, 4]],
    [{"exclusiveMinimum": 3}, [3.1, 4], [3, 3.0, 2]],
    [{"exclusiveMaximum": 3}, [2.9], [3, 4]],
    [{"multipleOf": 3}, [0, -3, 6.0, "x"], [1, 3.5]],
    [{"minLength": 2}, ["äö", 1], ["ä", ""]],
    [{"maxLength": 2.0}, ["äö", [1, 2, 3]], ["abc"]],
    [{"pattern": "^a+$"}, ["aa", 1], ["ab", ""]],
    [{"pattern": "a\\/\\d"}, ["xa/1x"], ["a/x", "a/\u0665"]],
    [{"items": {"type": "string"}}, [[], ["a"], "b"], [["a", 1]]],
    [{"prefixItems": [{"const": 1}, true], "items": false}, [[], [1], [1, 2]], [[2], [1, 2, 3]]],
    [{"prefixItems": [{"const": 1}]}, [[1, 2, 3]], [[2]]],
    [{"minItems": 1}, [[1], ""], [[]]],
    [{"maxItems": 1}, [[1], [], "ab"], [[1, 2]]],
    [{"uniqueItems": true}, [[1, "1", [1], true], []], [[1, 1.0], [{"a": 1}, {"a": 1.0}]]],
    [{"uniqueItems": false}, [[1, 1]], []],
    [{"required": ["a"]}, [{"a": null}, []], [{}, {"b": 1}]],
    [{"dependentRequired": {"a": ["b"]}}, [{}, {"b": 1}, {"a": 1, "b": 1}], [{"a": 1}]],
    [{"properties": {"a": {"type": "null"}}}, [{}, {"a": null}, {"b": 1}], [{"a": 1}]],
    [{"properties": {"a": true}, "additionalProperties": false}, [{}, {"a": 1}, []], [{"b": 1}]],
    [{"properties": {"a": true}, "patternProperties": {"^x": {"const": 1}}, "additionalProperties": {"const": 2}},
        [{"a": 5, "xa": 1, "b": 2}], [{"xa": 2}, {"b": 1}]],
    [{"properties": {"ab": {"minimum": 1}}, "patternProperties": {"a": {"maximum": 2}, "b": {"multipleOf": 2}}},
        [{"ab": 2}], [{"ab": 0}, {"ab": 4}, {"ab": 1}]],
    [{"patternProperties": {"b": false}}, [{"a": 1}], [{"abc": 1}]],
    [{"patternProperties": {"b": true}, "additionalProperties": false}, [{"b": 1}], [{"a": 1}]],
    [{"additionalProperties": {"const": 1}}, [{"a": 1}], [{"a": 2}]],
    [{"minProperties": 1, "maxProperties": 2}, [{"a": 1}, []], [{}, {"a": 1, "b": 1, "c": 1}]],
    [{"propertyNames": {"maxLength": 1}}, [{"a": 1}], [{"ab": 1}]],
    [{"allOf": [{"minimum": 1}, {"maximum": 2}]}, [1, 2], [0, 3]],
    [{"anyOf": [{"type": "string"}, {"minimum": 2}]}, ["", 2], [1]],
    [{"oneOf": [{"minimum": 1}, {"maximum": 2}]}, [0, 3], [1, 2]],
    [{"not": {"type": "string"}}, [1], ["a"]],
    [{"if": {"minimum": 5}, "then": {"multipleOf": 2}, "else": {"const": 1}}, [6, 1], [7, 2]],
    [{"if": {"const": 1}, "else": false}, [1], [2]],
    [{"then": false, "else": false}, [1], []],
    [{"$ref": "#/$defs/a", "maximum": 3, "$defs": {"a": {"minimum": 1}}}, [1, 3], [0, 4]],
    [{"$ref": "#/$defs/a~1b%25", "$defs": {"a/b%": {"const": 1}}}, [1], [2]],
    [{"$ref": "#/definitions/a", "definitions": {"a": false}}, [], [1]],
    [{"properties": {"next": {"$ref": "#"}}, "additionalProperties": false},
        [{"next": {"next": {}}}], [{"next": {"next": {"end": 1}}}]],
    [{"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example/settings", "$comment": "",
        "title": "", "description": "", "default": 1, "examples": [], "format": "email", "deprecated": true,
        "readOnly": true, "writeOnly": true, "contentEncoding": "base64", "contentMediaType": "text/plain",
        "x-order": 3, "$defs": {"unused": {}}}, [1, "no address"], []]
]"##;

/// Documents that are not schemas, or use unsupported keywords.
const REFUSED: &str = r##"[
    [], 1, {"type": "text"}, {"type": []}, {"type": ["null", "null"]}, {"enum": 1}, {"minimum": "1"},
    {"multipleOf": 0}, {"multipleOf": 0.1}, {"minLength": -1}, {"maxItems": 1.5}, {"items": [true]},
    {"prefixItems": []}, {"uniqueItems": 1}, {"required": "a"}, {"required": [1]}, {"dependentRequired": {"a": "b"}},
    {"properties": []}, {"properties": {"a": 1}}, {"additionalProperties": "no"}, {"allOf": []}, {"anyOf": {}},
    {"oneOf": [1]}, {"not": null}, {"then": 1}, {"$defs": {"a": {"type": 1}}},

    {"pattern": 1}, {"pattern": "("}, {"pattern": "(?=a)"}, {"pattern": "(a)\\1"}, {"pattern": "a{1000}{1000}"},
    {"patternProperties": {"(": true}},

    {"$ref": 1}, {"$ref": "#/$defs/absent"}, {"$ref": "#anchor"}, {"$ref": "other"},
    {"$ref": "http://127.0.0.1/schema"}, {"$ref": "file:///etc/hostname"},
    {"$schema": "http://json-schema.org/draft-07/schema#"}, {"not": {"$id": "https://example/other"}},

    {"$anchor": "a"}, {"$dynamicRef": "#"}, {"contains": true}, {"dependencies": {}}, {"dependentSchemas": {}},
    {"unevaluatedItems": false}, {"unevaluatedProperties": false}, {"minimun": 1}
]"##;

#[test]
fn each_keyword_tells_what_fits_from_what_does_not() {
    let cases: Vec<(Value, Vec<Value>, Vec<Value>)> = serde_json::from_str(FITTING).unwrap();
    for (document, fitting, unfitting) in &cases {
        let schema = Schema::parse(document).unwrap();
        let fits = |value: &Value| schema.check(value).unwrap().is_empty();
        for value in fitting {
            assert!(fits(value), "{document} {value}");
        }
        for value in unfitting {
            assert!(!fits(value), "{document} {value}");
        }
    }
}

#[test]
fn a_schema_that_is_malformed_or_not_supported_is_refused() {
    let documents: Vec<Value> = serde_json::from_str(REFUSED).unwrap();
    for document in documents {
        assert!(Schema::parse(&document).is_err(), "{document}");
    }
}

/// Small schemas whose check would take a very long time without a budget.
#[test]
fn a_check_of_a_hostile_schema_ends() {
    let doubling = |keyword: &str| {
        let mut schema = json!({"$ref": "#/$defs/0", "$defs": {"100": {}}});
        for n in 0..100 {
            let next = json!({"$ref": format!("#/$defs/{}", n + 1)});
            schema["$defs"][n.to_string()] = json!({keyword: [next, next]});
        }
        schema
    };
    let nested = |depth: usize, keyword: &str, inner: Value| {
        (0..depth).fold(inner, |inner, _| json!({keyword: [inner, {"type": "null"}]}))
    };
    let numbers: Vec<_> = (0..100_000).collect();
    let names: Vec<_> = numbers.iter().map(|n| format!("n{n}")).collect();
    let known: Value = names.iter().map(|name| (name.clone(), json!(true))).collect();
    let items: Vec<_> = (0..1000).map(|n| json!({n.to_string(): n})).collect();
    let text = "a".repeat(100_000);
    for (what, schema, value, is_exhausted) in [
        ("doubling by allOf", doubling("allOf"), json!(1), true),
        ("doubling by anyOf", doubling("anyOf"), json!(1), true),
        ("doubling by oneOf", doubling("oneOf"), json!(1), true),
        ("a circle", json!({"$ref": "#"}), json!(1), true),
        ("a circle by not", json!({"not": {"$ref": "#"}}), json!(1), true),
        (
            "nested forms that want null",
            nested(60, "anyOf", json!({"type": "null"})),
            json!(1),
            false,
        ),
        (
            "nested forms with a constant",
            nested(60, "oneOf", json!({"const": 1})),
            json!("x"),
            false,
        ),
        (
            "a long list of values",
            json!({"items": {"enum": numbers}}),
            json!(items),
            false,
        ),
        (
            "a long list of values, in forms",
            json!({"items": {"anyOf": [{"enum": numbers}, {"type": "null"}]}}),
            json!(items),
            true,
        ),
        (
            "many keys that are missing",
            json!({"items": {"required": names}}),
            json!(items),
            true,
        ),
        (
            "many keys that are known",
            json!({"items": {"properties": known, "additionalProperties": false}}),
            json!(items),
            true,
        ),
        ("a slow pattern", json!({"pattern": "(a|a?){30}x"}), json!(text), true),
        (
            "a slow pattern for keys",
            json!({"patternProperties": {"(a|a?){30}x": true}}),
            json!({text.clone(): 1}),
            true,
        ),
        (
            "many items that must differ",
            json!({"uniqueItems": true}),
            json!(numbers),
            false,
        ),
    ] {
        let result = Schema::parse(&schema).unwrap().check(&value);
        assert_eq!(matches!(result, Err(Exhausted)), is_exhausted, "{what}");
    }
    let patterns: Value = (0..50_000).map(|n| (format!("{n}[a-z]{{500}}"), json!(true))).collect();
    assert!(Schema::parse(&json!({"patternProperties": patterns})).is_err());
}
