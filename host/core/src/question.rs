//! The questions that a plugin may ask about a request, and the answers that its grants allow. Whatever a plugin gets to
//! know of a request comes from here.

use http::HeaderName;

use crate::decision::Attribute;
use crate::grants::Grants;
use crate::request::AuthRequest;

/// Whether the plugin gets a true answer. Otherwise the attribute appears absent.
pub(crate) fn is_granted(attribute: &Attribute, grants: &Grants) -> bool {
    match attribute {
        Attribute::Header(name) => HeaderName::try_from(name.as_str()).is_ok_and(|name| grants.header(&name)),
        Attribute::Cookie(name) => grants.cookie(name),
        Attribute::ClientCertificate => grants.client_certificate,
        Attribute::Negotiate(acceptor) => grants.negotiate.as_ref() == Some(acceptor),
        Attribute::Authority
        | Attribute::ClientAddress
        | Attribute::Method
        | Attribute::Path
        | Attribute::Query
        | Attribute::Route
        | Attribute::Scheme => true,
    }
}

/// Passes each value of a granted attribute to `each`, in order of arrival. The outcome of a Negotiate token has none,
/// because it isn't an attribute of the request alone.
pub(crate) fn answer(attribute: &Attribute, request: &AuthRequest, grants: &Grants, mut each: impl FnMut(&[u8])) {
    match attribute {
        Attribute::Authority => request
            .authority
            .iter()
            .for_each(|authority| each(authority.as_bytes())),
        Attribute::ClientAddress => {
            let address = request.client_address;
            address.iter().for_each(|address| each(address.to_string().as_bytes()));
        }
        Attribute::ClientCertificate => request.client_certificate.iter().for_each(|der| each(der)),
        Attribute::Cookie(name) => request.cookies(name).for_each(each),
        Attribute::Header(name) => {
            let values = request.headers.get_all(name.as_str());
            values.iter().for_each(|value| each(value.as_bytes()));
        }
        Attribute::Method => each(request.method.as_str().as_bytes()),
        Attribute::Negotiate(_) => {}
        Attribute::Path => each(request.path.as_bytes()),
        Attribute::Query => {
            let visible = request.query.as_deref().and_then(|query| grants.visible_query(query));
            visible.iter().for_each(|query| each(query.as_bytes()));
        }
        Attribute::Route => request.route.iter().for_each(|route| each(route.as_bytes())),
        Attribute::Scheme => each(request.scheme.as_str().as_bytes()),
    }
}
