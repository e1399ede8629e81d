//! A configuration to start from, made from a plugin's schema and imports: the settings that must be set, and the grants that
//! they need.

use std::fmt::Write;

use portcullis::GrantKey;
use portcullis::Manifest;
use portcullis::Role;
use serde_json::Value;

use crate::config::PluginSource;

/// What an import lets a plugin do, for people. Imports without a sentence here let it do nothing beyond computing.
const MEANINGS: [(&str, &str); 9] = [
    (
        "portcullis:auth/outbound",
        "asks other servers, as far as grants.http allows",
    ),
    ("wasi:http/", "asks other servers, as far as grants.http allows"),
    ("portcullis:auth/crypto", "verifies signatures or passwords"),
    ("portcullis:auth/cache", "keeps a cache, which its calls share"),
    ("portcullis:auth/negotiate", "checks Kerberos tokens ([negotiate])"),
    ("portcullis:auth/signing", "signs with keys that are granted by name"),
    ("wasi:random/", "uses random numbers"),
    ("wasi:filesystem/", "looks for files: there are none"),
    ("wasi:sockets/", "looks for a network of its own: there is none"),
];

/// What a plugin with these imports can do.
pub(super) fn meanings(imports: &[String]) -> Vec<&'static str> {
    let has = |prefix: &str| imports.iter().any(|import| import.starts_with(prefix));
    let known = MEANINGS.iter().filter(|(prefix, _)| has(prefix));
    let mut known: Vec<_> = known.map(|(_, meaning)| *meaning).collect();
    known.dedup();
    known
}

/// The content of a `NAME.toml` beside the plugin's file, or of `portcullis.toml` for another plugin.
pub(super) fn configuration(
    plugin: &PluginSource,
    role: Role,
    schema: &Value,
    manifest: Option<&Manifest>,
    imports: &[String],
) -> String {
    let section = |name: &str, plugin: &str| {
        (
            format!("[{role}s.{name}]\nplugin = \"{plugin}\"\n"),
            format!("{role}s.{name}."),
        )
    };
    let (mut text, prefix) = match plugin {
        PluginSource::File(path) => {
            let name = path.file_stem().unwrap_or_default().display();
            (format!("# {name}.toml\n"), String::new())
        }
        PluginSource::BuiltIn(name) => section(name, name),
        PluginSource::Registry(reference) => section(plugin.name(), &reference.to_string()),
    };
    let required = schema.get("required").and_then(Value::as_array);
    let required = required.into_iter().flatten().filter_map(Value::as_str);
    let settings = Vec::from_iter(required.map(|name| (name, property(schema, name))));
    if !settings.is_empty() {
        // Writing to a string can't fail.
        let _ = writeln!(text, "[{prefix}settings]");
    }
    for (name, property) in settings {
        let about = property.get("description").and_then(Value::as_str).unwrap_or_default();
        let about = about.split(['\n', ';']).next().unwrap_or_default();
        let about = about.split(". ").next().unwrap_or_default().trim_end_matches('.');
        let _ = writeln!(text, "{name} = {}{}", placeholder(schema, property), comment(about));
    }
    let asked = manifest.and_then(|manifest| manifest.grants.as_deref());
    let names_headers = schema.to_string().contains("\"x-portcullis-grant\":\"headers\"");
    let grants = grants(role, asked, names_headers, imports);
    if !grants.is_empty() {
        let _ = writeln!(text, "[{prefix}grants]\n{grants}");
    }
    text.trim_end().to_owned()
}

/// The lines of the grants: what the plugin asks for, or else what most plugins do. `names_headers` says whether its settings can
/// name headers.
fn grants(role: Role, asked: Option<&[(GrantKey, String)]>, names_headers: bool, imports: &[String]) -> String {
    let mut text = String::new();
    let keys = [
        GrantKey::Headers,
        GrantKey::Cookies,
        GrantKey::Query,
        GrantKey::Http,
        GrantKey::Login,
    ];
    for key in keys {
        let names = asked
            .into_iter()
            .flatten()
            .filter(|(of, name)| *of == key && name != "*");
        let mut names = Vec::from_iter(names.map(|(_, name)| name.as_str()));
        // An authorizer is told who the user is.
        let reads_credentials = role != Role::Authorizer;
        if key == GrantKey::Headers && names.is_empty() && reads_credentials && (asked.is_none() || names_headers) {
            names.push("authorization");
        }
        if !names.is_empty() || (key == GrantKey::Headers && reads_credentials) {
            let _ = writeln!(text, "{} = {names:?}", key.label());
        } else if key == GrantKey::Http && sends_requests(imports) {
            text.push_str("http = [] # the servers that it may ask, such as \"https://id.example.org\"\n");
        }
    }
    for (key, _) in asked.into_iter().flatten() {
        match key {
            GrantKey::ClientCertificate => text.push_str("client_certificate = true\n"),
            GrantKey::Negotiate => text.push_str("negotiate = \"\" # the NAME of [negotiate.NAME]\n"),
            _ => {}
        }
    }
    text
}

fn sends_requests(imports: &[String]) -> bool {
    let asks = ["portcullis:auth/outbound", "wasi:http/outgoing-handler"];
    imports
        .iter()
        .any(|import| asks.iter().any(|asks| import.starts_with(asks)))
}

fn property<'s>(schema: &'s Value, name: &str) -> &'s Value {
    schema
        .get("properties")
        .and_then(|properties| properties.get(name))
        .map_or(&Value::Null, |property| resolved(schema, property))
}

/// What a reference leads to.
fn resolved<'s>(schema: &'s Value, property: &'s Value) -> &'s Value {
    let reference = property.get("$ref").and_then(Value::as_str);
    let target = reference.and_then(|reference| schema.pointer(reference.strip_prefix('#')?));
    target.unwrap_or(property)
}

fn placeholder(schema: &Value, property: &Value) -> String {
    let kind = property.get("type").and_then(Value::as_str);
    match kind {
        Some("array") => {
            let items = property.get("items").map(|items| resolved(schema, items));
            match items.and_then(|items| items.get("type")).and_then(Value::as_str) {
                Some("object") => "[{}]".to_owned(),
                _ => "[]".to_owned(),
            }
        }
        Some("boolean") => "false".to_owned(),
        Some("integer" | "number") => "0".to_owned(),
        Some("object") => "{}".to_owned(),
        _ => "\"\"".to_owned(),
    }
}

fn comment(about: &str) -> String {
    let about = about.replace(char::is_control, " ");
    if about.is_empty() {
        String::new()
    } else {
        format!(" # {about}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn required_settings_have_a_line_of_their_type() {
        let schema = json!({
            "$defs": {"Issuer": {"type": "object"}, "Url": {"type": "string", "description": "A URL. More."}},
            "properties": {
                "issuers": {"type": "array", "items": {"$ref": "#/$defs/Issuer"}, "description": "The issuers.\nAll."},
                "names": {"type": "array", "items": {"type": "string"}},
                "url": {"$ref": "#/$defs/Url"},
                "count": {"type": "integer"},
                "strict": {"type": "boolean"},
                "table": {"type": "object"},
                "optional": {"type": "string"},
            },
            "required": ["issuers", "names", "url", "count", "strict", "table", "gone"],
        });
        let expected = "# a.toml\n[settings]\nissuers = [{}] # The issuers\nnames = []\nurl = \"\" # A URL\ncount = 0\nstrict = false\n\
                        table = {}\ngone = \"\"\n[grants]\nheaders = [\"authorization\"]";
        let file = PluginSource::File("x/a.wasm".into());
        assert_eq!(configuration(&file, Role::Authenticator, &schema, None, &[]), expected);
        let asks = ["wasi:http/outgoing-handler@0.2.6".to_owned()];
        let expected = "[authenticators.jwt]\nplugin = \"jwt\"\n[authenticators.jwt.grants]\nheaders = \
                        [\"authorization\"]\nhttp = [] # the servers that it may ask, such as \
                        \"https://id.example.org\"";
        let built_in = PluginSource::BuiltIn("jwt".to_owned());
        assert_eq!(
            configuration(&built_in, Role::Authenticator, &json!(true), None, &asks),
            expected
        );
        let remote = PluginSource::Registry("oci://r.example/team/b.c:1".parse().unwrap());
        let expected = "[authenticators.plugin]\nplugin = \"oci://r.example/team/b.c:1\"\n[authenticators.plugin.grants]\n\
                        headers = [\"authorization\"]";
        assert_eq!(
            configuration(&remote, Role::Authenticator, &json!(true), None, &[]),
            expected
        );
        let manifest = br#"{"name": "n", "grants": {"cookies": ["a"], "http": ["*"], "negotiate": true}}"#;
        let manifest = Manifest::parse(manifest).unwrap();
        let expected = "# a.toml\n[grants]\nheaders = []\ncookies = [\"a\"]\nhttp = [] # the servers that it may ask, such as \
                        \"https://id.example.org\"\nnegotiate = \"\" # the NAME of [negotiate.NAME]";
        assert_eq!(
            configuration(&file, Role::Authenticator, &json!(true), Some(&manifest), &asks),
            expected
        );
        let policy = PluginSource::BuiltIn("policy".to_owned());
        let schema = json!({"properties": {"rules": {"type": "string"}}, "required": ["rules"]});
        let expected = "[authorizers.policy]\nplugin = \"policy\"\n[authorizers.policy.settings]\nrules = \"\"";
        assert_eq!(configuration(&policy, Role::Authorizer, &schema, None, &[]), expected);
        assert_eq!(meanings(&asks), ["asks other servers, as far as grants.http allows"]);
        assert!(meanings(&["wasi:io/poll@0.2.6".to_owned()]).is_empty());
    }
}
