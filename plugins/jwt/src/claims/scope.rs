//! The scopes of a token: what its holder may do (RFC 9068, section 2.2.3).

use serde_json::Value;

use super::Claims;
use crate::fault::Fault;

/// Refuses a token that lacks one of these scopes. They stand in `scope`, joined by spaces (RFC 8693, section 4.2), or
/// in `scp`, where some providers put them; either may be a list instead.
pub(crate) fn check(claims: &Claims, required: &[String]) -> Result<(), Fault> {
    if required.is_empty() {
        return Ok(());
    }
    let granted = granted(claims)?;
    match required.iter().find(|scope| !granted.contains(&scope.as_str())) {
        Some(missing) => Err(Fault::Scope(missing.clone())),
        None => Ok(()),
    }
}

fn granted(claims: &Claims) -> Result<Vec<&str>, Fault> {
    let (name, value) = match claims.registered("scope") {
        Some(scope) => ("scope", Some(scope)),
        None => ("scp", claims.registered("scp")),
    };
    let malformed = || Fault::Claim(name.to_owned(), "is neither text nor a list of texts");
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(scopes)) => Ok(scopes.split(' ').collect()),
        Some(Value::Array(scopes)) => scopes
            .iter()
            .map(Value::as_str)
            .collect::<Option<_>>()
            .ok_or_else(malformed),
        Some(_) => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_required_scope_must_be_granted() {
        let cases = [
            (json!({"scope": "read write admin"}), true),
            (json!({"scope": ["write", "read"]}), true),
            (json!({"scp": ["read", "write"]}), true),
            (json!({"scp": "read write"}), true),
            (json!({"scope": "read"}), false),
            (json!({"scope": "read writer"}), false),
            (json!({"scope": "READ WRITE"}), false),
            (json!({"scope": "read", "scp": ["write"]}), false),
            (json!({"scope": ["read write"]}), false),
            (json!({"scope": null}), false),
            (json!({"scope": 1}), false),
            (json!({"scp": ["read", "write", 1]}), false),
            (json!({}), false),
        ];
        for (claims, enough) in cases {
            let text = claims.to_string();
            let claims = Claims::of_verified(text.as_bytes()).unwrap();
            assert_eq!(
                check(&claims, &["read".to_owned(), "write".to_owned()]).is_ok(),
                enough,
                "{text}"
            );
            assert!(check(&claims, &[]).is_ok(), "{text}");
        }
    }
}
