//! A store in Redis: values with their time to live, accounts and logs by short scripts, so that each step is atomic.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fred::bytes::Bytes;
use fred::clients::Client;
use fred::clients::WithOptions;
use fred::error::Error;
use fred::interfaces::ClientLike;
use fred::interfaces::EventInterface;
use fred::interfaces::KeysInterface;
use fred::interfaces::LuaInterface;
use fred::interfaces::StreamsInterface;
use fred::types::Builder;
use fred::types::Expiration;
use fred::types::SetOptions;
use fred::types::Value;
use fred::types::config::Options;
use fred::types::config::ReconnectPolicy;
use fred::types::config::ServerConfig;
use fred::types::config::TlsConfig;
use fred::types::streams::XReadResponse;
use portcullis::shared::LogEntry;
use portcullis::shared::LogPosition;
use portcullis::shared::SharedStore;
use portcullis::shared::StoreError;
use portcullis::shared::StoreFuture;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::failure::failure;
use crate::failure::words;
use crate::location::Location;

/// How a server is reached.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "applications make it")]
pub struct Access {
    /// Where it is.
    pub location: Location,
    /// The password. `None` if it needs none.
    pub password: Option<Secret>,
    /// The password for the Sentinels. `None` if they need none.
    pub sentinel_password: Option<Secret>,
    /// How the server is recognized, for TLS.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// What all names begin with.
    pub prefix: String,
}

/// A password.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// A password. Treat the text as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A Redis or Valkey server that several processes share. Its connections end when it is dropped.
pub struct RedisStore {
    /// Asks and gets an answer soon.
    commands: Client,
    /// Waits for entries of logs.
    logs: Client,
    prefix: String,
    tasks: Vec<AbortHandle>,
}

impl RedisStore {
    /// Begins to connect. What is asked before there is a connection fails at once.
    ///
    /// # Errors
    ///
    /// Returns an error if the client can't be made of this.
    pub fn connect(access: Access) -> Result<Self, StoreError> {
        let Access {
            location,
            password,
            sentinel_password,
            tls,
            prefix,
        } = access;
        let mut config = location.config;
        config.fail_fast = false;
        config.password = password.map(|Secret(text)| text);
        config.tls = tls.map(|tls| TlsConfig::from((*tls).clone()));
        if let ServerConfig::Sentinel { password, .. } = &mut config.server {
            *password = sentinel_password.map(|Secret(text)| text);
        }
        let client = |command: Duration| {
            let mut builder = Builder::from_config(config.clone());
            builder
                .with_connection_config(|connection| {
                    connection.connection_timeout = CONNECT;
                    connection.internal_command_timeout = CONNECT;
                    connection.max_command_attempts = 1;
                    connection.max_command_buffer_len = MAX_WAITING;
                    connection.reconnect_on_auth_error = true;
                    connection.unresponsive.max_timeout = Some(command + CONNECT);
                    connection.unresponsive.interval = Duration::from_millis(500);
                })
                .with_performance_config(|performance| performance.default_command_timeout = command + CONNECT)
                .set_policy(ReconnectPolicy::new_constant(0, RECONNECT));
            builder.build()
        };
        let commands = client(Duration::ZERO).map_err(failure)?;
        let logs = client(MAX_WAIT).map_err(failure)?;
        let tasks = [&commands, &logs].map(|client| client.connect().abort_handle());
        let mut tasks = Vec::from(tasks);
        tasks.push(tokio::spawn(tell(commands.clone())).abort_handle());
        Ok(Self {
            commands,
            logs,
            prefix,
            tasks,
        })
    }

    /// Waits until there are connections, but no longer than this. Returns whether there are.
    pub async fn connected(&self, within: Duration) -> bool {
        let both = async {
            self.commands.wait_for_connect().await?;
            self.logs.wait_for_connect().await
        };
        matches!(timeout(within, both).await, Ok(Ok(())))
    }

    fn name(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    /// Asks by one of the clients, if that is connected. The client itself would take a command without a connection as a reason to
    /// wait before it connects.
    fn ask<'a, T, A>(
        &'a self,
        client: &'a Client,
        ask: impl FnOnce(WithOptions<Client>) -> A + Send + 'a,
    ) -> StoreFuture<'a, T>
    where
        A: Future<Output = Result<T, Error>> + Send + 'a,
    {
        Box::pin(async move {
            if !client.is_connected() {
                return Err(StoreError::Lost("there is no connection".to_owned()));
            }
            let options = Options {
                fail_fast: true,
                ..Options::default()
            };
            ask(client.with_options(&options)).await.map_err(failure)
        })
    }
}

/// Says in the log why there is no connection, each reason once, and when there is one again.
async fn tell(client: Client) {
    let mut errors = client.error_rx();
    let mut connections = client.reconnect_rx();
    let mut told = None;
    loop {
        tokio::select! {
            failed = errors.recv() => match failed {
                Ok((error, _)) => {
                    let why = words(&error);
                    if told.as_ref() != Some(&why) {
                        tracing::warn!(why, "no connection to the server of the shared state");
                        told = Some(why);
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            connected = connections.recv() => match connected {
                Ok(_) if told.take().is_some() => tracing::info!("connected to the server of the shared state"),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
        }
    }
}

impl SharedStore for RedisStore {
    fn get(&self, name: String) -> StoreFuture<'_, Option<Vec<u8>>> {
        let name = self.name(&name);
        self.ask(&self.commands, |redis| async move { redis.get(name).await })
    }

    fn set(&self, name: String, value: Vec<u8>, life: Duration) -> StoreFuture<'_, ()> {
        let (name, value) = (self.name(&name), Bytes::from(value));
        self.ask(&self.commands, move |redis| async move {
            redis.set(name, value, Some(expiry(life)), None, false).await
        })
    }

    fn add(&self, name: String, value: Vec<u8>, life: Duration) -> StoreFuture<'_, bool> {
        let (name, value) = (self.name(&name), Bytes::from(value));
        self.ask(&self.commands, move |redis| async move {
            let only_new = Some(SetOptions::NX);
            let set: Option<String> = redis.set(name, value, Some(expiry(life)), only_new, false).await?;
            Ok(set.is_some())
        })
    }

    fn delete(&self, name: String) -> StoreFuture<'_, ()> {
        let name = self.name(&name);
        self.ask(&self.commands, |redis| async move { redis.del(name).await })
    }

    fn charge(&self, name: String, time: Duration) -> StoreFuture<'_, Duration> {
        let name = self.name(&name);
        self.ask(&self.commands, move |redis| async move {
            let ahead: u64 = redis.eval(CHARGE, name, micros(time)).await?;
            Ok(Duration::from_micros(ahead))
        })
    }

    fn append(&self, log: String, entry: Vec<u8>, keep: Duration, most: usize) -> StoreFuture<'_, ()> {
        let log = self.name(&log);
        self.ask(&self.commands, move |redis| async move {
            let arguments: Vec<Value> = vec![
                Bytes::from(entry).into(),
                i64::try_from(keep.as_millis()).unwrap_or(i64::MAX).into(),
                i64::try_from(most).unwrap_or(i64::MAX).into(),
            ];
            redis.eval(APPEND, log, arguments).await
        })
    }

    fn read(&self, log: String, after: Option<LogPosition>, wait: Duration) -> StoreFuture<'_, Vec<LogEntry>> {
        let log = self.name(&log);
        let after = after.map_or_else(|| "0".to_owned(), |position| position.0.into_string());
        let wait = u64::try_from(wait.min(MAX_WAIT).as_millis()).unwrap_or(0);
        // Zero would wait for ever.
        let wait = (wait > 0).then_some(wait);
        self.ask(&self.logs, move |redis| async move {
            let read: Value = redis.xread(Some(AT_ONCE), wait, log, after).await?;
            if read.is_null() {
                return Ok(Vec::new());
            }
            let read: XReadResponse<String, String, String, Bytes> = read.into_xread_response()?;
            let entries = read.into_values().flatten();
            let entries = entries.map(|(position, fields)| LogEntry {
                position: LogPosition(position.into()),
                bytes: fields.get(FIELD).map(|bytes| bytes.to_vec()).unwrap_or_default(),
            });
            Ok(entries.collect())
        })
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        // A server that is loading, or the replica of a failed one, answers PING as ever.
        let name = self.name("ping");
        self.ask(&self.commands, |redis| async move {
            redis.get::<Option<String>, _>(name).await.map(drop)
        })
    }
}

fn expiry(life: Duration) -> Expiration {
    Expiration::PX(i64::try_from(life.as_millis()).unwrap_or(i64::MAX).max(1))
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// How long a connection may take, and its first commands.
const CONNECT: Duration = Duration::from_secs(2);

/// After how long a connection is tried again, in milliseconds.
const RECONNECT: u32 = 500;

/// How many commands may wait to be sent.
const MAX_WAITING: usize = 10_000;

/// The longest wait for entries of a log.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// How many entries of a log are read at once.
const AT_ONCE: u64 = 1000;

/// The field of an entry in a stream.
const FIELD: &str = "e";

/// Puts ARGV[1] microseconds on the account KEYS[1], by the server's clock, and returns how many are on it.
const CHARGE: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local ahead = tonumber(redis.call('GET', KEYS[1]) or now)
if ahead < now then ahead = now end
ahead = ahead + tonumber(ARGV[1])
redis.call('SET', KEYS[1], string.format('%.0f', ahead), 'PX', math.ceil((ahead - now) / 1000) + 1)
return ahead - now
";

/// Appends ARGV[1] to the stream KEYS[1], which keeps entries for ARGV[2] milliseconds, and the last ARGV[3] of them.
const APPEND: &str = "
local time = redis.call('TIME')
local oldest = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[2])
redis.call('XADD', KEYS[1], 'MINID', '~', string.format('%.0f', math.max(oldest, 0)), '*', 'e', ARGV[1])
redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
";
