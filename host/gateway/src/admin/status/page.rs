//! The status page: what an operator wants to know of a gateway that runs, on one page that loads nothing and has no scripts.

use std::fmt::Write as _;
use std::time::Duration;
use std::time::SystemTime;

use metrics::Key;

use super::State;
use super::chart::End;
use super::chart::Ends;
use super::facts::Facts;
use super::facts::PluginFacts;
use super::facts::RouteFacts;
use super::history::History;
use super::history::is;
use super::latency::latency;
use super::problems::CERTIFICATE;
use super::problems::HEALTHY;
use super::problems::Problem;
use super::refusals::Refused;
use super::table::listed;
use super::table::table;
use crate::admin::reload::InUse;
use crate::html;
use crate::html::escape;

/// What the page is made of.
pub(super) struct Page<'a> {
    pub(super) facts: &'a Facts,
    pub(super) problems: &'a [Problem],
    pub(super) gauges: &'a [(Key, f64)],
    pub(super) history: &'a History,
    pub(super) refusals: &'a [Refused],
    pub(super) in_use: InUse,
    /// How the last reload ended, and when. `None` if there was none.
    pub(super) reload: Option<(SystemTime, String)>,
    pub(super) started: SystemTime,
    pub(super) now: SystemTime,
    pub(super) state: State,
}

impl Page<'_> {
    /// The page, as HTML.
    pub(super) fn html(&self) -> String {
        let mut main = String::from("<h1>Portcullis</h1>\n");
        main.push_str(&self.summary());
        for (title, section) in [
            ("Problems", self.problems()),
            ("Routes", self.routes()),
            ("Plugins", self.plugins()),
            ("Upstreams", self.upstreams()),
            ("Certificates", self.certificates()),
            ("Recent refusals", self.refusals()),
            ("Warnings", listed(&self.facts.warnings)),
            ("The last reload", self.reload()),
        ] {
            if !section.is_empty() {
                let _ = write!(main, "<h2>{title}</h2>\n{section}");
            }
        }
        html::styled_document("Portcullis", STYLE, &main)
    }

    fn summary(&self) -> String {
        let state = match (self.state, self.problems.len()) {
            (State::Stopping, _) => "It stops.".to_owned(),
            (State::Refusing, _) => "It refuses all requests.".to_owned(),
            (State::Ready, 0) => "It is ready.".to_owned(),
            (State::Ready, 1) => "It is ready, and has a problem.".to_owned(),
            (State::Ready, count) => format!("It is ready, and has {count} problems."),
        };
        let age = self.now.duration_since(self.started).unwrap_or_default();
        let age = humantime::format_duration(Duration::from_secs(age.as_secs()));
        let all = self.ends("portcullis_requests_total", &[], "code", End::of_status);
        format!(
            "<p>{state} Version {}, started {} ({age} ago). Generation {} of the configuration, in use since {}. This is how it \
             was at {}; <a href=\"\">load it again</a>.</p>\n\
             <figure>{}<figcaption>All requests of the last hour, by minute: <span class=\"good\">■</span> served, \
             <span class=\"refused\">■</span> refused (4xx), <span class=\"failed\">■</span> failed (5xx). \
             Latency, on a logarithmic scale: <span class=\"half\">■</span> half of them, <span class=\"most\">■</span> 99 \
             %</figcaption></figure>\n",
            env!("CARGO_PKG_VERSION"),
            shown(self.started),
            self.in_use.generation,
            shown(self.in_use.since),
            shown(self.now),
            all.chart("requests"),
        )
    }

    fn problems(&self) -> String {
        let rows = self.problems.iter().map(|Problem { part, problem }| {
            let problem = format!("<pre>{}</pre>", escape(problem));
            vec![escape(part), problem]
        });
        table(&["part", "problem"], rows)
    }

    fn routes(&self) -> String {
        let row = |route: &RouteFacts| {
            let labels = [("route", route.name.as_str())];
            vec![
                format!("<code>{}</code>", escape(&route.name)),
                route.access.to_owned(),
                escape(&route.plugins.join(", ")),
                escape(&route.upstream),
                self.ends("portcullis_requests_total", &labels, "code", End::of_status)
                    .chart("requests"),
                self.counts("portcullis_requests_total", &labels, "code"),
                latency(
                    "requests",
                    &self.history.recorded("portcullis_request_seconds", &labels),
                ),
            ]
        };
        let head = [
            "route",
            "access",
            "plugins",
            "upstream",
            "last hour",
            "responses",
            "latency",
        ];
        table(&head, self.facts.routes.iter().map(row))
    }

    fn plugins(&self) -> String {
        let row = |plugin: &PluginFacts| {
            let calls = format!("portcullis_{}_calls_total", plugin.role);
            let seconds = format!("portcullis_{}_call_seconds", plugin.role);
            let labels = [(plugin.role, plugin.name.as_str())];
            let mut terms = String::new();
            for (name, value) in &plugin.terms {
                let _ = write!(terms, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
            }
            let component = match &plugin.digest {
                // Enough to tell versions apart at a glance.
                Some(digest) => {
                    let _ = write!(terms, "<dt>component</dt><dd><code>{}</code></dd>", escape(digest));
                    format!("<code>{}…</code>", escape(digest.get(..12).unwrap_or(digest)))
                }
                None => "disabled".to_owned(),
            };
            vec![
                format!("<code>{}</code><br>{}", escape(&plugin.name), plugin.role),
                format!("<details><summary>{}</summary><dl>{terms}</dl></details>", component),
                self.ends(&calls, &labels, "verdict", End::of_verdict).chart("calls"),
                self.counts(&calls, &labels, "verdict"),
                self.breaker(plugin),
                latency("calls", &self.history.recorded(&seconds, &labels)),
            ]
        };
        let head = [
            "plugin",
            "component, grants and limits",
            "last hour",
            "verdicts",
            "breaker",
            "latency",
        ];
        table(&head, self.facts.plugins.iter().map(row))
    }

    /// Whether the circuit breaker of a plugin is open, and for whom it has opened in the last hour. Nothing if it is disabled.
    fn breaker(&self, plugin: &PluginFacts) -> String {
        if plugin.disabled.is_some() {
            return String::new();
        }
        let labels = [(plugin.role, plugin.name.as_str())];
        let open = format!("portcullis_{}_breaker_open", plugin.role);
        let is_open = self
            .gauges
            .iter()
            .any(|(key, value)| is(key, &open, &labels) && *value > 0.0);
        let state = if is_open { "open for everybody" } else { "closed" };
        let openings = self.counts(&format!("{open}ings_total"), &labels, "scope");
        match openings.as_str() {
            "" => state.to_owned(),
            openings => format!("{state}<br>has opened: {openings}"),
        }
    }

    fn upstreams(&self) -> String {
        let mut rows = Vec::new();
        for (key, healthy) in self.gauges {
            let label = |name: &str| {
                key.labels()
                    .find(|label| label.key() == name)
                    .map(|label| label.value().to_owned())
            };
            if let (HEALTHY, Some(upstream), Some(server)) = (key.name(), label("upstream"), label("server")) {
                let labels = [("upstream", upstream.as_str()), ("server", server.as_str())];
                let requests = self.counts("portcullis_upstream_requests_total", &labels, "outcome");
                let health = match *healthy {
                    0.0 => "gets no requests".to_owned(),
                    1.0 => "healthy".to_owned(),
                    several => format!("{several} healthy addresses"),
                };
                rows.push(vec![escape(&upstream), escape(&server), health, requests]);
            }
        }
        rows.sort();
        table(&["upstream", "server", "health", "requests"], rows)
    }

    fn certificates(&self) -> String {
        let mut rows = Vec::new();
        for (key, until) in self.gauges {
            if let (CERTIFICATE, Some(label)) = (key.name(), key.labels().next()) {
                let until = Duration::try_from_secs_f64(*until).unwrap_or_default();
                rows.push(vec![escape(label.value()), shown(SystemTime::UNIX_EPOCH + until)]);
            }
        }
        rows.sort();
        table(&["certificate", "expires"], rows)
    }

    fn refusals(&self) -> String {
        let row = |refused: &Refused| {
            let route = refused.route.as_deref().unwrap_or_default();
            vec![
                shown(refused.time),
                refused.status.to_string(),
                format!("<code>{} {}</code>", escape(&refused.method), escape(&refused.path)),
                format!("<code>{}</code>", escape(route)),
                escape(&refused.client),
                escape(refused.user.as_deref().unwrap_or_default()),
                escape(&refused.why),
                format!("<code>{}</code>", escape(&refused.request_id)),
            ]
        };
        let head = [
            "time",
            "status",
            "request",
            "route",
            "client",
            "user",
            "why",
            "request id",
        ];
        table(&head, self.refusals.iter().map(row))
    }

    fn reload(&self) -> String {
        let Some((time, outcome)) = &self.reload else {
            return String::new();
        };
        format!("<p>{}</p>\n<pre>{}</pre>\n", shown(*time), escape(outcome))
    }

    fn ends(&self, name: &str, labels: &[(&str, &str)], label: &str, end: impl Fn(&str) -> End) -> Ends {
        Ends::sorted(&self.history.counted(name, labels, label), end)
    }

    /// What was counted in the last hour: `200: 5, 401: 1`.
    fn counts(&self, name: &str, labels: &[(&str, &str)], label: &str) -> String {
        let counted = self.history.counted(name, labels, label);
        let counted = counted.iter().filter_map(|(value, minutes)| {
            let sum = minutes.iter().copied().map(u64::from).sum::<u64>();
            (sum > 0).then(|| format!("{}: {sum}", escape(value)))
        });
        Vec::from_iter(counted).join(", ")
    }
}

fn shown(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// The colours of the bars have a contrast of at least 3 to 1 to the background in both schemes (WCAG 2.2, 1.4.11).
const STYLE: &str = ":root{--good:#2e7d32;--refused:#b26a00;--failed:#c62828;--half:#0d47a1;--most:#5b8bc4}\
    @media(prefers-color-scheme:dark){:root{--good:#81c784;--refused:#ffb74d;--failed:#ef9a9a;--half:#90caf9;--most:#4f7cb0}}\
    main{max-width:80rem;margin:1rem auto}h2{font-size:1.1rem;margin:2rem 0 .5rem}\
    .wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.85rem}\
    th{text-align:left;color:var(--dim);font-weight:normal}\
    th,td{padding:.3rem .75rem .3rem 0;vertical-align:top;border-bottom:1px solid var(--line)}\
    td code{display:inline-block;max-width:20rem;overflow-wrap:break-word}.line{white-space:nowrap}pre{white-space:pre-wrap;margin:0;font-size:.85rem}\
    svg{width:10rem;height:2.25rem;border-bottom:1px solid var(--line)}td svg{width:7rem}figure{margin:0}\
    figcaption{font-size:.85rem;color:var(--dim)}summary{cursor:pointer}\
    .good{fill:var(--good);color:var(--good)}.refused{fill:var(--refused);color:var(--refused)}\
    .failed{fill:var(--failed);color:var(--failed)}\
    .half{fill:var(--half);color:var(--half)}.most{fill:var(--most);color:var(--most)}";
