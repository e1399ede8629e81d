//! Grants the servers that settings name. The operator has written them, for exactly this, so that writing them once more among the
//! grants would say nothing new.

use super::schema::Kind;
use super::schema::Need;
use super::warning::origin;
use crate::grants::GrantKey;
use crate::grants::Grants;
use crate::grants::HttpGrant;

/// Adds scheme, host and port of each URL of which the schema says that the plugin sends requests there. A name for many hosts is none
/// of these, and the machine's own name needs [`Grants::private`], as in a grant that is written.
pub(super) fn grant(needs: &[Need], grants: &mut Grants) {
    for need in needs {
        let Kind::Grant(key @ GrantKey::Http) = need.kind else {
            continue;
        };
        let Some(url) = need.value.as_str() else { continue };
        let named = origin(url).and_then(|origin| origin.parse::<HttpGrant>().ok());
        let is_one = |grant: &HttpGrant| !grant.is_wildcard() && (grants.private || !grant.is_localhost());
        if let Some(grant) = named.filter(is_one)
            && grants.has(key, url) == Some(false)
        {
            grants.http.push(grant);
        }
    }
}
