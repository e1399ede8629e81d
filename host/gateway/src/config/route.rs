//! `[[routes]]`: which requests a route matches, who has access, and where requests are forwarded. Contradictions between
//! its keys are found in `validate.rs`.

use std::time::Duration;

use http::HeaderValue;
use http::Method;
use http::uri::Authority;
use portcullis_loader::config::error;
use portcullis_loader::config::error::Location;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Table;
use portcullis_loader::config::values;
use portcullis_wire::path::CanonicalPath;

use crate::config::AuthorizeWith;
use crate::config::Cors;
use crate::config::IdentityHeaders;
use crate::config::PluginNames;
use crate::config::Require;
use crate::config::Upstream;
use crate::config::authorize;
use crate::config::upstream::Upstreams;
use crate::config::websocket_token::TokenPrefix;
use crate::routing::exceptions::UpstreamCredentials;
use crate::routing::host::HostPattern;
use crate::routing::is_served;
use crate::routing::literal;
use crate::routing::method::Methods;
use crate::routing::table::Matcher;

/// The maximum number of routes.
pub(super) const MAX_ROUTES: usize = 1000;

/// A route.
#[derive(Debug)]
pub(crate) struct RouteConfig {
    /// The hosts, the path and the methods that it serves.
    pub(crate) matcher: Matcher,
    /// Who has access.
    pub(crate) access: RouteAccess,
    /// Where requests are forwarded. `None` if the route only answers the questions of fronts.
    pub(crate) upstream: Option<Upstream>,
    /// The identity headers for the upstream.
    pub(crate) identity: IdentityHeaders,
    /// Whether cookies pass between the client and the upstream.
    pub(crate) cookies: Cookies,
    /// Whether the upstream receives the client's credentials: `Authorization`, and everything else that the route's
    /// authenticators may read.
    pub(crate) forward_authorization: bool,
    /// Whether the path may contain an encoded slash if every reading of it leads to this route.
    pub(crate) allow_encoded_slash: bool,
    /// Which paths of requests are accepted.
    pub(crate) paths: Paths,
    /// Whether CORS preflight requests are forwarded without authentication.
    pub(crate) passes_preflight: bool,
    /// Which pages may read the gateway's own responses. `None` if only those of the same origin may.
    pub(crate) cors: Option<Cors>,
    /// The host that the upstream gets.
    pub(crate) host: UpstreamHost,
    /// Whether the route's path is removed before a request is forwarded.
    pub(crate) strip_prefix: bool,
    /// The authorizers that must permit each request, in the order in which they are asked.
    pub(crate) authorizers: Vec<String>,
    /// Which users may use the route. `None` for all that are authenticated.
    pub(crate) require: Option<Require>,
    /// How a subprotocol of a WebSocket starts that carries a token. `None` if none does.
    pub(crate) websocket_token: Option<TokenPrefix>,
    /// Whether a user who is authenticated gets a session cookie.
    pub(crate) starts_sessions: bool,
    /// The request by which the upstream authorizes the user first. `None` if it isn't asked.
    pub(crate) authorize: Option<AuthorizeWith>,
    /// Requests whose credentials the upstream verifies itself.
    pub(crate) upstream_credentials: UpstreamCredentials,
    /// How long the upstream may take to begin its response.
    pub(crate) timeout: Duration,
    /// The maximum size of a request's body, in bytes. `None` for no limit.
    pub(crate) max_body_size: Option<u64>,
    /// The location of the route in the configuration.
    pub(crate) location: Location,
}

/// Who has access to a route.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum RouteAccess {
    /// Users of these authenticators, which are asked in order, and requests without credentials.
    Optional(Vec<String>),
    /// Users of these authenticators, which are asked in order.
    Protected(Vec<String>),
    /// Every client. No authenticator is asked.
    Public,
}

impl RouteAccess {
    /// The authenticators, in the order in which they are asked.
    pub(crate) fn authenticators(&self) -> &[String] {
        match self {
            Self::Optional(names) | Self::Protected(names) => names,
            Self::Public => &[],
        }
    }
}

/// The host that an upstream gets in `Host` or `:authority`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum UpstreamHost {
    /// The host that the client requested.
    Client,
    /// This host, with an optional port.
    Name(HeaderValue),
    /// The server's own, from its URL.
    Upstream,
}

/// Which paths of requests a route accepts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Paths {
    /// All for which every program's reading leads to this route.
    AsIs,
    /// Those that all programs read in the same way.
    Strict,
}

/// Whether cookies pass between the client and the upstream. The gateway's own session cookie never does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cookies {
    /// Cookies are removed in both directions.
    Drop,
    /// Cookies pass in both directions.
    Pass,
}

impl RouteConfig {
    /// Reads an entry of `[[routes]]`. Returns `None` if it has any mistake. `has_front` is whether fronts are served, so
    /// that a route doesn't need an upstream.
    pub(super) fn read(item: Item<'_>, names: &PluginNames, upstreams: &Upstreams, has_front: bool) -> Option<Self> {
        let place = item.place.clone();
        let before = place.document().error_count();
        let mut table = item.table()?;
        let path = table.require("path").and_then(path);
        let hosts = values::each(table.take("hosts"), host);
        let methods = methods(&mut table);
        let access = access(&mut table, &names.authenticators);
        let authorizers = authorizers(&mut table, &names.authorizers);
        let upstream = upstream(&mut table, upstreams, has_front);
        let identity = table.section("identity").map(IdentityHeaders::read).unwrap_or_default();
        let safe_cookies = match identity.has_secret() {
            true => Cookies::Drop,
            false => Cookies::Pass,
        };
        let cookies = table.take("cookies").and_then(cookies).unwrap_or(safe_cookies);
        let forward_authorization = table.flag("forward_authorization", false);
        let allow_encoded_slash = table.flag("allow_encoded_slash", false);
        let paths = table.word(
            "paths",
            Paths::Strict,
            &[("strict", Paths::Strict), ("as-is", Paths::AsIs)],
        );
        let passes_preflight = table.word("preflight", false, &[("pass", true), ("authenticate", false)]);
        let cors = table.take("cors").and_then(Item::table).and_then(Cors::read);
        table.default("host", "client");
        let host = table
            .take("host")
            .and_then(upstream_host)
            .unwrap_or(UpstreamHost::Client);
        let websocket_token = table.take("websocket_token").and_then(TokenPrefix::read);
        let strip_prefix = table.flag("strip_prefix", false);
        let starts_sessions = table.flag("start_sessions", true);
        let require = table.take("require").and_then(Item::table).and_then(Require::read);
        let timeout = table.duration("timeout", DEFAULT_TIMEOUT, MIN_TIMEOUT..=MAX_TIMEOUT);
        let authorize = authorize::authorize(&mut table, path.as_ref());
        let upstream_credentials = authorize::upstream_credentials(&mut table, path.as_ref());
        table.default("max_body_size", values::shown_size(DEFAULT_BODY_SIZE));
        let max_body_size = table.take("max_body_size").and_then(max_body_size);
        table.finish();
        let route = Self {
            matcher: Matcher {
                hosts,
                path: path?,
                methods,
            },
            access: access?,
            upstream,
            identity,
            cookies,
            forward_authorization,
            allow_encoded_slash,
            paths,
            passes_preflight,
            cors,
            host,
            strip_prefix,
            authorizers,
            require,
            starts_sessions,
            websocket_token,
            authorize,
            upstream_credentials,
            timeout,
            max_body_size: max_body_size.unwrap_or(Some(DEFAULT_BODY_SIZE)),
            location: place.location().clone(),
        };
        route.validate(&place);
        (place.document().error_count() == before).then_some(route)
    }
}

impl RouteConfig {
    /// The route's path without a final slash, so that a path can follow it.
    pub(crate) fn prefix(&self) -> &str {
        self.matcher.path.as_str().trim_end_matches('/')
    }

    /// Whether the path may contain an encoded slash if every reading of it leads to this route.
    pub(crate) fn allows_encoded_slash(&self) -> bool {
        self.allow_encoded_slash || self.paths == Paths::AsIs
    }
}

fn path(item: Item<'_>) -> Option<CanonicalPath> {
    let place = item.place.clone();
    let text = item.text()?;
    if !text.starts_with('/') {
        place.report("must start with a slash");
        return None;
    }
    if let Err(pattern) = literal::check(&text) {
        let prefix = pattern.prefix();
        place.report(format!(
            "{pattern}; {prefix:?} matches {prefix} and everything below it"
        ));
        return None;
    }
    // A prefix matches whole segments, so `/app/` and `/app` are the same route.
    let trimmed = if text == "/" {
        "/"
    } else {
        text.strip_suffix('/').unwrap_or(&text)
    };
    let path = match CanonicalPath::parse(trimmed) {
        Ok(path) => path,
        Err(error) => {
            place.report(error.to_string());
            return None;
        }
    };
    if path.decoded() == "/.portcullis" || path.decoded().starts_with("/.portcullis/") {
        place.report("paths under /.portcullis belong to the gateway itself");
    }
    Some(path)
}

fn host(item: Item<'_>) -> Option<HostPattern> {
    item.parse(
        "a host name without a port, such as \"hub.example.org\", or \"*.example.org\" for all names below one",
        HostPattern::parse,
    )
}

fn methods(table: &mut Table<'_>) -> Methods {
    let Some(item) = table.take("methods") else {
        return Methods::default();
    };
    let place = item.place.clone();
    let listed = values::each(Some(item), |item| {
        item.parse(
            "a method in capitals that the gateway serves, such as \"GET\"",
            |text| {
                let method: Method = text.parse().ok()?;
                let is_usual = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
                (is_usual && is_served(&method)).then_some(method)
            },
        )
    });
    if listed.is_empty() {
        place.report("the list is empty; leave the key out for every method");
    }
    Methods::new(listed)
}

fn upstream_host(item: Item<'_>) -> Option<UpstreamHost> {
    item.parse(
        "\"client\", \"upstream\" or a host name with an optional port, such as \"app.internal:8080\"",
        |text| match text {
            "client" => Some(UpstreamHost::Client),
            "upstream" => Some(UpstreamHost::Upstream),
            name => {
                let authority: Authority = name.parse().ok()?;
                let is_exact = matches!(HostPattern::parse(authority.host())?, HostPattern::Exact(_));
                let is_whole = is_exact && !name.contains('@');
                is_whole
                    .then(|| HeaderValue::try_from(name).ok().map(UpstreamHost::Name))
                    .flatten()
            }
        },
    )
}

fn access(table: &mut Table<'_>, known: &[String]) -> Option<RouteAccess> {
    let listed = table.take("authenticators");
    let is_listed = listed.is_some();
    let names = listed.map(|item| authenticators(item, known)).unwrap_or_default();
    let public = table.flag("public", false);
    let optional = table.flag("optional", false);
    let problem = match (is_listed, public, optional) {
        (_, true, true) => "public and optional contradict each other: a public route asks no authenticator",
        (true, true, false) => "public and authenticators contradict each other: a public route asks no authenticator",
        (false, false, _) => "the key \"authenticators\" is missing: list authenticators, or set public = true",
        (false, true, false) => return Some(RouteAccess::Public),
        (true, false, true) => return Some(RouteAccess::Optional(names)),
        (true, false, false) => return Some(RouteAccess::Protected(names)),
    };
    table.place.report(problem);
    None
}

fn authenticators(item: Item<'_>, known: &[String]) -> Vec<String> {
    plugins(
        item,
        "authenticator",
        known,
        "the list is empty; set public = true for a route without authentication",
    )
}

fn authorizers(table: &mut Table<'_>, known: &[String]) -> Vec<String> {
    let Some(item) = table.take("authorizers") else {
        return Vec::new();
    };
    let empty = "the list is empty; leave the key out if every user may make every request";
    plugins(item, "authorizer", known, empty)
}

/// Reads a list of names of plugins. `empty` is what is wrong if it has none.
fn plugins(item: Item<'_>, role: &str, known: &[String], empty: &str) -> Vec<String> {
    let place = item.place.clone();
    let items = item.list();
    if items.is_empty() {
        place.report(empty);
    }
    let mut names = Vec::with_capacity(items.len());
    for item in items {
        let place = item.place.clone();
        let Some(name) = item.text() else { continue };
        if !known.contains(&name) {
            let what = format!("{role} {name:?}");
            place.report(error::unknown(&what, &name, known.iter().map(String::as_str)));
        } else if names.contains(&name) {
            place.report(format!("{name:?} is listed twice"));
        } else {
            names.push(name);
        }
    }
    names
}

fn upstream(table: &mut Table<'_>, upstreams: &Upstreams, has_front: bool) -> Option<Upstream> {
    let Some(item) = table.take("upstream") else {
        if !has_front {
            table.place.report(
                "the key \"upstream\" is missing: set it to \"http://HOST:PORT\", the name of one of [upstreams], or \
                 \"portcullis:whoami\" for a page that shows who the user is; it is optional only with [forward_auth] or \
                 [ext_authz]",
            );
        }
        return None;
    };
    let place = item.place.clone();
    upstreams.find(&place, &item.text()?)
}

fn cookies(item: Item<'_>) -> Option<Cookies> {
    item.word(&[("pass", Cookies::Pass), ("drop", Cookies::Drop)])
}

/// Reads a size, or `none` for no limit.
fn max_body_size(item: Item<'_>) -> Option<Option<u64>> {
    item.parse(
        "a size, such as \"64KiB\" or \"32MiB\", or \"none\"",
        |text| match text {
            "none" => Some(None),
            size => size.parse::<bytesize::ByteSize>().ok().map(|size| Some(size.as_u64())),
        },
    )
}

/// Bodies are streamed, so this limit protects the upstream and not the gateway. It is the default of Apache, too.
const DEFAULT_BODY_SIZE: u64 = 1 << 30;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
const MIN_TIMEOUT: Duration = Duration::from_millis(100);
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
