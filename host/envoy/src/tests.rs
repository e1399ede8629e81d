//! The bytes of the messages. They were made with the definitions that Envoy publishes, with every field set.

use std::collections::HashMap;

use prost::Message;

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn header(key: &str, value: &str, raw_value: &[u8]) -> HeaderValue {
    HeaderValue {
        key: key.to_owned(),
        value: value.to_owned(),
        raw_value: raw_value.to_vec(),
    }
}

fn option(header: HeaderValue, action: HeaderAppendAction) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(header),
        append_action: action.into(),
    }
}

fn from(address: Option<AddressKind>) -> CheckRequest {
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(Peer {
                address: Some(Address { address }),
            }),
            request: None,
        }),
    }
}

#[test]
fn a_request_is_read_as_envoy_writes_it() {
    let written = bytes(
        "0ab2010a340a180a1612093139322e302e322e3118e7242a017230013a016e12037376631a060a016c12016d2206737069666665\
         2a0370656d12250a0912070a02407810800312037376631a060a016c12016d22067370696666652a0370656d224b12490a026964\
         12034745541a060a016112016222042f703f712a0168320568747470733a017142016648055206485454502f325a01426201526a\
         100a060a01631a01ff0a060a016412016552060a0178120179",
    );
    let mut expected = from(Some(AddressKind::SocketAddress(SocketAddress {
        address: "192.0.2.1".to_owned(),
    })));
    expected.attributes.as_mut().unwrap().request = Some(Request {
        http: Some(HttpRequest {
            method: "GET".to_owned(),
            headers: HashMap::from([("a".to_owned(), "b".to_owned())]),
            path: "/p?q".to_owned(),
            host: "h".to_owned(),
            scheme: "https".to_owned(),
            raw_body: b"R".to_vec(),
            header_map: Some(HeaderMap {
                headers: vec![header("c", "", b"\xff"), header("d", "e", b"")],
            }),
        }),
    });
    assert_eq!(CheckRequest::decode(written.as_slice()).unwrap(), expected);
    for (what, written, address) in [
        (
            "a Unix domain socket",
            "0a0d0a0b0a0912070a024078108003",
            Some(AddressKind::Pipe(Pipe { path: "@x".to_owned() })),
        ),
        ("an address within Envoy", "0a090a070a051a03120165", None),
    ] {
        let read = CheckRequest::decode(bytes(written).as_slice()).unwrap();
        assert_eq!(read, from(address), "{what}");
    }
}

#[test]
fn a_response_is_written_as_envoy_reads_it() {
    use HeaderAppendAction::*;

    let header_of_each = [
        AppendIfExistsOrAdd,
        AddIfAbsent,
        OverwriteIfExistsOrAdd,
        OverwriteIfExists,
    ];
    let ok = CheckResponse {
        status: Some(RpcStatus { code: 0 }),
        http_response: Some(HttpResponse::OkResponse(OkHttpResponse {
            headers: header_of_each
                .map(|action| option(header("k", "v", b""), action))
                .to_vec(),
            headers_to_remove: vec!["a".to_owned(), "b".to_owned()],
            response_headers_to_add: vec![option(header("r", "", b"\xfe"), AppendIfExistsOrAdd)],
            query_parameters_to_remove: vec!["t".to_owned()],
        })),
    };
    let expected = "0a001a4112080a060a016b120176120a0a060a016b1201761801120a0a060a016b1201761802120a0a060a016b120176\
                    18032a01612a016232080a060a01721a01fe420174";
    assert_eq!(ok.encode_to_vec(), bytes(expected));

    let denied = CheckResponse {
        status: Some(RpcStatus { code: 16 }),
        http_response: Some(HttpResponse::DeniedResponse(DeniedHttpResponse {
            status: Some(HttpStatus { code: 401 }),
            headers: vec![option(header("k", "v", b""), AppendIfExistsOrAdd)],
            body: "no".to_owned(),
        })),
    };
    let expected = "0a02081012130a0308910312080a060a016b1201761a026e6f";
    assert_eq!(denied.encode_to_vec(), bytes(expected));
}
