//! A server that answers each path as a test says, also in ways that no HTTP library would.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use crate::Digest;

/// A running server.
pub(super) struct Server {
    pub(super) address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers by path; all other paths with 404.
    pub(super) async fn start(answers: impl IntoIterator<Item = (String, Answer)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answers = Arc::new(HashMap::<String, Answer>::from_iter(answers));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&heads);
        let own = address.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&answers), Arc::clone(&noted), own.clone()));
            }
        });
        Self { address, heads }
    }

    /// The heads of all requests so far.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    answers: Arc<HashMap<String, Answer>>,
    heads: Arc<Mutex<Vec<String>>>,
    address: String,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    heads.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
    let path = head.split(' ').nth(1).unwrap_or_default();
    let answer = answers.get(path).cloned().unwrap_or_else(|| Answer::status(404, ""));
    let needs_credentials = answer.only_with.is_some_and(|value| !head.contains(value));
    if needs_credentials {
        let challenge = answer.challenge.replace("SELF", &address);
        let refusal = format!(
            "HTTP/1.1 401 No\r\nWWW-Authenticate: {challenge}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        return stream.write_all(refusal.as_bytes()).await;
    }
    stream
        .write_all(answer.head.replace("SELF", &address).as_bytes())
        .await?;
    stream.write_all(&answer.body).await?;
    if answer.is_endless {
        loop {
            stream.write_all(&[b' '; 65536]).await?;
        }
    }
    if answer.hangs {
        std::future::pending::<()>().await;
    }
    Ok(())
}

/// What is sent.
#[derive(Clone, Default)]
pub(super) struct Answer {
    head: String,
    body: Vec<u8>,
    is_endless: bool,
    hangs: bool,
    /// A part of the head without which there is a challenge.
    only_with: Option<&'static str>,
    challenge: String,
}

impl Answer {
    pub(super) fn ok(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        Self {
            head,
            body,
            ..Self::default()
        }
    }

    pub(super) fn status(status: u16, header: &str) -> Self {
        Self {
            head: format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n{header}\r\n"),
            ..Self::default()
        }
    }

    /// A body whose length isn't what the head says.
    pub(super) fn lying(length: u64, body: &[u8]) -> Self {
        Self {
            head: format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"),
            body: body.to_vec(),
            ..Self::default()
        }
    }

    pub(super) fn endless() -> Self {
        Self {
            head: "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_owned(),
            is_endless: true,
            ..Self::default()
        }
    }

    pub(super) fn hanging(mut self) -> Self {
        self.hangs = true;
        self
    }

    pub(super) fn raw(text: &str) -> Self {
        Self {
            head: text.to_owned(),
            ..Self::default()
        }
    }

    pub(super) fn only_with(mut self, header: &'static str, challenge: &str) -> Self {
        self.only_with = Some(header);
        self.challenge = challenge.to_owned();
        self
    }
}

/// A manifest of this component.
pub(super) fn manifest(wasm: &[u8]) -> String {
    let config = json!({
        "mediaType": "application/vnd.wasm.config.v0+json", "digest": Digest::of(b"{}").to_string(), "size": 2,
    });
    let layer = json!({"mediaType": "application/wasm", "digest": Digest::of(wasm).to_string(), "size": wasm.len()});
    json!({"schemaVersion": 2, "config": config, "layers": [layer]}).to_string()
}

pub(super) const TAG: &str = "/v2/team/badge/manifests/1.0";

/// The path of a manifest.
pub(super) fn manifest_path(manifest: &str) -> String {
    format!("/v2/team/badge/manifests/{}", Digest::of(manifest.as_bytes()))
}

/// The path of a component.
pub(super) fn blob_path(wasm: &[u8]) -> String {
    format!("/v2/team/badge/blobs/{}", Digest::of(wasm))
}

/// What an honest registry with this component answers.
pub(super) fn honest(wasm: &[u8]) -> HashMap<String, Answer> {
    let manifest = manifest(wasm);
    HashMap::from([
        (TAG.to_owned(), Answer::ok(manifest.as_str())),
        (manifest_path(&manifest), Answer::ok(manifest.as_str())),
        (blob_path(wasm), Answer::ok(wasm)),
    ])
}
