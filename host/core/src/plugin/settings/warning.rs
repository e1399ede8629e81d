//! Compares what a plugin asks for with the grants and limits that it has. A plugin whose grant is missing would only see
//! that a header is absent, or that a server can't be reached, and the operator would search for the reason.

use std::fmt;
use std::time::Duration;

use http::Uri;
use serde_json::Value;

use super::schema::Kind;
use super::schema::Need;
use crate::component::Manifest;
use crate::grants::AskedGrant;
use crate::grants::GrantKey;
use crate::grants::Grants;
use crate::grants::OTHERS;
use crate::grants::UnaskedGrant;
use crate::limits::Limits;

/// Something in the grants or limits of an authenticator that may not be meant: what a setting or the plugin needs is missing,
/// or what is granted is never asked for. The authenticator works as far as it can.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ConfigurationWarning {
    /// The setting, as a path of keys and indices that starts at the settings. `None` if it isn't about one.
    pub setting: Option<Vec<String>>,
    /// What is missing or superfluous, and its consequence. Of a URL in the settings the text has only scheme, host and port,
    /// because the rest may be secret.
    pub message: String,
}

impl fmt::Display for ConfigurationWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.setting {
            Some(path) => super::write_at(f, path, &self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// What a plugin asks for, and what it has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// What its manifest and its settings ask for.
    pub(crate) grants: Vec<AskedGrant>,
    /// What is granted beyond that. Empty if the plugin has no manifest that says what it asks for.
    pub(crate) unasked: Vec<UnaskedGrant>,
    /// What may not be meant.
    pub(crate) warnings: Vec<ConfigurationWarning>,
}

impl Asked {
    /// Compares the needs of the settings, and the manifest, with what is granted.
    pub(super) fn new(needs: Vec<Need>, manifest: Option<&Manifest>, grants: &Grants, limits: &Limits) -> Self {
        let mut asked = Self::default();
        let mut names = Vec::new();
        let of_manifest = manifest.and_then(|manifest| manifest.grants.as_deref());
        for (key, name) in of_manifest.unwrap_or_default() {
            asked.add(*key, name, None, grants);
            names.push((*key, name.clone()));
        }
        for need in needs {
            let (key, name) = match need.kind {
                Kind::Grant(key) => (key, need.value.as_str().map(str::to_owned)),
                Kind::Named(key, name) => (key, Some(name).filter(|_| !need.value.is_null())),
                Kind::Requests(count) => {
                    let message = span(&need.value).and_then(|each| too_slow(count, each, limits.deadline));
                    asked.warnings.extend(message.map(|message| ConfigurationWarning {
                        setting: Some(need.path),
                        message,
                    }));
                    continue;
                }
            };
            if let Some(name) = name {
                asked.add(key, &name, Some(need.path), grants);
                names.push((key, name));
            }
        }
        if of_manifest.is_some() {
            asked.unasked = grants.unasked(&names);
            asked
                .warnings
                .extend(asked.unasked.iter().map(|unasked| ConfigurationWarning {
                    setting: None,
                    message: format!(
                        "grants.{} has the {unasked}, which the plugin never asks for",
                        unasked.key.label()
                    ),
                }));
        }
        asked
    }

    /// Notes something that is asked for. It isn't noted if nothing could be granted for this name.
    fn add(&mut self, key: GrantKey, name: &str, setting: Option<Vec<String>>, grants: &Grants) {
        let is_open = name == OTHERS;
        let Some(granted) = is_open.then_some(true).or_else(|| grants.has(key, name)) else {
            return;
        };
        let name = match &setting {
            Some(_) if matches!(key, GrantKey::Http | GrantKey::Login) => origin(name).unwrap_or_default(),
            _ => name.to_owned(),
        };
        if !granted {
            let message = missing(key, &name, setting.is_some(), grants);
            let setting = setting.clone();
            self.warnings.push(ConfigurationWarning { setting, message });
        }
        let asked = AskedGrant {
            key,
            name,
            setting,
            granted,
        };
        if !self.grants.contains(&asked) {
            self.grants.push(asked);
        }
    }
}

/// Scheme, host and port of a URL.
pub(super) fn origin(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}://{}{port}", uri.scheme_str()?, uri.host()?))
}

/// The message about a grant that is missing.
fn missing(key: GrantKey, name: &str, by_setting: bool, grants: &Grants) -> String {
    let label = key.label();
    // The place of a setting says already who asks.
    let asks = if by_setting { "" } else { " which the plugin asks for," };
    match key {
        GrantKey::ClientCertificate => {
            format!("grants.{label} isn't set,{asks} so the plugin never sees the client's certificate")
        }
        GrantKey::Cookies | GrantKey::Headers => {
            format!(
                "grants.{label} doesn't have the {} {name:?},{asks} so it is never seen",
                key.noun()
            )
        }
        GrantKey::Query => format!("grants.{label} doesn't have the parameter {name:?},{asks} so it is never seen"),
        GrantKey::Http => format!("grants.{label} doesn't cover {name},{asks} so requests there are denied"),
        GrantKey::Login => format!("grants.{label} doesn't cover {name},{asks} so no browser is sent there"),
        GrantKey::Signing => {
            format!("grants.{label} doesn't have the key {name:?},{asks} so nothing can be signed with it")
        }
        GrantKey::Negotiate => match &grants.negotiate {
            Some(granted) => format!("grants.{label} is {granted:?}, so no token can be verified"),
            None => format!("grants.{label} is missing,{asks} so no token can be verified"),
        },
    }
}

/// The message about requests that may take longer than a call. `None` if they fit.
fn too_slow(count: u32, each: Duration, deadline: Duration) -> Option<String> {
    (each.saturating_mul(count) >= deadline).then(|| {
        let requests = match count {
            1 => "a request".to_owned(),
            _ => format!("{count} requests in a row"),
        };
        format!("{requests} may take longer than limits.deadline, which is {deadline:?}")
    })
}

/// A duration in settings: seconds, or a number with a unit. `None` if it is neither.
fn span(value: &Value) -> Option<Duration> {
    match value {
        Value::Number(seconds) => seconds.as_u64().map(Duration::from_secs),
        Value::String(text) => humantime::parse_duration(text).ok(),
        _ => None,
    }
}
