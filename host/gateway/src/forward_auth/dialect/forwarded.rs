//! What Traefik, Caddy and HAProxy say about a request: `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` and `-For`. They
//! overwrite what a client sent under these names, and all of them are required.

use http::HeaderMap;
use portcullis_wire::peer::Peer;

use crate::forward_auth::FrontProxy;
use crate::forward_auth::Original;
use crate::forward_auth::fields;
use crate::pipeline::Rejection;
use crate::pipeline::target::Target;

pub(super) fn read(headers: &HeaderMap, peer: Peer, front: &FrontProxy) -> Result<Original, Rejection> {
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
