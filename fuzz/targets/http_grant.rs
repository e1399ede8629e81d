//! Grants for servers: only the granted scheme, host and port are permitted, and only paths below the granted one.
#![cfg_attr(feature = "libfuzzer", no_main)]

use http::Uri;
use portcullis::HttpGrant;

portcullis_fuzz::target!(|text: &str| {
    let (granted, asked) = text.split_once('\n').unwrap_or((text, text));
    let Ok(grant) = granted.parse::<HttpGrant>() else {
        return;
    };
    let again = grant.to_string().parse::<HttpGrant>();
    assert_eq!(again.as_ref().ok(), Some(&grant), "{grant}");
    let Ok(uri) = asked.parse::<Uri>() else { return };
    if !grant.permits(&uri) {
        return;
    }
    let wanted = granted.parse::<Uri>().unwrap();
    assert_eq!(wanted.scheme(), uri.scheme());
    let port = |uri: &Uri| {
        uri.port_u16()
            .unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 })
    };
    assert_eq!(port(&wanted), port(&uri));
    let host = |uri: &Uri| uri.host().unwrap().trim_end_matches('.').to_ascii_lowercase();
    match host(&wanted).strip_prefix('*') {
        Some(suffix) => assert!(host(&uri).ends_with(suffix) && host(&uri).len() > suffix.len()),
        None => assert_eq!(address(&host(&wanted)), address(&host(&uri))),
    }
    let below = wanted.path().trim_end_matches('/');
    let rest = uri.path().strip_prefix(below);
    assert!(
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        "{granted} {asked}"
    );
    if !below.is_empty() {
        assert!(!uri.path().split('/').any(|segment| segment == ".." || segment == "."));
    }
});

/// Normalizes an address, so that all spellings compare as equal. A name is returned as it is.
fn address(host: &str) -> String {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse::<std::net::IpAddr>()
        .map_or_else(|_| host.to_owned(), |address| address.to_string())
}
