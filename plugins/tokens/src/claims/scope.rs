//! Checks the scopes of a token (RFC 9068, section 2.2.3). They say what the client may do.

use super::Claims;
use crate::error::TokenError;
use crate::text::all_quoted;

/// Refuses a token that lacks one of these scopes.
pub fn check(claims: &Claims, required: &[String]) -> Result<(), TokenError> {
    if required.is_empty() {
        return Ok(());
    }
    let granted = of(claims)?;
    match required.iter().find(|scope| !granted.contains(&scope.as_str())) {
        Some(missing) => Err(TokenError::Scope {
            missing: missing.clone(),
            found: match granted.as_slice() {
                [] => "none".to_owned(),
                granted => all_quoted(granted.iter().copied()),
            },
        }),
        None => Ok(()),
    }
}

/// Whether a token has this scope.
pub fn has(claims: &Claims, scope: &str) -> bool {
    of(claims).is_ok_and(|granted| granted.contains(&scope))
}

/// The scopes of a token. They are in `scope`, joined by spaces (RFC 8693, section 4.2), or in `scp`, which some providers
/// use; either may be a list instead.
fn of(claims: &Claims) -> Result<Vec<&str>, TokenError> {
    let name = if claims.registered("scope").is_some_and(|scope| !scope.is_null()) {
        "scope"
    } else {
        "scp"
    };
    let granted = claims.strings(name, |scopes| scopes.split(' ').collect())?;
    Ok(granted.unwrap_or_default())
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
            (json!({"scope": null, "scp": ["read", "write"]}), true),
            (json!({"scope": "", "scp": ["read", "write"]}), false),
            (json!({"scope": 1}), false),
            (json!({"scp": ["read", "write", 1]}), false),
            (json!({}), false),
        ];
        for (claims, enough) in cases {
            let text = claims.to_string();
            let claims = Claims::from_verified(text.as_bytes()).unwrap();
            assert_eq!(
                check(&claims, &["read".to_owned(), "write".to_owned()]).is_ok(),
                enough,
                "{text}"
            );
            assert!(check(&claims, &[]).is_ok(), "{text}");
        }
    }
}
