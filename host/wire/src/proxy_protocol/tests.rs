//! Valid headers as proxies send them, and invalid ones.

use std::time::Duration;

use tokio::time::sleep;

use super::*;

const V4: &[u8] = &[1, 2, 3, 4, 10, 0, 0, 1, 0x12, 0x34, 0, 80];

/// A header of version 2 from its version and command, its family and protocol, and what follows the length.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [v2::PROTOCOL_PREFIX, &[command, family], &length, rest].concat()
}

/// The result of reading the beginning of a connection in reads of `step` bytes, and the bytes that are left.
async fn read(sent: &[u8], step: usize) -> (Result<Peer, Refused>, Vec<u8>) {
    let (mut proxy, mut gateway) = tokio::io::duplex(step);
    let sent = sent.to_vec();
    let sending = tokio::spawn(async move { tokio::io::AsyncWriteExt::write_all(&mut proxy, &sent).await });
    let me = "10.0.0.1".parse().unwrap();
    let proxies = TrustedProxies::new([ipnet::IpNet::from(me)], false);
    let result = client(&mut gateway, Peer::Ip(me), &proxies, sleep(Duration::from_secs(5))).await;
    let mut rest = Vec::new();
    if result.is_ok() {
        gateway.read_to_end(&mut rest).await.unwrap();
    }
    drop(gateway);
    let _ = sending.await.unwrap();
    (result, rest)
}

#[tokio::test]
async fn the_header_names_the_client() {
    let mut v6 = [0; 36];
    v6[..2].copy_from_slice(&[0x20, 0x01]);
    v6[15] = 9;
    let mut mapped = [0; 36];
    mapped[10..16].copy_from_slice(&[0xff, 0xff, 1, 2, 3, 4]);
    let tlvs = [V4, &[0x01, 0, 2, b'h', b'2', 0xe0, 0, 1, 7]].concat();
    let nonsense = [V4, &[0x01, 0xff, 0xff]].concat();
    for (header, client) in [
        (b"PROXY TCP4 1.2.3.4 10.0.0.1 4711 80\r\n".to_vec(), "1.2.3.4"),
        (b"PROXY TCP6 2001::9 ::1 4711 80\r\n".to_vec(), "2001::9"),
        (b"PROXY TCP6 ::ffff:1.2.3.4 ::1 4711 80\r\n".to_vec(), "1.2.3.4"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "unknown"),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), "unknown"),
        // The longest header of version 1 has 107 bytes.
        (format!("PROXY UNKNOWN {}\r\n", "x".repeat(91)).into_bytes(), "unknown"),
        (v2(0x21, 0x11, V4), "1.2.3.4"),
        (v2(0x21, 0x21, &v6), "2001::9"),
        (v2(0x21, 0x21, &mapped), "1.2.3.4"),
        (v2(0x21, 0x11, &tlvs), "1.2.3.4"),
        // Extensions are skipped, even invalid ones.
        (v2(0x21, 0x11, &nonsense), "1.2.3.4"),
        (v2(0x21, 0x11, &[V4, &[0; 4068]].concat()), "1.2.3.4"),
        (v2(0x21, 0x31, &[0; 216]), "unknown"),
        (v2(0x21, 0x00, &[]), "unknown"),
        (v2(0x21, 0x00, V4), "unknown"),
        // Connections that the proxy makes for itself.
        (v2(0x20, 0x00, &[]), "10.0.0.1"),
        (v2(0x20, 0x11, V4), "10.0.0.1"),
    ] {
        for (step, next) in [(1, &b"GET"[..]), (7, b""), (65536, b"\x16\x03\x01 and more")] {
            let (result, rest) = read(&[&header, next].concat(), step).await;
            assert_eq!(result.unwrap().to_string(), client, "{}", header.escape_ascii());
            assert_eq!(rest, next, "{}", header.escape_ascii());
        }
    }
}

#[tokio::test]
async fn a_connection_without_a_valid_header_is_refused() {
    let long = |length: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(length - 16)).into_bytes();
    let whole = v2(0x21, 0x11, V4);
    let mut cases = vec![
        b"".to_vec(),
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"proxy TCP4 1.2.3.4 10.0.0.1 4711 80\r\n".to_vec(),
        b"PROXY\tTCP4 1.2.3.4 10.0.0.1 4711 80\r\n".to_vec(),
        b"PROXY tcp4 1.2.3.4 10.0.0.1 4711 80\r\n".to_vec(),
        b"PROXY TCP5 1.2.3.4 10.0.0.1 4711 80\r\n".to_vec(),
        b"PROXY TCP4 1.2.3.4 10.0.0.1 4711 80\n".to_vec(),
        b"PROXY TCP4 1.2.3.4 10.0.0.1 4711 80 \n".to_vec(),
        b"PROXY TCP4 1.2.3.4 10.0.0.1 4711 80\r \n".to_vec(),
        b"PROXY UNKNOWN \n".to_vec(),
        b"PROXY TCP4 1.2.3.4 10.0.0.1 4711\r\n".to_vec(),
        b"PROXY TCP4 1.2.3.4 10.0.0.1 4711 80 \r\n".to_vec(),
        b"PROXY TCP4  1.2.3.4 10.0.0.1 4711 80\r\n".to_vec(),
        b"PROXY TCP4 1.2.3.4 10.0.0.1 65536 80\r\n".to_vec(),
        b"PROXY TCP4 1.2.3.4 10.0.0.1 04711 80\r\n".to_vec(),
        b"PROXY TCP4 01.2.3.4 10.0.0.1 4711 80\r\n".to_vec(),
        b"PROXY TCP4 2001::9 ::1 4711 80\r\n".to_vec(),
        b"PROXY TCP6 1.2.3.4 10.0.0.1 4711 80\r\n".to_vec(),
        b"PROXY TCP4 \xff.2.3.4 10.0.0.1 4711 80\r\n".to_vec(),
        long(108),
        long(200),
        [b"PROXY ".as_slice(), &[b'x'; 5000]].concat(),
        v2(0x11, 0x11, V4),
        v2(0x22, 0x11, V4),
        v2(0x21, 0x41, V4),
        v2(0x21, 0x13, V4),
        v2(0x21, 0x12, V4),
        v2(0x21, 0x11, &V4[..11]),
        v2(0x21, 0x21, V4),
        v2(0x21, 0x31, &[0; 215]),
        v2(0x21, 0x11, &[V4, &[0; 4069]].concat()),
        v2(0x21, 0x11, &[0; 65535]),
        v2(0x20, 0x00, &[0; 65535]),
    ];
    // Headers that end too early, at every byte.
    cases.extend((0..whole.len()).map(|end| whole[..end].to_vec()));
    let line = b"PROXY TCP4 1.2.3.4 10.0.0.1 4711 80\r\n";
    cases.extend((0..line.len()).map(|end| line[..end].to_vec()));
    for sent in cases {
        for step in [1, 65536] {
            let (result, _) = read(&sent, step).await;
            let Err(refused) = result else {
                panic!("{} {result:?}", sent.escape_ascii())
            };
            assert_eq!(refused.label(), "malformed", "{} {refused}", sent.escape_ascii());
        }
    }
}

#[tokio::test]
async fn only_configured_proxies_may_connect() {
    let mut sent = &b"PROXY TCP4 1.2.3.4 10.0.0.1 4711 80\r\n"[..];
    let proxies = TrustedProxies::new(["10.0.0.0/8".parse().unwrap()], false);
    for peer in [Peer::Ip("11.0.0.1".parse().unwrap()), Peer::Unix, Peer::Unknown] {
        let result = client(&mut sent, peer, &proxies, sleep(Duration::from_secs(5))).await;
        assert_eq!(result.unwrap_err().label(), "peer");
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_that_never_ends_times_out() {
    let (mut proxy, mut gateway) = tokio::io::duplex(64);
    let trickle = tokio::spawn(async move {
        for byte in b"PROXY UNKNOWN ffff:f..f:ffff ffff:f..f:ffff 65535 65535"
            .iter()
            .cycle()
        {
            sleep(Duration::from_secs(1)).await;
            if tokio::io::AsyncWriteExt::write_all(&mut proxy, &[*byte]).await.is_err() {
                break;
            }
        }
    });
    let me = "10.0.0.1".parse().unwrap();
    let proxies = TrustedProxies::new([ipnet::IpNet::from(me)], false);
    let result = client(&mut gateway, Peer::Ip(me), &proxies, sleep(Duration::from_secs(10))).await;
    assert_eq!(result.unwrap_err().label(), "late");
    drop(gateway);
    trickle.await.unwrap();
}

#[tokio::test]
async fn what_is_written_for_a_client_names_it() {
    for (client, server, expected) in [
        ("192.0.2.7", "10.0.0.1:443", "192.0.2.7"),
        ("192.0.2.7", "[2001:db8::1]:443", "192.0.2.7"),
        ("2001:db8::7", "10.0.0.1:443", "2001:db8::7"),
        ("2001:db8::7", "[::1]:443", "2001:db8::7"),
    ] {
        let client = Peer::Ip(client.parse().unwrap());
        let header = of_client(client, server.parse().unwrap()).unwrap();
        let (found, rest) = read(&[header.as_slice(), b"hello"].concat(), 7).await;
        assert_eq!(
            (found.unwrap().to_string().as_str(), rest.as_slice()),
            (expected, &b"hello"[..])
        );
    }
    for client in [Peer::Unix, Peer::Unknown] {
        let header = of_client(client, "10.0.0.1:443".parse().unwrap()).unwrap();
        // Then the reader takes the other end of the connection for the client.
        assert_eq!(read(&header, 64).await.0.unwrap().to_string(), "10.0.0.1");
    }
}
