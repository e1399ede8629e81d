//! `[login]`: where people come from to log in, and the pages that they see. The logins themselves are authenticators with
//! `login = true`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use http::Uri;
use http::uri::Scheme;
use portcullis_loader::config::document::Document;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Table;
use portcullis_loader::config::values;
use portcullis_loader::files::read_text;

/// The maximum number of origins.
const MAX_ORIGINS: usize = 64;

/// The largest template, in bytes.
const MAX_TEMPLATE: u64 = 64 << 10;

/// The settings for logins.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoginConfig {
    /// The origins from which people are sent to log in, and to which they come back. All have the same scheme.
    pub(crate) origins: Vec<Origin>,
    /// Where people land after a logout. `None` for a page of the gateway.
    pub(crate) after_logout: Option<String>,
    /// The operator's templates.
    pub(crate) templates: Templates,
}

/// The scheme, host and port by which browsers know the gateway (RFC 6454, section 4), in lower case and without a port
/// that is the scheme's own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Origin(String);

/// The pages that are made of the operator's templates.
#[derive(Clone, Debug, Default)]
pub(crate) struct Templates {
    /// The template for every page that has none of its own. `None` for that of the gateway.
    every: Option<String>,
    /// By the name of the page.
    own: BTreeMap<PageName, String>,
}

/// A page of the gateway that people see when they log in or out.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum PageName {
    /// Which of several logins?
    Choose,
    /// The attempt is over, or was begun in another browser.
    Expired,
    /// The provider says no.
    Failed,
    /// Somebody has logged in who may not come in.
    Forbidden,
    /// A form was sent without a session.
    Form,
    /// The page is in a frame, where no provider lets people log in.
    Frame,
    /// The provider signs the user out next.
    Leaving,
    /// The browser comes back again and again.
    Loop,
    /// Sign out?
    SignOut,
    /// The user is signed out.
    SignedOut,
    /// The user's data don't fit into a session.
    TooLarge,
    /// The provider can't be asked now.
    Unavailable,
    /// Another tab renews the session.
    Waiting,
}

impl PageName {
    /// All pages, by the names of their templates.
    const ALL: [(Self, &'static str); 13] = [
        (Self::Choose, "choose"),
        (Self::Expired, "expired"),
        (Self::Failed, "failed"),
        (Self::Forbidden, "forbidden"),
        (Self::Form, "form"),
        (Self::Frame, "frame"),
        (Self::Leaving, "leaving"),
        (Self::Loop, "loop"),
        (Self::SignOut, "sign-out"),
        (Self::SignedOut, "signed-out"),
        (Self::TooLarge, "too-large"),
        (Self::Unavailable, "unavailable"),
        (Self::Waiting, "waiting"),
    ];
}

impl LoginConfig {
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let place = table.place.clone();
        let origins = values::each(table.require("origins"), origin);
        let after_logout = table.take("after_logout").and_then(after_logout);
        let templates = table.take("pages").and_then(templates).unwrap_or_default();
        table.finish();
        if origins.len() > MAX_ORIGINS {
            place.report(format!("more than {MAX_ORIGINS} origins"));
        }
        let mut schemes = origins.iter().map(Origin::is_secure);
        if let Some(first) = schemes.next()
            && schemes.any(|other| other != first)
        {
            place
                .report("origins with http and with https contradict each other: one session cookie can't be for both");
        }
        Self {
            origins,
            after_logout,
            templates,
        }
    }

    /// Whether browsers use https. `None` if there are no origins.
    pub(crate) fn is_secure(&self) -> Option<bool> {
        self.origins.first().map(Origin::is_secure)
    }
}

impl Origin {
    /// The origin of a request. `None` if what it asks for is none.
    pub(crate) fn of(scheme: &Scheme, authority: &str) -> Option<Self> {
        let uri: Uri = format!("{scheme}://{authority}").parse().ok()?;
        let authority = uri.authority()?;
        if authority.as_str().contains('@') {
            return None;
        }
        let host = authority.host().to_ascii_lowercase();
        let own = match uri.scheme_str()? {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        let port = authority.port_u16().filter(|port| *port != own);
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        (!host.is_empty()).then(|| Self(format!("{scheme}://{host}{port}")))
    }

    /// The origin as text: `https://gateway.example`.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one of https.
    pub(crate) fn is_secure(&self) -> bool {
        self.0.starts_with("https:")
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Templates {
    /// The template of a page. `None` for that of the gateway.
    pub(crate) fn of(&self, page: PageName) -> Option<&str> {
        self.own.get(&page).or(self.every.as_ref()).map(String::as_str)
    }
}

/// Reads an origin. Over plain HTTP, anybody on the way could take the session, so it is for trials on one machine only.
fn origin(item: Item<'_>) -> Option<Origin> {
    item.parse(
        "the origin that browsers use, such as \"https://gateway.example\"; http is possible for localhost, 127.0.0.1 and \
         [::1] only",
        |text| {
            let (scheme, authority) = text.split_once("://")?;
            let origin = Origin::of(&scheme.to_ascii_lowercase().parse().ok()?, authority)?;
            let uri: Uri = origin.0.parse().ok()?;
            let is_local = ["localhost", "127.0.0.1", "[::1]"].contains(&uri.host()?);
            let is_whole = uri.path() == "/" && uri.query().is_none() && !authority.contains(['/', '?', '#', '*']);
            (is_whole && (origin.is_secure() || is_local)).then_some(origin)
        },
    )
}

/// Reads where people land after a logout: a path of the gateway, or a URL.
fn after_logout(item: Item<'_>) -> Option<String> {
    item.parse(
        "a path of the gateway, such as \"/goodbye\", or a URL that begins with https:// or http://",
        |text| {
            let uri: Uri = text.parse().ok()?;
            let is_plain = text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>'));
            let is_path = text.starts_with('/') && !text.starts_with("//");
            let is_url = matches!(uri.scheme_str(), Some("http" | "https"));
            (is_plain && (is_path || is_url)).then(|| text.to_owned())
        },
    )
}

/// Reads the templates in a folder: `page.html` for every page, and `NAME.html` for one.
fn templates(item: Item<'_>) -> Option<Templates> {
    let place = item.place.clone();
    let document: &Document<'_> = place.document();
    let folder = document.live_file(&item.text()?);
    let listed = match std::fs::read_dir(&folder) {
        Ok(listed) => listed,
        Err(error) => {
            place.report(format!("{} can't be read: {error}", folder.display()));
            return None;
        }
    };
    let mut templates = Templates::default();
    let mut paths = Vec::from_iter(listed.filter_map(Result::ok).map(|entry| entry.path()));
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "html"));
    paths.sort();
    for path in paths {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let known = PageName::ALL.iter().find(|(_, name)| *name == stem);
        if known.is_none() && stem != "page" {
            let names = PageName::ALL.map(|(_, name)| name).join(", ");
            place.report(format!(
                "{} is the template of no page; the pages are page, for all of them, and {names}",
                path.display()
            ));
            continue;
        }
        document.sources().note_content(&path);
        match template(&path) {
            Ok(text) => match known {
                Some((page, _)) => {
                    templates.own.insert(*page, text);
                }
                None => templates.every = Some(text),
            },
            Err(error) => place.report(format!("{} {error}", path.display())),
        }
    }
    Some(templates)
}

fn template(path: &Path) -> Result<String, String> {
    let text = read_text(path, MAX_TEMPLATE)?;
    for placeholder in ["{{title}}", "{{text}}", "{{actions}}"] {
        if !text.contains(placeholder) {
            return Err(format!(
                "has no {placeholder}: people couldn't read what has happened, or go on"
            ));
        }
    }
    Ok(text)
}
