//! Checks the URLs of keys. They must be `https`, since anyone who can change the response decides who is let in;
//! `http` is accepted only from this machine, or where the operator accepts the risk.

use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// Returns a description of what is wrong with the URL, if anything is.
pub fn check(url: &str, insecure_http: bool) -> Result<(), &'static str> {
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("it must have visible ASCII characters only");
    }
    let (is_https, rest) = match url.split_once("://") {
        Some(("https", rest)) => (true, rest),
        Some(("http", rest)) => (false, rest),
        _ => return Err("it must be an https URL"),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || authority.contains(['@', '\\']) {
        return Err("it must have a host, and no user name or password");
    }
    if is_https || insecure_http || is_loopback(authority) {
        Ok(())
    } else {
        Err("it must be https; to accept keys that anyone on the network path can replace, set insecure_http = true")
    }
}

fn is_loopback(authority: &str) -> bool {
    if let Some(rest) = authority.strip_prefix('[') {
        let address = rest.split(']').next().unwrap_or_default();
        return address.parse().is_ok_and(|address: Ipv6Addr| address.is_loopback());
    }
    let host = authority.split(':').next().unwrap_or_default();
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        let good = [
            "https://id.example.org",
            "https://id.example.org:8443/realms/a/jwks?x=y",
            "http://127.0.0.1:8080/jwks",
            "http://127.9.9.9/",
            "http://localhost",
            "http://LOCALHOST:1/",
            "http://[::1]:8080/jwks",
        ];
        for url in good {
            assert_eq!(check(url, false), Ok(()), "{url}");
        }
        let only_if_insecure = [
            "http://id.example.org/jwks",
            "http://127.0.0.1.example.org/",
            "http://localhost.example.org/",
            "http://[::2]/",
            "http://0.0.0.0/",
        ];
        for url in only_if_insecure {
            assert!(check(url, false).unwrap_err().contains("insecure_http"), "{url}");
            assert_eq!(check(url, true), Ok(()), "{url}");
        }
        let bad = [
            "",
            "id.example.org",
            "//id.example.org/jwks",
            "file:///etc/passwd",
            "ftp://id.example.org",
            "HTTPS://id.example.org",
            "https://",
            "https:///jwks",
            "https://user:password@id.example.org",
            "https://id.example.org\\@evil.example",
            "https://id.example.org/a b",
            "https://id.example.org/\r\nX: y",
        ];
        for url in bad {
            assert!(check(url, true).is_err(), "{url}");
        }
    }
}
