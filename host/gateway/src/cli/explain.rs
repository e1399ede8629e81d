//! `portcullis explain`: shows step by step how a request would be handled. Plugins are called as for a real request, but no login
//! is asked about a session; nothing is sent to an upstream, and credentials are never printed.

use std::error::Error;
use std::fmt;
use std::io;
use std::io::Write;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::str::FromStr;

use clap::Args;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Uri;
use http::header;
use http::request::Parts;
use http::uri::Scheme;
use portcullis::Renewal;
use portcullis::decision::Attribute;
use portcullis::decision::AttributeRead;
use portcullis::decision::Decision;
use portcullis::decision::Outcome;
use portcullis::decision::Permit;
use portcullis::decision::Permits;
use portcullis::decision::Step;
use portcullis::decision::Verdict;
use portcullis_wire::framing::AmbiguousFraming;
use portcullis_wire::peer::Peer;

use crate::cli::ConfigFile;
use crate::cli::engine;
use crate::config::Paths;
use crate::generation::Generation;
use crate::generation::Route;
use crate::pipeline::Gateway;
use crate::pipeline::Preview;
use crate::pipeline::PreviewOutcome;
use crate::pipeline::Sender;
use crate::proxy::Proxy;

/// Arguments of `explain`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The request's method
    method: Method,
    /// The URL that the client requests, such as http://gateway.example/api
    url: Url,
    /// A header of the request; can be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<Header>,
    /// The client's IP address
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    client: IpAddr,
    #[command(flatten)]
    config: ConfigFile,
}

pub(super) async fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let draft = arguments.config.read();
    let proxy = Proxy::idle();
    let (_engine, generation) = engine::load(draft, &proxy).await?;
    let head = arguments.head()?;
    let peer = Peer::from(SocketAddr::new(arguments.client, 0));
    let gateway = Gateway::new(generation, proxy);
    let preview = gateway.preview(peer, arguments.url.scheme.clone(), head).await;
    write(output, &gateway.generation(), &preview)?;
    Ok(())
}

impl Arguments {
    /// Builds the head of the request as the gateway would receive it over HTTP/1.1.
    fn head(&self) -> Result<Parts, http::Error> {
        let mut head = Request::builder()
            .method(self.method.clone())
            .uri(self.url.target.clone())
            .body(())?
            .into_parts()
            .0;
        head.headers = self
            .headers
            .iter()
            .map(|Header(name, value)| (name.clone(), value.clone()))
            .collect();
        if self.url.has_fragment {
            head.extensions.insert(AmbiguousFraming::FRAGMENT);
        }
        if !head.headers.contains_key(header::HOST) {
            head.headers.insert(header::HOST, self.url.host.clone());
        }
        Ok(head)
    }
}

/// A URL, split into the parts that HTTP/1.1 transmits separately.
#[derive(Clone, Debug)]
struct Url {
    scheme: Scheme,
    host: HeaderValue,
    target: Uri,
    /// Whether a fragment follows, which a client shouldn't send.
    has_fragment: bool,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("not a URL: {error}"))?;
        let uri = uri.into_parts();
        let (Some(scheme), Some(authority)) = (uri.scheme, uri.authority) else {
            return Err("expected a URL with scheme and host, such as http://gateway.example/".to_owned());
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err("expected http:// or https://".to_owned());
        }
        let host =
            HeaderValue::try_from(authority.as_str()).map_err(|_| "the host can't be sent in a header".to_owned())?;
        Ok(Self {
            scheme,
            host,
            target: uri.path_and_query.map(Uri::from).unwrap_or_default(),
            has_fragment: text.contains('#'),
        })
    }
}

/// `NAME: VALUE`. The value may be a credential, so `Debug` doesn't show it.
#[derive(Clone)]
struct Header(HeaderName, HeaderValue);

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').ok_or("expected NAME: VALUE")?;
        let name = name
            .trim()
            .parse()
            .map_err(|_| "the name is not a valid header name".to_owned())?;
        let value = HeaderValue::from_bytes(value.trim().as_bytes());
        Ok(Self(
            name,
            value.map_err(|_| "the value contains a control character".to_owned())?,
        ))
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: …", self.0)
    }
}

fn write(output: &mut impl Write, generation: &Generation, preview: &Preview) -> io::Result<()> {
    if let Some(route) = &preview.route {
        write_route(output, route)?;
        let warnings = generation.warnings().iter();
        for warning in warnings.filter(|warning| warning.concerns(route)) {
            line(output, "warning", warning)?;
        }
    }
    if let Some(Sender::Decided(decided)) = &preview.sender {
        match (&decided.renewal, &decided.due) {
            (Some(Renewal::Unasked), Some(login)) => line(
                output,
                "session",
                format_args!("is due: the login {login} would be asked whether it goes on, and to renew it"),
            )?,
            (Some(Renewal::Silent), Some(login)) => line(
                output,
                "session",
                format_args!(
                    "is due: a browser would renew it at the provider of the login {login}, without asking the user"
                ),
            )?,
            _ => {
                if let Some(error) = &decided.session_error {
                    line(output, "session", format_args!("is not accepted: {error}"))?;
                }
            }
        }
        write_decision(output, generation, &decided.decision, decided.session.is_some())?;
    }
    write_steps(output, generation, &preview.authorizer_steps, &preview.permits)?;
    match &preview.outcome {
        PreviewOutcome::Answer { status, why, headers } => {
            let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            line(output, "answer", format_args!("{status}{why}"))?;
            write_headers(output, headers)
        }
        PreviewOutcome::Forward { identity, condition } => {
            let who = if identity.is_empty() {
                "without a user"
            } else {
                "with these headers"
            };
            line(output, "forwarded", who)?;
            write_headers(output, identity)?;
            condition
                .as_ref()
                .map_or(Ok(()), |condition| line(output, "if", condition))
        }
        PreviewOutcome::Internal => line(output, "answer", "one of the gateway's own pages"),
    }
}

fn write_route(output: &mut impl Write, route: &Route) -> io::Result<()> {
    line(
        output,
        "route",
        format_args!("{}, {}, {}", route.name, route.access.label(), goal(route)),
    )?;
    if route.config.paths == Paths::AsIs {
        line(
            output,
            "path",
            "every path is accepted if every reading of it leads to this route",
        )?;
    } else if route.config.allow_encoded_slash {
        line(
            output,
            "path",
            "an encoded slash is accepted if every reading of the path leads to this route",
        )?;
    }
    let authenticators = route.access.authenticators();
    let (asked, authorizers) = (authenticators.as_str(), route.authorizer_names());
    match (asked, authorizers.as_str()) {
        ("", _) => Ok(()),
        (authenticators, "") => line(output, "asks", authenticators),
        (authenticators, authorizers) => line(output, "asks", format_args!("{authenticators}, then {authorizers}")),
    }
}

fn goal(route: &Route) -> String {
    match &route.config.upstream {
        Some(upstream) => format!("to {upstream}"),
        None => "for fronts only, without an upstream".to_owned(),
    }
}

fn write_decision(
    output: &mut impl Write,
    generation: &Generation,
    decision: &Decision,
    via_session: bool,
) -> io::Result<()> {
    write_steps(output, generation, &decision.steps, &Permits::default())?;
    match &decision.outcome {
        Outcome::Grant(user) if via_session => {
            let (name, authenticator) = (user.identity().name(), user.authenticator());
            line(
                output,
                "session",
                format_args!("of user {name:?}, whom {authenticator} admitted"),
            )
        }
        _ => Ok(()),
    }
}

/// What each plugin was asked and said.
fn write_steps(output: &mut impl Write, generation: &Generation, steps: &[Step], permits: &Permits) -> io::Result<()> {
    for Step {
        name,
        verdict,
        reads,
        kept,
        warnings,
        elapsed,
        ..
    } in steps
    {
        line(output, name, format_args!("{verdict} ({elapsed:.1?})"))?;
        let said = permits.iter().filter(|permit| permit.authorizer() == &**name);
        for (attribute, value) in said.flat_map(Permit::attributes) {
            line(output, "", format_args!("says {attribute}: {value:?}"))?;
        }
        for read in reads.iter() {
            line(output, "", Answered(read))?;
        }
        for warning in warnings {
            line(output, "", format_args!("said: {warning}"))?;
        }
        let asked = generation.plugins().find(|known| known.name() == &**name);
        if let Some(rules) = asked.and_then(|asked| asked.kept_instances()) {
            line(
                output,
                "",
                format_args!("its instances are kept: {rules}. The requests of one share its memory"),
            )?;
        }
        // Refusals are kept for a second at most, which explains nothing.
        let whose = match verdict {
            Verdict::Grant { .. } => "requests",
            Verdict::Permit => "requests of the same user",
            _ => continue,
        };
        if let Some(kept) = kept {
            let kept = humantime::format_duration(*kept);
            line(
                output,
                "",
                format_args!("kept for {kept}, for {whose} with the same values of all this"),
            )?;
        }
    }
    Ok(())
}

/// Shows what an authenticator read, and the size of the values that it got.
struct Answered<'a>(&'a AttributeRead);

impl fmt::Display for Answered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AttributeRead {
            attribute,
            granted,
            value,
            ..
        } = self.0;
        // This is the only value that the gateway makes itself, so it is not a credential.
        if let (Attribute::Negotiate(_), [outcome]) = (attribute, value.values()) {
            return write!(f, "asked {attribute}: {}", String::from_utf8_lossy(outcome));
        }
        match (granted, value.count()) {
            (false, _) => write!(f, "asked {attribute}: not granted"),
            (true, 0) => write!(f, "asked {attribute}: absent"),
            (true, 1) => write!(f, "asked {attribute}: {} bytes", value.size()),
            (true, count) => write!(f, "asked {attribute}: {count} values, {} bytes", value.size()),
        }
    }
}

fn write_headers(output: &mut impl Write, headers: &HeaderMap) -> io::Result<()> {
    for (name, value) in headers {
        let hidden = "(not shown)".into();
        let value = if value.is_sensitive() {
            hidden
        } else {
            String::from_utf8_lossy(value.as_bytes())
        };
        line(output, "", format_args!("{name}: {value}"))?;
    }
    Ok(())
}

/// Writes one line, beginning with a label. Control characters are replaced, because the text may come from a plugin.
fn line(output: &mut impl Write, about: &str, text: impl fmt::Display) -> io::Result<()> {
    let text = text.to_string().replace(char::is_control, " ");
    writeln!(output, "{about:12}{text}")
}
