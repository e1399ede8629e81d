//! The headers by which Traefik, Caddy and HAProxy describe a request: `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri`
//! and `-For`. All are required, and these fronts overwrite what the client sent with the same names.

use http::HeaderMap;
use portcullis_wire::peer::Peer;

use crate::forward_auth::FrontProxy;
use crate::forward_auth::Original;
use crate::forward_auth::fields;
use crate::pipeline::Rejection;
use crate::pipeline::target::Target;

pub(super) fn read(headers: &HeaderMap, peer: Peer, front: &FrontProxy<'_>) -> Result<Original, Rejection> {
    let scheme = fields::scheme(fields::one(headers, "x-forwarded-proto")?)?;
    Ok(Original {
        method: fields::method(fields::one(headers, "x-forwarded-method")?)?,
        target: Target::from_front(
            fields::one(headers, "x-forwarded-host")?,
            fields::one(headers, "x-forwarded-uri")?,
        )?,
        client: fields::client(headers, scheme, peer, front)?,
        headers: headers.clone(),
    })
}
