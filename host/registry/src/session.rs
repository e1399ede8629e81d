//! Requests about one repository of one registry. A session authenticates when the registry asks it to, follows redirects a
//! few times, and shows its credentials to no other server.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::StatusCode;
use http::Uri;
use http::header;
use http::uri::Authority;
use http::uri::Scheme;
use http_body_util::Full;
use hyper::body::Incoming;

use crate::auth;
use crate::credentials;
use crate::credentials::Credentials;
use crate::error::Error;
use crate::error::quoted;
use crate::exchange;
use crate::exchange::HttpClient;
use crate::link;
use crate::registries::Registries;

/// How many redirects in a row are followed.
const MAX_REDIRECTS: usize = 5;

/// What a session does with its repository.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    Pull,
    Push,
}

/// What to send.
pub(crate) struct Call<'c> {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: &'c [(HeaderName, &'c str)],
    pub(crate) body: Bytes,
    /// How long the server may take until its answer begins.
    pub(crate) limit: Duration,
}

impl<'c> Call<'c> {
    /// Asks for something without sending a body.
    pub(crate) fn new(method: Method, uri: Uri, headers: &'c [(HeaderName, &'c str)]) -> Self {
        Self {
            method,
            uri,
            headers,
            body: Bytes::new(),
            limit: exchange::IDLE,
        }
    }
}

/// A part of a list.
pub(crate) struct Page {
    pub(crate) bytes: Vec<u8>,
    /// Where the next one is, on the same server.
    pub(crate) next: Option<Result<Uri, Error>>,
}

/// Requests about one repository.
pub(crate) struct Session {
    registries: Registries,
    /// The name by which the registry is configured.
    registry: String,
    scheme: Scheme,
    authority: Authority,
    repository: String,
    action: Action,
    client: HttpClient,
    authorization: Option<HeaderValue>,
    has_credentials: bool,
}

impl Session {
    pub(crate) fn new(
        registries: &Registries,
        registry: &str,
        repository: &str,
        action: Action,
    ) -> Result<Self, Error> {
        // Docker Hub's interface isn't at its name.
        let server = if registry == "docker.io" {
            "registry-1.docker.io"
        } else {
            registry
        };
        let authority = server
            .parse()
            .map_err(|_| Error::Internal(format!("{server} is no host")))?;
        let scheme = match registries.host(registry).is_some_and(|host| host.plain_http) {
            true => Scheme::HTTP,
            false => Scheme::HTTPS,
        };
        Ok(Self {
            client: registries.client(registry)?,
            registries: registries.clone(),
            registry: registry.to_owned(),
            scheme,
            authority,
            repository: repository.to_owned(),
            action,
            authorization: None,
            has_credentials: false,
        })
    }

    /// Host and port, for errors.
    pub(crate) fn host(&self) -> &str {
        self.authority.as_str()
    }

    /// The access that is needed, in the words of a token service.
    pub(crate) fn scope(&self) -> String {
        let actions = match self.action {
            Action::Pull => "pull",
            Action::Push => "pull,push",
        };
        format!("repository:{}:{actions}", self.repository)
    }

    /// The URI of something in the repository, such as `manifests/1.0`.
    pub(crate) fn uri(&self, rest: &str) -> Result<Uri, Error> {
        let path = format!("/v2/{}/{rest}", self.repository);
        let uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone());
        uri.path_and_query(path)
            .build()
            .map_err(|error| Error::Internal(error.to_string()))
    }

    /// Whether a URI leads to the registry itself.
    pub(crate) fn is_own_origin(&self, uri: &Uri) -> bool {
        origin(uri).is_some_and(|origin| Some(origin) == origin_of(&self.scheme, &self.authority))
    }

    /// The client for a server to which the registry leads. A server on the host of the registry is trusted as the registry is,
    /// unless it has a section of its own.
    pub(crate) fn client_for(&self, uri: &Uri) -> Result<HttpClient, Error> {
        let authority = uri.authority().map(Authority::as_str).unwrap_or_default();
        let is_same_host = uri.host() == Some(self.authority.host());
        match self.is_own_origin(uri) || (is_same_host && self.registries.host(authority).is_none()) {
            true => Ok(self.client.clone()),
            false => self.registries.client(authority),
        }
    }

    /// Gets what is at a URI, at most `limit` bytes. Follows redirects.
    pub(crate) async fn get(
        &mut self,
        uri: Uri,
        headers: &[(HeaderName, &str)],
        what: &'static str,
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        Ok(self.page(uri, headers, what, limit).await?.bytes)
    }

    /// Gets one part of a list, as [`get`](Self::get) does.
    pub(crate) async fn page(
        &mut self,
        uri: Uri,
        headers: &[(HeaderName, &str)],
        what: &'static str,
        limit: u64,
    ) -> Result<Page, Error> {
        let mut uri = uri;
        for _ in 0..=MAX_REDIRECTS {
            let host = uri.authority().map(ToString::to_string).unwrap_or_default();
            let response = self.call(Call::new(Method::GET, uri.clone(), headers)).await?;
            if !response.status().is_redirection() {
                let response = self.expect(response, &host, what, &[StatusCode::OK]).await?;
                let next = link::next(response.headers()).map(|next| self.next(next, &uri, what));
                let bytes = exchange::body(response, &host, what, limit).await?;
                return Ok(Page { bytes, next });
            }
            uri = self.location(&response, &uri)?;
        }
        Err(Error::Redirect {
            host: self.host().to_owned(),
            why: format!("more than {MAX_REDIRECTS} times"),
        })
    }

    /// Sends a request, and authenticates if the registry wants that.
    pub(crate) async fn call(&mut self, call: Call<'_>) -> Result<Response<Incoming>, Error> {
        let response = self.send(&call).await?;
        if response.status() != StatusCode::UNAUTHORIZED || !self.is_own_origin(&call.uri) {
            return Ok(response);
        }
        // The first time, or because a token has expired.
        let credentials = self.credentials().await?;
        self.has_credentials = credentials.is_some();
        match auth::answer(self, response.headers(), credentials.as_ref()).await? {
            Some(authorization) => {
                self.authorization = Some(authorization);
                self.send(&call).await
            }
            None => Ok(response),
        }
    }

    async fn send(&self, call: &Call<'_>) -> Result<Response<Incoming>, Error> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(call.uri.clone())
            .header(header::USER_AGENT, concat!("portcullis/", env!("CARGO_PKG_VERSION")));
        for (name, value) in call.headers {
            request = request.header(name, *value);
        }
        if let Some(authorization) = self.authorization.as_ref().filter(|_| self.is_own_origin(&call.uri)) {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(call.body.clone()));
        let request = request.map_err(|error| Error::Internal(error.to_string()))?;
        let host = call.uri.authority().map(Authority::as_str).unwrap_or_default();
        exchange::send(&self.client_for(&call.uri)?, request, host, call.limit).await
    }

    async fn credentials(&self) -> Result<Option<Credentials>, Error> {
        let configured = self
            .registries
            .host(&self.registry)
            .and_then(|host| host.credentials.clone());
        match (configured, self.registries.docker_config()) {
            (Some(configured), _) => Ok(Some(configured)),
            (None, Some(folder)) => {
                credentials::of_docker(folder, &self.registry)
                    .await
                    .map_err(|why| Error::Credentials {
                        host: self.host().to_owned(),
                        why,
                    })
            }
            (None, None) => Ok(None),
        }
    }

    /// Returns the response if it has one of these statuses, and else the error that it means.
    pub(crate) async fn expect(
        &self,
        response: Response<Incoming>,
        host: &str,
        what: &str,
        statuses: &[StatusCode],
    ) -> Result<Response<Incoming>, Error> {
        let status = response.status();
        match status {
            status if statuses.contains(&status) => Ok(response),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.denied(status, self.has_credentials)),
            StatusCode::NOT_FOUND => Err(Error::NotFound {
                host: host.to_owned(),
                what: what.to_owned(),
            }),
            status => Err(Error::Status {
                host: host.to_owned(),
                what: format!("the request for {what}"),
                status,
                detail: exchange::detail(response, host).await,
            }),
        }
    }

    /// Access was refused.
    pub(crate) fn denied(&self, status: StatusCode, with_credentials: bool) -> Error {
        let registry = &self.registry;
        let section = format!("[registries.{registry:?}]");
        let configured = self
            .registries
            .host(registry)
            .is_some_and(|host| host.credentials.is_some());
        let docker = self.registries.docker_config().map(Path::display);
        let advice = match (with_credentials, configured, docker) {
            (true, true, _) => format!("the username and password of {section} were sent"),
            (true, false, Some(folder)) => format!("the credentials of {folder}/config.json were sent"),
            _ => format!(
                "no credentials were sent; set username and password in {section}, or run docker login {registry}"
            ),
        };
        Error::Denied {
            host: self.host().to_owned(),
            status,
            advice,
        }
    }

    /// The URI of the next part of a list, which the registry itself has.
    fn next(&self, target: &str, from: &Uri, what: &'static str) -> Result<Uri, Error> {
        let next = resolve(target, from).ok().filter(|next| self.is_own_origin(next));
        next.ok_or_else(|| Error::Malformed {
            host: self.host().to_owned(),
            what,
            why: format!("it goes on at {}, which is no address of this registry", quoted(target)),
        })
    }

    /// Where a response leads: to a path of the same server, or to another server over https.
    pub(crate) fn location(&self, response: &Response<Incoming>, from: &Uri) -> Result<Uri, Error> {
        let error = |why: String| Error::Redirect {
            host: from.authority().map(ToString::to_string).unwrap_or_default(),
            why,
        };
        let location = response.headers().get(header::LOCATION);
        let location = location.ok_or_else(|| error("without saying where to".to_owned()))?;
        let text = location
            .to_str()
            .map_err(|_| error("to what is no address".to_owned()))?;
        let uri = resolve(text, from).map_err(error)?;
        match uri.scheme() == Some(&Scheme::HTTPS) || self.is_own_origin(&uri) {
            true => Ok(uri),
            false => Err(error(format!("to {}, which isn't https", quoted(text)))),
        }
    }
}

/// The URI that a registry names in a response: an absolute one without a user, or a path of the same server. The error is the
/// rest of a sentence.
fn resolve(text: &str, from: &Uri) -> Result<Uri, String> {
    let no_address = || format!("to {}, which is no address", quoted(text));
    let uri: Uri = text.parse().map_err(|_| no_address())?;
    let has_user = uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'));
    match (uri.scheme(), uri.authority()) {
        (Some(_), Some(_)) if !has_user => Ok(uri),
        (None, None) if text.starts_with('/') && !text.starts_with("//") => {
            let mut parts = from.clone().into_parts();
            parts.path_and_query = uri.into_parts().path_and_query;
            Uri::from_parts(parts).map_err(|why| format!("to {}: {why}", quoted(text)))
        }
        _ => Err(no_address()),
    }
}

/// Scheme, host and port of a URI. `None` if it is neither http nor https.
fn origin(uri: &Uri) -> Option<(&Scheme, &str, u16)> {
    origin_of(uri.scheme()?, uri.authority()?)
}

fn origin_of<'o>(scheme: &'o Scheme, authority: &'o Authority) -> Option<(&'o Scheme, &'o str, u16)> {
    let default = match scheme.as_str() {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    Some((scheme, authority.host(), authority.port_u16().unwrap_or(default)))
}
