//! Conversions between the SDK's types and the generated ones. Authors use the former; the contract defines the latter.

use std::time::Duration;

use super::authorizer_bindings::exports::portcullis::auth::authorizer;
use super::bindings::portcullis::auth::crypto;
use super::bindings::portcullis::auth::negotiate;
use super::bindings::portcullis::auth::types as wit;
use super::login_bindings::exports::portcullis::auth::login;
use crate::Arrival;
use crate::Challenge;
use crate::Denial;
use crate::Departure;
use crate::Flow;
use crate::Grant;
use crate::Permit;
use crate::Principal;
use crate::Refusal;
use crate::Response;
use crate::User;
use crate::crypto::Algorithm;
use crate::negotiate::Accepted;
use crate::negotiate::Failure;

impl From<Grant> for wit::Grant {
    fn from(grant: Grant) -> Self {
        Self {
            user: grant.user.into(),
            valid_for: grant.valid_for.map(whole_seconds),
            response_headers: grant.response_headers,
        }
    }
}

impl From<User> for wit::User {
    fn from(user: User) -> Self {
        Self {
            name: user.name,
            groups: user.groups,
            admin: user.admin,
            attributes: user.attributes,
        }
    }
}

impl From<wit::User> for User {
    fn from(user: wit::User) -> Self {
        Self {
            name: user.name,
            groups: user.groups,
            admin: user.admin,
            attributes: user.attributes,
        }
    }
}

impl From<authorizer::Principal> for Principal {
    fn from(principal: authorizer::Principal) -> Self {
        Self::new(principal.user.into(), principal.authenticator)
    }
}

impl From<Permit> for authorizer::Permit {
    fn from(permit: Permit) -> Self {
        Self {
            valid_for: permit.valid_for.map(whole_seconds),
            attributes: permit.attributes,
        }
    }
}

impl From<Denial> for authorizer::Denial {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Forbidden(reason, challenge) => Self::Forbidden((reason, challenge.map(Into::into))),
            Denial::Hidden(reason) => Self::Hidden(reason),
            Denial::Respond(response) => Self::Respond(response.into()),
            Denial::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

impl From<login::Flow> for Flow {
    fn from(flow: login::Flow) -> Self {
        let new = Self::new(flow.state, flow.redirect_uri);
        if flow.silent { new.silent() } else { new }
    }
}

impl From<Departure> for login::Departure {
    fn from(departure: Departure) -> Self {
        Self {
            location: departure.location,
            memo: departure.memo,
        }
    }
}

impl From<Arrival> for login::Arrival {
    fn from(arrival: Arrival) -> Self {
        Self {
            grant: Grant::from(arrival.user).valid_for(arrival.renew_after).into(),
            keep: arrival.keep,
            handles: arrival.handles,
        }
    }
}

impl From<Refusal> for wit::Refusal {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Forbidden(reason, challenge) => Self::Forbidden((reason, challenge.map(Into::into))),
            Refusal::NotMine(challenge) => Self::NotMine(challenge.map(Into::into)),
            Refusal::Respond(response) => Self::Respond(response.into()),
            Refusal::Unauthenticated(reason, challenge) => Self::Unauthenticated((reason, challenge.map(Into::into))),
            Refusal::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

impl From<Challenge> for wit::Challenge {
    fn from(challenge: Challenge) -> Self {
        Self {
            scheme: challenge.scheme,
            parameters: challenge.parameters,
        }
    }
}

impl From<Response> for wit::Response {
    fn from(response: Response) -> Self {
        Self {
            status: response.status,
            headers: response.headers,
            body: response.body,
        }
    }
}

impl From<Algorithm> for crypto::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Ed25519 => Self::Ed25519,
            Algorithm::Es256 => Self::Es256,
            Algorithm::Es384 => Self::Es384,
            Algorithm::Es512 => Self::Es512,
            Algorithm::Hs256 => Self::Hs256,
            Algorithm::Hs384 => Self::Hs384,
            Algorithm::Hs512 => Self::Hs512,
            Algorithm::Ps256 => Self::Ps256,
            Algorithm::Ps384 => Self::Ps384,
            Algorithm::Ps512 => Self::Ps512,
            Algorithm::Rs256 => Self::Rs256,
            Algorithm::Rs384 => Self::Rs384,
            Algorithm::Rs512 => Self::Rs512,
        }
    }
}

impl From<negotiate::Accepted> for Accepted {
    fn from(accepted: negotiate::Accepted) -> Self {
        Self {
            principal: accepted.principal,
            reply: accepted.reply,
            expires_in: accepted.expires_in,
            channel_bound: accepted.channel_bound,
        }
    }
}

impl From<negotiate::Failure> for Failure {
    fn from(failure: negotiate::Failure) -> Self {
        match failure {
            negotiate::Failure::Denied => Self::Denied,
            negotiate::Failure::NeedsAnotherLeg => Self::NeedsAnotherLeg,
            negotiate::Failure::Rejected => Self::Rejected,
            negotiate::Failure::Unavailable => Self::Unavailable,
        }
    }
}

fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
