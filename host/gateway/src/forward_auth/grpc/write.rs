//! Writes the response to Envoy: the headers to set and to remove, or the response that the client gets.

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::header;
use http_body_util::BodyExt;
use portcullis_envoy::CheckResponse;
use portcullis_envoy::DeniedHttpResponse;
use portcullis_envoy::HeaderAppendAction;
use portcullis_envoy::HeaderValue as Field;
use portcullis_envoy::HeaderValueOption;
use portcullis_envoy::HttpResponse;
use portcullis_envoy::HttpStatus;
use portcullis_envoy::OkHttpResponse;
use portcullis_envoy::RpcStatus;
use tonic::Code;

use crate::forward_auth::Allowed;
use crate::forward_auth::FrontVerdict;
use crate::proxy::body::Body;

/// Writes a verdict as Envoy's message.
pub(super) async fn response(verdict: FrontVerdict) -> CheckResponse {
    match verdict {
        FrontVerdict::Allow(allowed) => allow(*allowed),
        FrontVerdict::Deny(denied) => deny(denied.response).await,
    }
}

fn allow(allowed: Allowed) -> CheckResponse {
    let Allowed { changes, for_client } = allowed;
    let ok = OkHttpResponse {
        headers: fields(&changes.set, first_overwrites),
        headers_to_remove: changes.remove.iter().map(|name| name.as_str().to_owned()).collect(),
        response_headers_to_add: fields(&for_client, appends),
        query_parameters_to_remove: changes.remove_parameters,
    };
    check(Code::Ok, HttpResponse::OkResponse(ok))
}

/// An authenticator's own page may have any status here, because Envoy decides by the gRPC code.
async fn deny(response: Response<Body>) -> CheckResponse {
    let (mut head, body) = response.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => bytes::Bytes::new(),
    };
    let code = if head.status == StatusCode::UNAUTHORIZED {
        Code::Unauthenticated
    } else {
        Code::PermissionDenied
    };
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus {
            code: i32::from(head.status.as_u16()),
        }),
        headers: fields(&head.headers, appends),
        // The field is a string. A body that isn't UTF-8 would be changed, so the client gets the headers only.
        body: String::from_utf8(body.to_vec()).unwrap_or_default(),
    };
    check(code, HttpResponse::DeniedResponse(denied))
}

fn check(code: Code, response: HttpResponse) -> CheckResponse {
    CheckResponse {
        status: Some(RpcStatus { code: code as i32 }),
        http_response: Some(response),
    }
}

fn fields(headers: &HeaderMap, action: impl Fn(usize) -> HeaderAppendAction) -> Vec<HeaderValueOption> {
    let mut fields = Vec::with_capacity(headers.len());
    for name in headers.keys() {
        for (index, value) in headers.get_all(name).iter().enumerate() {
            fields.push(field(name, value, action(index)));
        }
    }
    fields
}

fn first_overwrites(index: usize) -> HeaderAppendAction {
    if index == 0 {
        HeaderAppendAction::OverwriteIfExistsOrAdd
    } else {
        appends(index)
    }
}

fn appends(_: usize) -> HeaderAppendAction {
    HeaderAppendAction::AppendIfExistsOrAdd
}

fn field(name: &HeaderName, value: &HeaderValue, action: HeaderAppendAction) -> HeaderValueOption {
    // Every version of Envoy reads `value`, but only `raw_value` can carry bytes that aren't UTF-8.
    let (value, raw_value) = match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => (text.to_owned(), Vec::new()),
        Err(_) => (String::new(), value.as_bytes().to_vec()),
    };
    HeaderValueOption {
        header: Some(Field {
            key: name.as_str().to_owned(),
            value,
            raw_value,
        }),
        append_action: action.into(),
    }
}
