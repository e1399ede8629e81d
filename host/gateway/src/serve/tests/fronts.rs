//! Forward-auth requests of every dialect, written by hand, and the responses to them.

use super::*;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Routes that are protected, public or optional, with different identity headers and credentials.
const ROUTES: &str = r#"
[[routes]]
path = "/"
authenticators = ["simple"]
[[routes]]
path = "/open"
public = true
[[routes]]
path = "/maybe"
authenticators = ["simple"]
optional = true
[routes.identity]
user = "X-Mail"
[[routes]]
path = "/kept"
authenticators = ["simple"]
forward_authorization = true
cookies = "drop"
"#;

const SERVER: &str = "trusted_proxies = [\"127.0.0.1\"]";

async fn gateway() -> Running {
    Running::start(
        SERVER,
        &format!("[forward_auth]\n[session]\nkeys = [\"env:KEY\"]\n{ROUTES}"),
    )
    .await
}

/// The request by which a front asks about `METHOD PATH` for `app.example`: its request line and its headers.
fn subrequest(dialect: &str, method: &str, path: &str) -> (String, String) {
    let endpoint = format!("/.portcullis/auth/{dialect}");
    let client = "X-Forwarded-For: 6.6.6.6\r\n";
    match dialect {
        "nginx" => (
            format!("GET {endpoint}"),
            format!("X-Original-URL: http://app.example{path}\r\nX-Original-Method: {method}\r\n{client}"),
        ),
        "envoy" => (
            format!("{method} {endpoint}{path}"),
            format!("X-Forwarded-Proto: http\r\n{client}"),
        ),
        _ => (
            format!("GET {endpoint}?x=1"),
            format!(
                "X-Forwarded-Method: {method}\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: app.example\r\n\
                 X-Forwarded-Uri: {path}\r\n{client}"
            ),
        ),
    }
}

const DIALECTS: [&str; 5] = ["caddy", "envoy", "haproxy", "nginx", "traefik"];

async fn ask(gateway: &Running, dialect: &str, method: &str, path: &str, more: &str) -> String {
    let (line, headers) = subrequest(dialect, method, path);
    gateway.ask(&line, &format!("{headers}{more}")).await
}

fn status(head: &str) -> &str {
    head.split(' ').nth(1).unwrap()
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_is_told_who_the_user_is() {
    let gateway = gateway().await;
    for dialect in DIALECTS {
        for method in ["GET", "POST", "HEAD", "OPTIONS", "PROPFIND"] {
            let head = ask(&gateway, dialect, method, "/a/%62?x=1", ALICE).await;
            assert_eq!(status(&head), "200", "{dialect} {method} {head}");
            assert_eq!(field(&head, "x-forwarded-user"), Some("alice"), "{dialect}");
            assert_eq!(field(&head, "content-length"), Some("0"), "{dialect}");
            assert_eq!(field(&head, "cache-control"), Some("no-store"), "{dialect}");
            assert_eq!(field(&head, "authorization"), None, "{dialect}");
            let cookie = field(&head, "set-cookie").unwrap();
            assert!(cookie.starts_with("portcullis="), "{dialect} {cookie}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_credentials_is_challenged() {
    let gateway = gateway().await;
    for dialect in DIALECTS {
        let head = ask(&gateway, dialect, "GET", "/a", "").await;
        assert_eq!(status(&head), "401", "{dialect}");
        assert!(
            field(&head, "www-authenticate").unwrap().starts_with("basic "),
            "{dialect}"
        );
        assert_eq!(field(&head, "x-forwarded-user"), None, "{dialect}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_works_through_a_front() {
    let gateway = gateway().await;
    for dialect in DIALECTS {
        let (line, headers) = subrequest(dialect, "GET", "/a");
        let mut client = gateway.connect().await;
        client.request(&line, &format!("{headers}{ALICE}")).await;
        let head = client.raw_head().await;
        let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        let cookie = format!("Cookie: a=1; {}\r\n", cookie.split(';').next().unwrap());
        let head = ask(&gateway, dialect, "GET", "/a", &cookie).await;
        assert_eq!(
            (status(&head), field(&head, "x-forwarded-user")),
            ("200", Some("alice")),
            "{dialect}"
        );
        assert_eq!(
            field(&head, "cookie"),
            Some("a=1"),
            "{dialect}: the session cookie isn't passed on"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_read_as_it_is_on_the_public_listener() {
    let gateway = gateway().await;
    let more = [
        ("/open/door?x=/a", "200"),
        ("/a?/open", "401"),
        ("/../nginx", "400"),
        ("/.portcullis/logout", "404"),
        ("/%2eportcullis/logout", "404"),
    ];
    let more = more.map(|(path, expected)| (path.to_owned(), expected));
    for (path, expected) in table().chain(more) {
        for dialect in DIALECTS {
            let head = ask(&gateway, dialect, "GET", &path, "").await;
            let expected = match (dialect, expected) {
                ("nginx", "400" | "404") => "403",
                _ => expected,
            };
            assert_eq!(status(&head), expected, "{dialect} {path} {head}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoded_slash_is_read_as_it_is_on_the_public_listener() {
    let routes = "[[routes]]\npath = \"/\"\nauthenticators = [\"simple\"]\n\
                  [[routes]]\npath = \"/files\"\npublic = true\nallow_encoded_slash = true\n";
    let gateway = Running::start(SERVER, &format!("[forward_auth]\n{routes}")).await;
    for (path, expected) in [
        ("/files/a%2Fb", "200"),
        ("/files/a%2f%2fb", "200"),
        ("/files%2Fa", "400"), // another reader sees a segment of /
        ("/files/..%2Fa", "400"),
        ("/a%2Fb", "400"), // its route doesn't allow it
        ("/.portcullis%2Flogout", "404"),
    ] {
        for dialect in DIALECTS {
            let head = ask(&gateway, dialect, "GET", path, "").await;
            let expected = match (dialect, expected) {
                ("nginx", "400" | "404") => "403",
                _ => expected,
            };
            assert_eq!(status(&head), expected, "{dialect} {path} {head}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_repeated_header_of_the_front_is_refused() {
    let gateway = gateway().await;
    for dialect in DIALECTS {
        let (line, headers) = subrequest(dialect, "GET", "/open");
        assert_eq!(status(&gateway.ask(&line, &headers).await), "200", "{dialect}");
        let refused = if dialect == "nginx" { "403" } else { "400" };
        let fields = headers.lines().collect::<Vec<_>>();
        for omitted in &fields {
            let others = fields.iter().filter(|field| *field != omitted);
            let others = others.map(|field| format!("{field}\r\n")).collect::<String>();
            let head = gateway.ask(&line, &others).await;
            assert_eq!(status(&head), refused, "{dialect} without {omitted}");
            let name = omitted.split(':').next().unwrap();
            let malformed = gateway.ask(&line, &format!("{others}{name}: <>\r\n")).await;
            assert_eq!(status(&malformed), refused, "{dialect} with a malformed {name}");
            if name != "X-Forwarded-For" {
                let head = gateway.ask(&line, &format!("{headers}{omitted}\r\n")).await;
                assert_eq!(status(&head), refused, "{dialect} with {omitted} twice");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dialect_ignores_the_headers_of_other_dialects() {
    let gateway = gateway().await;
    let claims = "X-Original-URI: /open\r\nX-Rewrite-URL: /open\r\nX_Forwarded_Uri: /open\r\nX.Forwarded.Uri: /open\r\n\
                  X_Original_URL: http://app.example/open\r\nForwarded: for=1.1.1.1;host=evil\r\n";
    let original = "X-Original-URL: http://app.example/open\r\nX-Original-Method: GET\r\n";
    let forwarded = "X-Forwarded-Uri: /open\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Method: GET\r\n";
    for dialect in DIALECTS {
        let more = match dialect {
            "nginx" => format!("{claims}{forwarded}X-Forwarded-Proto: https\r\n"),
            "envoy" => format!("{claims}{original}{forwarded}"),
            _ => format!("{claims}{original}"),
        };
        let head = ask(&gateway, dialect, "POST", "/a", &more).await;
        assert_eq!(status(&head), "401", "{dialect}");
        let (_, headers) = subrequest(dialect, "GET", "/open");
        let other = if dialect == "nginx" { "traefik" } else { "nginx" };
        let refused = if other == "nginx" { "403" } else { "400" };
        let head = gateway.ask(&format!("GET /.portcullis/auth/{other}"), &headers).await;
        assert_eq!(status(&head), refused, "{dialect}'s headers sent to {other}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_credentials_are_refused() {
    let gateway = gateway().await;
    let bob = "Authorization: Basic Ym9iOng=\r\n";
    for dialect in DIALECTS {
        let refused = if dialect == "nginx" { "403" } else { "400" };
        let head = ask(&gateway, dialect, "GET", "/a", &format!("{ALICE}{bob}")).await;
        assert_eq!(status(&head), refused, "{dialect}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_are_not_served_are_refused() {
    let gateway = gateway().await;
    for dialect in ["caddy", "haproxy", "nginx", "traefik"] {
        for method in ["CONNECT", "TRACE"] {
            let head = ask(&gateway, dialect, method, "/open", "").await;
            let refused = if dialect == "nginx" { "403" } else { "405" };
            assert_eq!(status(&head), refused, "{dialect} {method}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_headers_of_a_client_are_removed_and_its_cookies_are_kept() {
    let gateway = gateway().await;
    let claims = "X-Forwarded-User: mallory\r\nX_Forwarded_User: mallory\r\nx.mail: mallory\r\nRemote-User: mallory\r\n\
                  X-Mail: mallory\r\nX_Forwarded_For: mallory\r\n";
    for path in ["/open", "/maybe"] {
        let own = "Cookie: a=1\r\n";
        for dialect in DIALECTS {
            let head = ask(&gateway, dialect, "GET", path, &format!("{claims}{own}")).await;
            assert_eq!(status(&head), "200", "{dialect}");
            assert!(!head.contains("mallory"), "{dialect} {head}");
            let removed = match dialect {
                "envoy" => field(&head, "x-envoy-auth-headers-to-remove"),
                "haproxy" => field(&head, "x-portcullis-remove"),
                _ => {
                    assert_eq!(field(&head, "cookie"), Some("a=1"), "{dialect}");
                    continue;
                }
            };
            let removed = removed.unwrap().split(',').collect::<Vec<_>>();
            for name in [
                "x-forwarded-user",
                "x_forwarded_user",
                "x.mail",
                "remote-user",
                "x-mail",
                "x-forwarded-groups",
            ] {
                assert!(removed.contains(&name), "{dialect} {name} {removed:?}");
            }
            assert!(!removed.contains(&"cookie"), "{dialect} {removed:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_decides_which_credentials_reach_the_upstream() {
    let gateway = gateway().await;
    for dialect in DIALECTS {
        let head = ask(&gateway, dialect, "GET", "/kept", &format!("{ALICE}Cookie: a=1\r\n")).await;
        let echoes = !matches!(dialect, "envoy" | "haproxy");
        let kept = field(&head, "authorization");
        assert_eq!(kept, echoes.then_some("basic ywxpy2u6ea=="), "{dialect}");
        assert_eq!(field(&head, "cookie"), None, "{dialect}");
        if dialect == "envoy" {
            let removed = field(&head, "x-envoy-auth-headers-to-remove").unwrap();
            assert!(removed.split(',').any(|name| name == "cookie"), "{removed}");
            assert!(!removed.contains("authorization"), "{removed}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_front_may_ask() {
    let token = format!("[forward_auth]\nproxy_token = \"env:KEY\"\n{ROUTES}");
    let by_token = Running::start("", &token).await;
    let by_address = Running::start("trusted_proxies = [\"10.0.0.1\"]", &format!("[forward_auth]\n{ROUTES}")).await;
    let without = Running::start(
        SERVER,
        &ROUTES.replace("[[routes]]", "[[routes]]\nupstream = \"portcullis:whoami\""),
    )
    .await;
    for dialect in DIALECTS {
        for (more, expected) in [
            (String::new(), "403"),
            (format!("X-Portcullis-Token: {}\r\n", KEY.replace('0', "1")), "403"),
            (
                format!("X-Portcullis-Token: {KEY}\r\nX-Portcullis-Token: {KEY}\r\n"),
                "403",
            ),
            (format!("X_Portcullis_Token: {KEY}\r\n"), "403"),
            (format!("X-Portcullis-Token: {KEY}\r\n"), "200"),
        ] {
            let head = ask(&by_token, dialect, "GET", "/open", &more).await;
            assert_eq!(status(&head), expected, "{dialect} {more}");
            assert!(!head.contains(KEY), "{dialect}");
        }
        assert_eq!(
            status(&ask(&by_address, dialect, "GET", "/open", "").await),
            "403",
            "{dialect}"
        );
        assert_eq!(
            status(&ask(&without, dialect, "GET", "/open", "").await),
            "404",
            "{dialect}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_have_one_spelling() {
    let gateway = gateway().await;
    let (_, headers) = subrequest("nginx", "GET", "/open");
    for line in [
        "GET /.portcullis/auth",
        "GET /.portcullis/auth/",
        "GET /.portcullis/auth/nginx/",
        "GET /.portcullis/auth/nginx/x",
        "GET /.portcullis/auth/NGINX",
        "GET /.portcullis/auth/%6eginx",
        "GET /.portcullis/auth/apache",
        "GET /%2eportcullis/auth/nginx",
    ] {
        assert_eq!(status(&gateway.ask(line, &headers).await), "404", "{line}");
    }
    for line in ["POST /.portcullis/auth/nginx", "GET /.portcullis/auth/nginx?x=1"] {
        assert_eq!(status(&gateway.ask(line, &headers).await), "200", "{line}");
    }
    let upgrade = format!("{headers}Connection: Upgrade\r\nUpgrade: websocket\r\n");
    let head = gateway.ask("GET /.portcullis/auth/nginx", &upgrade).await;
    assert_eq!(status(&head), "200", "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_without_an_upstream_serves_no_requests() {
    let gateway = gateway().await;
    for (path, headers) in [("GET /open", ""), ("GET /", ALICE), ("GET /", "")] {
        assert_eq!(status(&gateway.ask(path, headers).await), "404", "{path}");
    }
}
