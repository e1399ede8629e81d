use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use super::*;
use crate::testing::Recorder;
use crate::testing::assert_writes_pass;

const LIMITS: HeadLimits = HeadLimits { size: 1000, fields: 10 };
const GET: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const AMBIGUOUS: &str = "HEAD /b HTTP/1.1\nHost: x\r\n\r\n";
const PREFACE_TEXT: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn pieces(bytes: &[u8], size: usize) -> Vec<Vec<u8>> {
    bytes.chunks(size).map(<[u8]>::to_vec).collect()
}

/// The stream after it has read all of its input.
async fn after(input: Vec<Vec<u8>>) -> (ObservedStream<Recorder>, Arc<ConnectionState>, io::Result<Vec<u8>>) {
    let recorder = Recorder {
        input,
        ..Recorder::default()
    };
    let (mut stream, state) = ObservedStream::new(recorder, LIMITS);
    let mut read = Vec::new();
    let result = stream.read_to_end(&mut read).await;
    (stream, state, result.map(|_| read))
}

#[tokio::test]
async fn the_state_says_what_the_client_is_sending() {
    let frames = format!("{PREFACE_TEXT}\0\0\x08");
    let two = format!("{GET}{AMBIGUOUS}");
    let rejected = |is_head, target: &str| {
        let target = target.to_owned();
        Some(RejectedHead { is_head, target })
    };
    for (bytes, reading, may_reject, head) in [
        ("", Reading::Nothing, false, None),
        ("GET / HT", Reading::Head, true, rejected(false, "/")),
        (GET, Reading::Nothing, false, None),
        (
            "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab",
            Reading::Body,
            false,
            None,
        ),
        (
            "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab",
            Reading::Nothing,
            false,
            None,
        ),
        ("HEAD /c HTTP/9\r\n\r\n", Reading::Lost, true, rejected(true, "/c")),
        (
            "PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab",
            Reading::Body,
            false,
            None,
        ),
        ("PRI * HT", Reading::Head, true, None),
        ("PRI * HTTP/1.1\r\n\r\n", Reading::Nothing, false, None),
        (PREFACE_TEXT, Reading::Frames, false, None),
        (&frames, Reading::Frames, false, None),
        (AMBIGUOUS, Reading::Nothing, true, rejected(true, "/b")),
        (&two, Reading::Nothing, true, rejected(true, "/b")),
    ] {
        for size in [1, 3, 7, 100] {
            let (stream, state, read) = after(pieces(bytes.as_bytes(), size)).await;
            let case = format!("{bytes:?} in pieces of {size}");
            assert_eq!(read.unwrap(), bytes.as_bytes(), "{case}");
            assert_eq!(state.reading(), reading, "{case}");
            assert_eq!(state.may_reject(), may_reject, "{case}");
            assert_eq!(stream.rejected(), head, "{case}");
            assert!(!state.is_flooded(), "{case}");
            state.upgrade();
            assert_eq!(state.reading(), Reading::Nothing, "{case}");
        }
    }
}

#[tokio::test]
async fn the_first_bytes_tell_the_version_and_are_read_again() {
    let frames = format!("{PREFACE_TEXT}\0\0\x08");
    let two = format!("{GET}{AMBIGUOUS}");
    for (bytes, version) in [
        ("", HttpVersion::Http1),
        ("P", HttpVersion::Http1),
        ("GET / HT", HttpVersion::Http1),
        (GET, HttpVersion::Http1),
        (&two, HttpVersion::Http1),
        ("PRI * HTTP/1.1\r\n\r\n", HttpVersion::Http1),
        (PREFACE_TEXT, HttpVersion::Http2),
        (&frames, HttpVersion::Http2),
    ] {
        for (size, room) in [(1, 100), (3, 5), (7, 24), (100, 1), (100, 23), (100, 100)] {
            let (_, expected, _) = after(pieces(bytes.as_bytes(), size)).await;
            let recorder = Recorder {
                input: pieces(bytes.as_bytes(), size),
                ..Recorder::default()
            };
            let (mut stream, state) = ObservedStream::new(recorder, LIMITS);
            let case = format!("{bytes:?} in pieces of {size}, read by {room}");
            assert_eq!(stream.version().await.unwrap(), version, "{case}");
            let (mut read, mut buffer) = (Vec::new(), vec![0; room]);
            loop {
                let count = stream.read(&mut buffer).await.unwrap();
                if count == 0 {
                    break;
                }
                read.extend_from_slice(&buffer[..count]);
            }
            assert_eq!(read, bytes.as_bytes(), "{case}");
            assert_eq!(state.reading(), expected.reading(), "{case}");
            assert_eq!(state.next_request(), expected.next_request(), "{case}");
        }
    }
}

#[tokio::test]
async fn the_first_bytes_are_read_together_with_what_follows_them() {
    // Otherwise hyper would grow its buffer.
    let recorder = Recorder {
        input: pieces(GET.as_bytes(), 100),
        ..Recorder::default()
    };
    let (mut stream, _) = ObservedStream::new(recorder, LIMITS);
    stream.version().await.unwrap();
    assert_eq!(stream.read(&mut [0; 100]).await.unwrap(), GET.len());
}

#[tokio::test]
async fn the_first_ambiguous_request_and_all_after_it_are_told() {
    let ambiguous = AmbiguousFraming("a line of the request's head ends in LF without CR");
    for (bytes, told) in [
        (format!("{GET}{GET}{GET}"), [None, None, None]),
        (AMBIGUOUS.to_owned(), [Some(ambiguous); 3]),
        (
            format!("{GET}{AMBIGUOUS}{GET}"),
            [None, Some(ambiguous), Some(ambiguous)],
        ),
    ] {
        for size in [1, 1000] {
            let (_, state, _) = after(pieces(bytes.as_bytes(), size)).await;
            assert_eq!([(); 3].map(|()| state.next_request()), told, "{bytes:?}");
        }
    }
}

#[tokio::test]
async fn too_many_control_frames_end_the_connection_and_are_told() {
    let pings = PING.repeat(1000);
    let flood = |count| {
        [PREFACE_TEXT.as_bytes().to_vec()]
            .into_iter()
            .chain(vec![pings.clone(); count])
    };
    let (_, state, read) = after(flood(9).collect()).await;
    assert!(read.is_ok() && !state.is_flooded());
    // On a slow machine, some more are allowed meanwhile.
    let (_, state, read) = after(flood(20).collect()).await;
    assert_eq!(read.unwrap_err().to_string(), "too many control frames");
    assert!(state.is_flooded());
}

#[tokio::test]
async fn what_is_written_pays_for_control_frames() {
    let (mut stream, state, _) = after(vec![PREFACE_TEXT.as_bytes().to_vec()]).await;
    let mut buffer = [0; 17_000];
    for _ in 0..30 {
        stream.stream.input.push(PING.repeat(1000));
        assert_eq!(stream.read(&mut buffer).await.unwrap(), buffer.len());
        stream.write_all(&buffer).await.unwrap();
        let parts = [
            io::IoSlice::new(&buffer),
            io::IoSlice::new(&buffer),
            io::IoSlice::new(&buffer),
        ];
        assert_eq!(stream.write_vectored(&parts).await.unwrap(), 3 * buffer.len());
    }
    assert!(!state.is_flooded());
}

#[tokio::test]
async fn an_upgraded_connection_is_not_inspected() {
    for bytes in [
        AMBIGUOUS.as_bytes().to_vec(),
        [PREFACE_TEXT.as_bytes(), &PING.repeat(20_000)].concat(),
    ] {
        let (mut stream, state) = ObservedStream::new(Recorder::default(), LIMITS);
        stream.stream.input.push(GET.as_bytes().to_vec());
        assert_eq!(stream.read(&mut [0; 100]).await.unwrap(), GET.len());
        state.upgrade();
        stream.stream.input = pieces(&bytes, 1000);
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, bytes);
        assert_eq!((state.next_request(), state.next_request()), (None, None));
        assert!(!state.may_reject() && !state.is_flooded());
    }
}

#[tokio::test]
async fn writes_pass_through() {
    assert_writes_pass(
        |recorder| ObservedStream::new(recorder, LIMITS).0,
        |stream| &stream.stream,
    )
    .await;
}
