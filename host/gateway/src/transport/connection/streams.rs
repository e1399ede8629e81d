//! The tasks of HTTP/2 streams. Each has a send timeout, because flow control lets a client stall one response for ever
//! while the connection itself stays active, and hands its response over in one piece.

use std::cell::Cell;
use std::cell::RefCell;
use std::future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::rt::Executor;
use portcullis_wire::peer::Peer;
use tokio::time::Instant;

use super::activity::ActiveRequest;
use super::activity::Activity;
use super::fault;

tokio::task_local! {
    /// Since when a frame of the response has been waiting for the client, and which client that is. `None` while the
    /// response itself is being waited for.
    static WAITING_SINCE: Cell<Option<(Instant, Peer)>>;

    /// Holds back the writes of the connection until the task has been polled. `None` if no response is handed over.
    static HANDED_OVER: RefCell<Option<Held>>;
}

/// Records that the response to a request goes to hyper now. What hyper takes of it before it waits for anything is
/// written in one piece. This does nothing for HTTP/1.1, where hyper does so by itself.
pub(super) fn hand_over(request: &ActiveRequest) {
    // Outside of an HTTP/2 stream the task-local isn't set.
    let _ = HANDED_OVER.try_with(|held| held.replace(Some(Held::new(request.connection()))));
}

/// Holds back the writes of a connection until it is dropped.
struct Held(Arc<Activity>);

impl Held {
    fn new(connection: Arc<Activity>) -> Self {
        connection.cork().hold();
        Self(connection)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.cork().release();
    }
}

/// Records that a frame of a response was handed over for sending to `client`. `None` if the next frame is being
/// produced. This does nothing for HTTP/1.1, where the connection's own activity shows it.
pub(super) fn mark_waiting(client: Option<Peer>) {
    // Outside of an HTTP/2 stream the task-local isn't set.
    let _ = WAITING_SINCE.try_with(|since| since.set(client.map(|client| (Instant::now(), client))));
}

/// Runs each HTTP/2 stream as a task, and ends the stream if its client reads nothing for `send_timeout`.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamExecutor {
    pub(super) send_timeout: Duration,
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let limit = self.send_timeout;
        let stream = async move {
            if let Err(client) = with_send_timeout(stream, limit).await {
                fault::report("send_timeout", client);
            }
        };
        tokio::spawn(WAITING_SINCE.scope(Cell::new(None), HANDED_OVER.scope(RefCell::default(), stream)));
    }
}

/// Drives a stream to completion, or fails with the client that read nothing for `limit`. Dropping the stream resets
/// it.
async fn with_send_timeout<F: Future>(stream: F, limit: Duration) -> Result<F::Output, Peer> {
    let mut stream = pin!(stream);
    let mut sleep = None;
    future::poll_fn(|context| {
        let polled = stream.as_mut().poll(context);
        drop(HANDED_OVER.with(RefCell::take));
        if let Poll::Ready(output) = polled {
            return Poll::Ready(Ok(output));
        }
        let Some((since, client)) = WAITING_SINCE.with(Cell::get) else {
            return Poll::Pending;
        };
        let sleep = sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(since + limit)));
        if sleep.deadline() != since + limit {
            sleep.as_mut().reset(since + limit);
        }
        sleep.as_mut().poll(context).map(|()| Err(client))
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io;
    use std::pin::Pin;
    use std::sync::Mutex;
    use std::sync::mpsc;
    use std::task::Context;

    use bytes::Bytes;
    use http::Request;
    use http::Response;
    use http::StatusCode;
    use http::uri::Scheme;
    use http_body::Body;
    use http_body::Frame;
    use http_body_util::BodyExt;
    use http_body_util::Empty;
    use hyper::client::conn::http2;
    use hyper_util::rt::TokioExecutor;
    use hyper_util::rt::TokioIo;
    use tokio::io::AsyncRead;
    use tokio::io::AsyncWrite;
    use tokio::io::ReadBuf;
    use tokio::sync::Semaphore;
    use tokio::sync::oneshot;

    use super::super::Connection;
    use super::super::Protocol;
    use super::super::ReceivedBody;
    use super::super::Service;
    use super::super::Slot;
    use super::*;
    use crate::config::ServerConfig;
    use crate::transport::shutdown::Shutdown;

    /// What is given to whoever asks first.
    type Once<T> = Arc<Mutex<Option<T>>>;

    /// A connection whose task is kept in the middle of reading. It tells that it is there, and goes on when it is told.
    struct PausedReading<S>(S, Once<(mpsc::Sender<()>, mpsc::Receiver<()>)>);

    impl<S: AsyncRead + Unpin> AsyncRead for PausedReading<S> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if let Some((is_reading, may_go_on)) = self.1.lock().unwrap().take() {
                is_reading.send(()).unwrap();
                may_go_on.recv_timeout(PATIENCE).unwrap();
            }
            Pin::new(&mut self.0).poll_read(context, buffer)
        }
    }

    impl<S: AsyncWrite + Unpin> AsyncWrite for PausedReading<S> {
        fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(context, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(context)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(context)
        }
    }

    /// A body that is ready, and lets the connection go on before it is taken. It says whether the client got the head
    /// of the response meanwhile. `None` is an empty body.
    struct Observing(Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>);

    impl Body for Observing {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.take().map(|(go_on, head_arrived)| {
                go_on.send(()).unwrap();
                let is_alone = head_arrived.recv_timeout(Duration::from_millis(500)).is_ok();
                let data = if is_alone { "after its head" } else { "with its head" };
                Ok(Frame::data(Bytes::from(data)))
            }))
        }

        fn is_end_stream(&self) -> bool {
            self.0.is_none()
        }
    }

    /// Answers the first request with this body, once it may. Other requests get an empty body.
    #[derive(Clone)]
    struct Answers(Once<(oneshot::Sender<()>, oneshot::Receiver<()>, Observing)>);

    impl Service for Answers {
        type Body = Observing;

        async fn answer(&self, _: &Connection, _: Request<ReceivedBody>) -> Response<Observing> {
            let first = self.0.lock().unwrap().take();
            let Some((has_begun, may_answer, body)) = first else {
                return Self::failure();
            };
            has_begun.send(()).unwrap();
            may_answer.await.unwrap();
            Response::new(body)
        }

        fn reject_head(&self, _: StatusCode, _: &str) -> Response<Observing> {
            Self::failure()
        }

        fn failure() -> Response<Observing> {
            Response::new(Observing(None))
        }
    }

    /// A client that gets the head alone may act on it. For curl up to 8.1 the data is lost then.
    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn what_is_ready_of_a_response_leaves_with_its_head() {
        let ((reading, is_reading), (go_on, may_go_on)) = (mpsc::channel(), mpsc::channel());
        let ((begins, has_begun), (answer, may_answer)) = (oneshot::channel(), oneshot::channel());
        let (head, head_arrived) = mpsc::channel();
        let (_stop, stop) = Shutdown::manual();
        let (client, server) = tokio::io::duplex(65536);
        let pause = Once::default();
        let server = PausedReading(server, Arc::clone(&pause));
        let connection = Connection {
            peer: Peer::Unix,
            scheme: Scheme::HTTP,
            certificate: None,
            channel_binding: None,
            handshake: None,
            slot: Slot::uncounted(Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap()),
        };
        let body = Observing(Some((go_on, head_arrived)));
        let service = Answers(Arc::new(Mutex::new(Some((begins, may_answer, body)))));
        tokio::spawn(Protocol::new(&ServerConfig::default(), stop).serve(server, Arc::new(connection), service));
        let (mut requests, driver) = http2::handshake(TokioExecutor::new(), TokioIo::new(client))
            .await
            .unwrap();
        tokio::spawn(driver);
        let request = || Request::get("http://a.test/").body(Empty::<Bytes>::new()).unwrap();

        let first = tokio::spawn(requests.send_request(request()));
        has_begun.await.unwrap();
        // The task of the connection wakes for a second request, and is kept while the first one is answered.
        *pause.lock().unwrap() = Some((reading, may_go_on));
        let second = tokio::spawn(requests.send_request(request()));
        tokio::task::spawn_blocking(move || is_reading.recv_timeout(PATIENCE).unwrap())
            .await
            .unwrap();
        answer.send(()).unwrap();

        let response = first.await.unwrap().unwrap();
        let _ = head.send(());
        assert_eq!(
            response.into_body().collect().await.unwrap().to_bytes(),
            "with its head"
        );
        assert_eq!(second.await.unwrap().unwrap().status(), StatusCode::OK);
    }

    const PATIENCE: Duration = Duration::from_secs(30);
}
