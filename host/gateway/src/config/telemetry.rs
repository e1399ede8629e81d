//! `[telemetry]`: where traces of requests and metrics are sent, of which requests, and how often. Without the section nothing
//! is sent.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use http::Uri;
use http::uri::Scheme;
use portcullis::SecretHeader;
use portcullis_loader::config::pem;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Table;
use portcullis_loader::config::rotation::RotatingHeader;
use portcullis_loader::config::secret::HeaderSecret;
use portcullis_loader::config::secret::header_secret;
use portcullis_loader::config::values;
use portcullis_loader::tls::pem::trusted;
use portcullis_loader::tls::trust;
use rustls::ClientConfig;

/// The settings of OpenTelemetry.
#[derive(Clone, Debug)]
pub(crate) struct TelemetryConfig {
    /// The collector: a scheme, a host, and for `http/protobuf` a path, which the signal's own follows.
    pub(crate) endpoint: Uri,
    /// How it is spoken to.
    pub(crate) protocol: OtlpProtocol,
    /// What is added to each message.
    pub(crate) headers: Vec<(HeaderName, SecretHeader)>,
    /// Those of the headers whose secret is in a file.
    pub(crate) rotating: Vec<RotatingHeader>,
    /// How the collector is recognized. `None` for the authorities of the system.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// How long the collector may take to answer.
    pub(crate) timeout: Duration,
    /// The name of the service in traces and metrics.
    pub(crate) service_name: String,
    /// `None` if requests are not traced.
    pub(crate) traces: Option<TracesConfig>,
    /// How often the metrics are sent. `None` if they are not.
    pub(crate) metrics: Option<Duration>,
}

/// Which requests are traced.
#[derive(Clone, Debug)]
pub(crate) struct TracesConfig {
    /// How many spans may wait for the collector.
    pub(crate) queue: usize,
    /// The share of traces that are sampled, of those that begin here: 0 to 1.
    pub(crate) sampling: f64,
    /// The most requests that are sampled in a second, those that a client asks for included.
    pub(crate) max_traces: u32,
    /// Whose trace context is continued.
    pub(crate) parent: ParentTrust,
}

/// How a collector is spoken to (OTLP 1.x).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OtlpProtocol {
    /// gRPC.
    Grpc,
    /// Protobuf in the body of a POST.
    HttpProtobuf,
}

/// Whose `traceparent` is continued, and its decision about sampling with it. That of anybody else is linked to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ParentTrust {
    /// That of every client.
    All,
    /// No client's.
    None,
    /// That of proxies in `server.trusted_proxies`, and of fronts.
    Trusted,
}

const TIMEOUTS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const INTERVALS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60 * 60);
const DEFAULT_QUEUE: usize = 2048;
const MAX_QUEUE: usize = 1 << 20;
const DEFAULT_NAME: &str = "portcullis";
const DEFAULT_MAX_TRACES: usize = 100;
const MAX_TRACES: usize = 100_000;
const MAX_NAME: usize = 255;

impl TelemetryConfig {
    /// Returns `None` if `endpoint` is missing or wrong.
    pub(super) fn read(mut table: Table<'_>) -> Option<Self> {
        let endpoint = table.require("endpoint").and_then(endpoint);
        let protocols = [
            ("grpc", OtlpProtocol::Grpc),
            ("http/protobuf", OtlpProtocol::HttpProtobuf),
        ];
        let protocol = table.word("protocol", OtlpProtocol::Grpc, &protocols);
        let (mut headers, mut rotating) = (Vec::new(), Vec::new());
        let entries = table.take("headers").and_then(Item::table);
        for (name, item) in entries.into_iter().flat_map(Table::into_entries) {
            headers.extend(header(&name, item, &mut rotating));
        }
        let ca = table.take("ca").and_then(|item| {
            let place = item.place.clone();
            let trusted = pem::file(item, trusted)?;
            trust::client(trusted, None)
                .map_err(|error| place.report(error.to_string()))
                .ok()
        });
        let timeout = table.duration("timeout", DEFAULT_TIMEOUT, TIMEOUTS);
        table.default("service_name", DEFAULT_NAME);
        let service_name = table.take("service_name").and_then(|item| {
            item.parse("a name of 1 to 255 characters", |text| {
                (1..=MAX_NAME).contains(&text.chars().count()).then(|| text.to_owned())
            })
        });
        let metrics = table.take("metrics");
        let sends_metrics = metrics.is_some();
        let metrics = metrics.and_then(|item| values::duration(item, INTERVALS));
        let traces = TracesConfig::read(&mut table);
        let place = table.place.clone();
        table.finish();
        let endpoint = endpoint?;
        if protocol == OtlpProtocol::Grpc && endpoint.path() != "/" {
            place
                .report("gRPC has no path: endpoint is a scheme, a host and a port, such as \"http://127.0.0.1:4317\"");
        }
        if traces.is_none() && !sends_metrics {
            place.report("traces = false leaves nothing to send; metrics = \"1m\" sends metrics");
        }
        Some(Self {
            endpoint,
            protocol,
            headers,
            rotating,
            tls: ca.map(Arc::new),
            timeout,
            service_name: service_name.unwrap_or_else(|| DEFAULT_NAME.to_owned()),
            traces,
            metrics,
        })
    }
}

impl TracesConfig {
    /// Returns `None` if `traces` is false.
    fn read(table: &mut Table<'_>) -> Option<Self> {
        if !table.flag("traces", true) {
            for key in ["queue", "sampling", "max_traces", "parent"] {
                if let Some(item) = table.take(key) {
                    item.place.report("has no effect with traces = false");
                }
            }
            return None;
        }
        let queue = table.number("queue", DEFAULT_QUEUE, 1..=MAX_QUEUE);
        table.default("sampling", 1.0);
        let sampling = table.take("sampling").and_then(Item::fraction);
        let max_traces = table.number("max_traces", DEFAULT_MAX_TRACES, 1..=MAX_TRACES);
        let trusts = [
            ("trusted", ParentTrust::Trusted),
            ("all", ParentTrust::All),
            ("none", ParentTrust::None),
        ];
        Some(Self {
            queue,
            sampling: sampling.unwrap_or(1.0),
            max_traces: u32::try_from(max_traces).unwrap_or(u32::MAX),
            parent: table.word("parent", ParentTrust::Trusted, &trusts),
        })
    }
}

/// The address of a collector, without credentials and query.
fn endpoint(item: Item<'_>) -> Option<Uri> {
    item.parse("a URL such as \"http://127.0.0.1:4317\"", |text| {
        let uri = text.parse::<Uri>().ok()?;
        let is_web = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
        let has_host = uri
            .authority()
            .is_some_and(|authority| !authority.as_str().contains('@'));
        (is_web && has_host && uri.query().is_none()).then_some(uri)
    })
}

fn header(name: &str, item: Item<'_>, rotating: &mut Vec<RotatingHeader>) -> Option<(HeaderName, SecretHeader)> {
    let place = item.place.clone();
    let Ok(name) = name.parse::<HeaderName>() else {
        place.report("is not a header name");
        return None;
    };
    let value = match header_secret(item)? {
        HeaderSecret::Fixed(value) => value.into(),
        HeaderSecret::File(header) => {
            rotating.push(header.clone());
            header.header()
        }
        _ => return None,
    };
    Some((name, value))
}
