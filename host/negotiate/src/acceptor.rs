//! Accepts tokens with MIT krb5. The keytab, the replay cache and the list of mechanisms come from the environment,
//! which the gateway sets.

use std::fs::File;

use libgssapi::context::CtxFlags;
use libgssapi::context::SecurityContext;
use libgssapi::context::ServerCtx;
use libgssapi::credential::Cred;
use libgssapi::credential::CredUsage;
use libgssapi::error::Error;
use libgssapi::name::Name;
use libgssapi::oid::GSS_MECH_KRB5;
use libgssapi::oid::GSS_MECH_SPNEGO;
use libgssapi::oid::GSS_NT_HOSTBASED_SERVICE;
use libgssapi::oid::OidSet;
use portcullis_negotiate_frame::Answer;
use portcullis_negotiate_frame::Question;

/// `GSS_C_CHANNEL_BOUND_FLAG` of MIT krb5 1.19 and later: the client sent channel bindings, and they match.
const CHANNEL_BOUND: CtxFlags = CtxFlags::from_bits_retain(0x800);

/// How long an acceptor's context outlives the ticket: the clock skew, which the gateway's krb5.conf sets.
const SKEW_SECONDS: u64 = 300;

/// The longest error text that is passed on, in bytes.
const MAX_REASON: usize = 1024;

/// The keys of a service.
#[derive(Debug)]
pub(crate) struct Acceptor(Cred);

impl Acceptor {
    /// Loads the keys of a service, such as `HTTP` or `HTTP@gateway.example`, from the keytab.
    ///
    /// The mechanisms are Kerberos and SPNEGO, which wraps it. The library's default set includes IAKERB as well, with
    /// which any client could make this process talk to a KDC.
    pub(crate) fn acquire(service: &str) -> Result<Self, String> {
        let acquire = || {
            let name = Name::new(service.as_bytes(), Some(GSS_NT_HOSTBASED_SERVICE))?;
            let mut mechanisms = OidSet::singleton(GSS_MECH_KRB5)?;
            mechanisms.add(GSS_MECH_SPNEGO)?;
            Cred::acquire(Some(&name), None, CredUsage::Accept, Some(&mechanisms))
        };
        acquire().map(Self).map_err(reason)
    }

    /// Verifies a token and returns its principal.
    pub(crate) fn accept(&self, question: &Question) -> Answer {
        self.context(question).unwrap_or_else(|error| match keytab_error() {
            Some(reason) => Answer::Unusable(reason),
            None => Answer::Reject(reason(error)),
        })
    }

    fn context(&self, question: &Question) -> Result<Answer, Error> {
        // Delegated credentials are in the memory of the context and are dropped with it.
        let mut context = ServerCtx::new(Some(self.0.clone()));
        let reply = context.step(&question.token, question.binding.as_deref())?;
        if !context.is_complete() {
            return Ok(Answer::AnotherLeg);
        }
        if context.mechanism()? != GSS_MECH_KRB5 {
            return Ok(Answer::Reject("the mechanism is not Kerberos".to_owned()));
        }
        let name = context.source_name()?.display_name()?;
        let Ok(principal) = String::from_utf8(name.to_vec()) else {
            return Ok(Answer::Reject("the principal is not UTF-8".to_owned()));
        };
        Ok(Answer::Accept {
            principal,
            expires_in: context.lifetime()?.as_secs().saturating_sub(SKEW_SECONDS),
            channel_bound: context.flags()?.contains(CHANNEL_BOUND),
            reply: reply.map(|reply| reply.to_vec()).filter(|reply| !reply.is_empty()),
        })
    }
}

/// Returns an error if the keytab can't be opened, which makes valid tokens look invalid.
fn keytab_error() -> Option<String> {
    let name = std::env::var_os("KRB5_KTNAME")?;
    let path = name.to_str()?.strip_prefix("FILE:")?;
    let error = File::open(path).err()?;
    Some(format!("the keytab {path} can't be opened: {error}"))
}

/// The error text of the library. If its general part says nothing, only the part about Kerberos.
fn reason(error: Error) -> String {
    let text = error.to_string();
    let text = text.strip_suffix(" (Unknown error)").unwrap_or(&text);
    let specific = text
        .strip_prefix(UNSPECIFIED)
        .and_then(|specific| specific.strip_suffix(')'));
    let text = specific.unwrap_or(text);
    text.get(..text.floor_char_boundary(MAX_REASON))
        .unwrap_or_default()
        .to_owned()
}

const UNSPECIFIED: &str = "Unspecified GSS failure.  Minor code may provide more information (";
