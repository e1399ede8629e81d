//! Fills the templates of `identity.headers` with the facts about a user. A template that names a fact which the user doesn't have
//! gives no header, as an attribute does that the user doesn't have.

use portcullis::decision::Identity;
use portcullis::decision::Permits;

use crate::config::Fact;
use crate::config::HeaderTemplate;
use crate::config::Piece;
use crate::config::SentGroups;
use crate::headers::groups;
use crate::percent;

/// The value for a user. `None` if a fact is missing.
pub(super) fn fill(
    template: &HeaderTemplate,
    sent_groups: &SentGroups,
    authenticator: &str,
    user: &Identity,
    permits: &Permits,
) -> Option<String> {
    let mut filled = String::new();
    for piece in template.pieces() {
        let (fact, encoded) = match piece {
            Piece::Text(text) => {
                filled.push_str(text);
                continue;
            }
            Piece::Fact { fact, encoded } => (fact, *encoded),
        };
        let groups;
        let value = match fact {
            Fact::Admin if user.admin() => "true",
            Fact::Admin => "false",
            Fact::Attribute(name) => user.attribute(name)?,
            Fact::Authenticator => authenticator,
            Fact::Groups => {
                groups = groups::joined(user, sent_groups)?;
                &groups
            }
            Fact::Permit(authorizer, name) => permits.attribute(authorizer, name)?,
            Fact::User => user.name(),
        };
        if encoded {
            filled.extend(percent::encode(value));
        } else {
            filled.push_str(value);
        }
    }
    Some(filled)
}
