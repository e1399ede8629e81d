//! The names of issuers, as tokens state them in `iss`. A name may have a place for a tenant, whose id is a claim of the
//! token, too.

use std::fmt;

use crate::claims::Claims;

/// The name of an issuer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum IssuerName {
    /// Any name, or none.
    Any,
    /// Exactly this name.
    Exact(String),
    /// A name with the id of a tenant in it.
    Tenant(TenantName),
}

/// A name such as `https://login.microsoftonline.com/{tid}/v2.0`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TenantName {
    before: String,
    /// The claim that has the id of the tenant, too.
    claim: String,
    after: String,
    /// The accepted tenants. `None` accepts all.
    tenants: Option<Vec<String>>,
}

impl IssuerName {
    /// Parses a name. `tenants` lists the accepted tenants, and `any_tenant` accepts all.
    pub fn parse(name: &str, tenants: Option<Vec<String>>, any_tenant: bool) -> Result<Self, &'static str> {
        if name.is_empty() {
            return Err("issuer: it is empty");
        }
        let Some((before, rest)) = name.split_once('{') else {
            return match (tenants, any_tenant) {
                (None, false) => Ok(Self::Exact(name.to_owned())),
                _ => Err("tenants: the issuer has no place for a tenant, such as {tid}"),
            };
        };
        let tenants = match (tenants, any_tenant) {
            (None, true) => None,
            (Some(tenants), false) if tenants.iter().all(|tenant| is_tenant(tenant)) && !tenants.is_empty() => {
                Some(tenants)
            }
            (Some(_), false) => {
                return Err("tenants: expected a list of ids, which have neither a slash nor a brace and aren't empty");
            }
            (Some(_), true) => return Err("insecure_any_tenant: it contradicts tenants; remove one of them"),
            (None, false) => {
                return Err(
                    "tenants: they are missing; list the tenants whose users are accepted, or set insecure_any_tenant = true",
                );
            }
        };
        match rest.split_once('}') {
            Some((claim, after)) if !claim.is_empty() && !claim.contains('{') && !after.contains(['{', '}']) => {
                Ok(Self::Tenant(TenantName {
                    before: before.to_owned(),
                    claim: claim.to_owned(),
                    after: after.to_owned(),
                    tenants,
                }))
            }
            _ => Err("issuer: expected one place for a tenant, with the name of a claim: {tid}"),
        }
    }

    /// Whether a token may be of this issuer, by the `iss` that it claims.
    pub fn is(&self, named: Option<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(name) => named == Some(name),
            Self::Tenant(name) => named.is_some_and(|named| name.tenant(named).is_some()),
        }
    }

    /// Whether a name that isn't accepted has a tenant in the right place.
    pub fn is_but_for_tenant(&self, named: &str) -> bool {
        matches!(self, Self::Tenant(name) if name.any_tenant(named).is_some())
    }

    /// Whether there is a place for a tenant in the name.
    pub const fn has_tenants(&self) -> bool {
        matches!(self, Self::Tenant(_))
    }

    /// Whether metadata is that of this issuer, by the name that it states.
    pub fn is_in_metadata(&self, found: &str) -> bool {
        is_same_in_metadata(&self.to_string(), found)
    }

    /// Whether the verified claims are of this issuer. The tenant in `iss` must be that of the claim.
    pub fn is_of(&self, claims: &Claims) -> bool {
        let text = |name: &str| claims.registered(name).and_then(|value| value.as_str());
        match self {
            Self::Any => true,
            Self::Exact(name) => text("iss") == Some(name),
            Self::Tenant(name) => {
                let tenant = text("iss").and_then(|named| name.tenant(named));
                tenant.is_some() && tenant == text(&name.claim)
            }
        }
    }
}

impl TenantName {
    /// The tenant of an issuer. `None` if this is another issuer, or if the tenant isn't accepted.
    fn tenant<'n>(&self, named: &'n str) -> Option<&'n str> {
        let tenant = self.any_tenant(named)?;
        let is_accepted = |tenants: &Vec<String>| tenants.iter().any(|accepted| accepted == tenant);
        self.tenants.as_ref().is_none_or(is_accepted).then_some(tenant)
    }

    /// The tenant of an issuer, accepted or not. `None` if this is another issuer.
    fn any_tenant<'n>(&self, named: &'n str) -> Option<&'n str> {
        let tenant = named.strip_prefix(&self.before)?.strip_suffix(&self.after)?;
        is_tenant(tenant).then_some(tenant)
    }
}

/// Whether metadata is that of the configured issuer, by the name that it states (OpenID Connect Discovery 1.0, section 4.3). The place
/// of a tenant may have another name there: Entra calls it `{tenantid}`.
pub(crate) fn is_same_in_metadata(configured: &str, found: &str) -> bool {
    let parts = |issuer: &str| {
        let (before, rest) = issuer.split_once('{')?;
        let (_, after) = rest.split_once('}')?;
        Some((before.to_owned(), after.to_owned()))
    };
    configured == found || parts(configured).is_some_and(|configured| parts(found) == Some(configured))
}

fn is_tenant(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', '{', '}', '?', '#'])
}

/// The name in settings.
impl fmt::Display for IssuerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any issuer"),
            Self::Exact(name) => f.write_str(name),
            Self::Tenant(name) => write!(f, "{}{{{}}}{}", name.before, name.claim, name.after),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ENTRA: &str = "https://login.microsoftonline.com/{tid}/v2.0";

    /// Row C10 of the field reports.
    #[test]
    fn a_tenant_is_listed_and_that_of_the_claim() {
        let listed = IssuerName::parse(ENTRA, Some(vec!["t-1".to_owned(), "t-2".to_owned()]), false).unwrap();
        let all = IssuerName::parse(ENTRA, None, true).unwrap();
        for (iss, tid, is_listed, is_any) in [
            ("https://login.microsoftonline.com/t-1/v2.0", json!("t-1"), true, true),
            ("https://login.microsoftonline.com/t-2/v2.0", json!("t-2"), true, true),
            ("https://login.microsoftonline.com/t-1/v2.0", json!("t-2"), false, false),
            ("https://login.microsoftonline.com/t-1/v2.0", json!(null), false, false),
            (
                "https://login.microsoftonline.com/t-1/v2.0",
                json!(["t-1"]),
                false,
                false,
            ),
            ("https://login.microsoftonline.com/t-3/v2.0", json!("t-3"), false, true),
            ("https://login.microsoftonline.com//v2.0", json!(""), false, false),
            (
                "https://login.microsoftonline.com/t-1/t-1/v2.0",
                json!("t-1/t-1"),
                false,
                false,
            ),
            (
                "https://login.microsoftonline.com/{tid}/v2.0",
                json!("{tid}"),
                false,
                false,
            ),
            (
                "https://login.microsoftonline.com/t-1/v2.0/",
                json!("t-1"),
                false,
                false,
            ),
            ("https://sts.windows.net/t-1/v2.0", json!("t-1"), false, false),
        ] {
            let claims = json!({"iss": iss, "tid": tid});
            let verified = Claims::from_verified(claims.to_string().as_bytes()).unwrap();
            assert_eq!(
                (listed.is_of(&verified), all.is_of(&verified)),
                (is_listed, is_any),
                "{claims}"
            );
            // The unverified name alone decides which issuer's keys are used.
            assert!(listed.is(Some(iss)) || !is_listed, "{claims}");
        }
        assert!(!all.is(None));
        assert_eq!(listed.to_string(), ENTRA);
    }

    #[test]
    fn metadata_names_the_place_of_the_tenant_in_its_own_way() {
        let entra = IssuerName::parse(ENTRA, None, true).unwrap();
        let exact = IssuerName::parse("https://id.example", None, false).unwrap();
        for (found, is_entra, is_exact) in [
            ("https://login.microsoftonline.com/{tenantid}/v2.0", true, false),
            (ENTRA, true, false),
            ("https://login.microsoftonline.com/t-1/v2.0", false, false),
            ("https://evil.example/{tenantid}/v2.0", false, false),
            ("https://id.example", false, true),
            ("https://id.example/", false, false),
            ("", false, false),
        ] {
            assert_eq!(
                (entra.is_in_metadata(found), exact.is_in_metadata(found)),
                (is_entra, is_exact),
                "{found}"
            );
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let tenants = |ids: &[&str]| Some(ids.iter().map(ToString::to_string).collect::<Vec<_>>());
        for (name, listed, any, expected) in [
            ("", None, false, "issuer: it is empty"),
            ("https://a", tenants(&["t"]), false, "tenants: the issuer has no place"),
            ("https://a", None, true, "tenants: the issuer has no place"),
            (ENTRA, None, false, "tenants: they are missing"),
            (ENTRA, tenants(&["t"]), true, "insecure_any_tenant: it contradicts"),
            (ENTRA, tenants(&[]), false, "tenants: expected a list"),
            (ENTRA, tenants(&["a/b"]), false, "tenants: expected a list"),
            ("https://a/{}", None, true, "issuer: expected one place"),
            ("https://a/{b", None, true, "issuer: expected one place"),
            ("https://a/{b}/{c}", None, true, "issuer: expected one place"),
            ("https://a/{b}}", None, true, "issuer: expected one place"),
        ] {
            let error = IssuerName::parse(name, listed, any).unwrap_err();
            assert!(error.starts_with(expected), "{name}: {error}");
        }
    }
}
