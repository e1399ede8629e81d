//! Authenticates Kerberos principals over HTTP Negotiate (RFC 4559). The gateway verifies the ticket; the plugin
//! decides which user the principal is, if any.

mod principal;
mod rule;
mod settings;

use std::time::Duration;

use portcullis_sdk::negotiate;
use portcullis_sdk::negotiate::Accepted;
use portcullis_sdk::negotiate::Failure;
use portcullis_sdk::prelude::*;

use principal::Principal;
use rule::Rules;

pub use rule::Rule;
pub use settings::Settings;

/// Accepts the principals of certain realms.
#[derive(Debug)]
pub struct Kerberos {
    settings: Settings,
    rules: Rules,
}

impl Authenticator for Kerberos {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, SettingsError> {
        settings.check()?;
        Ok(Self {
            rules: Rules::new(&settings.rules)?,
            settings,
        })
    }

    fn authenticate(&self, request: &Request) -> Result<Grant, Refusal> {
        let token = request.negotiate().map_err(|error| error.refuse(challenge()))?;
        let accepted = negotiate::accept(&self.settings.acceptor, &token).map_err(|failure| self.refuse(failure))?;
        let user = self.user(&accepted.principal)?;
        let grant = Grant::from(user).valid_for(self.lifetime(&accepted));
        // The client checks this reply, whatever the status of the response. Dask's client gives up without it.
        Ok(match accepted.www_authenticate() {
            Some(reply) => grant.with_response_header("www-authenticate", reply),
            None => grant,
        })
    }
}

impl Kerberos {
    /// The user that a principal is. For a principal that is no user, the client gets the same response as for an
    /// invalid ticket.
    fn user(&self, principal: &str) -> Result<User, Refusal> {
        let about = |why: &str| refused(&format!("the principal {principal:?} {why}"));
        let name = self.name(&Principal::parse(principal)).map_err(|why| about(&why))?;
        let user = User::parse(name).map_err(|why| about(&format!("is no user: {why}")))?;
        let groups = self.settings.groups.iter();
        let groups = groups
            .filter(|(_, members)| members.contains(&user.name))
            .map(|(group, _)| group.clone());
        let groups = Vec::from_iter(groups);
        let admin = self.settings.admins.contains(&user.name);
        Ok(user
            .with_groups(groups)
            .admin(admin)
            .with_attribute("principal", principal))
    }

    /// The user name. The error is the rest of a sentence about the principal.
    fn name(&self, principal: &Principal<'_>) -> Result<String, String> {
        if let Some(user) = self.settings.users.get(principal.whole) {
            return Ok(user.clone());
        }
        let realm = principal
            .realm()
            .ok_or("has an escaped name or no realm (settings: users)")?;
        if !self.settings.realms.iter().any(|allowed| allowed == realm) {
            return Err(match self.settings.realms.as_slice() {
                [] => "is not listed (settings: users)".to_owned(),
                realms => format!("must be of the realm {} (settings: realms)", realms.join(" or ")),
            });
        }
        if let Some(user) = self.rules.name(principal.whole) {
            return Ok(user);
        }
        let person = principal
            .person()
            .ok_or("is a service or has a role, and no rule names it (settings: rules)")?;
        let stripped = self.settings.strip_realm.as_deref() == Some(realm);
        Ok(if stripped { person } else { principal.whole }.to_owned())
    }

    fn lifetime(&self, accepted: &Accepted) -> Duration {
        let ticket = Duration::from_secs(accepted.expires_in);
        self.settings
            .valid_for
            .map_or(ticket, |limit| limit.duration().min(ticket))
    }

    fn refuse(&self, failure: Failure) -> Refusal {
        match failure {
            Failure::Rejected => refused("the token is not valid"),
            Failure::NeedsAnotherLeg => refused("the client wants to exchange more than one token"),
            Failure::Denied => Refusal::unavailable(format!(
                "the acceptor {:?} is not granted: set grants.negotiate to its name",
                self.settings.acceptor
            )),
            _ => Refusal::unavailable("tokens can't be checked at the moment"),
        }
    }
}

fn refused(reason: &str) -> Refusal {
    Refusal::unauthenticated(reason, challenge())
}

/// RFC 4559, section 4.1: the scheme alone.
fn challenge() -> Challenge {
    Challenge::new("Negotiate")
}

portcullis_sdk::export!(Kerberos, grants = { headers = ["authorization"] });

#[cfg(test)]
mod tests;
