//! Uses more than its share of time, handles, host memory or log lines. The gateway has to stop it.

use crate::portcullis::auth::cache;
use crate::portcullis::auth::types::Grant;
use crate::portcullis::auth::types::Refusal;
use crate::portcullis::auth::types::Request;
use crate::wasi::clocks::monotonic_clock;
use crate::wasi::http::types::Fields;
use crate::wasi::http::types::OutgoingRequest;
use crate::wasi::io::poll::poll;
use crate::wasi::logging::logging;
use crate::wasi::random::random;

const HOUR: u64 = 3600 * 1_000_000_000;

pub fn flood(command: &str, request: &Request) -> Result<Grant, Refusal> {
    match command {
        "sleep" => monotonic_clock::subscribe_duration(HOUR).block(),
        "watch-the-clock" => loop {
            std::hint::black_box(monotonic_clock::now());
        },
        "poll-in-circles" => {
            let never = monotonic_clock::subscribe_duration(HOUR);
            while !never.ready() {}
        }
        "poll-many" => {
            let never: Vec<_> = (0..100).map(|_| monotonic_clock::subscribe_duration(HOUR)).collect();
            let never: Vec<_> = never.iter().collect();
            poll(&never);
        }
        "poll-nothing" => drop(poll(&[])),
        "keep-pollables" => loop {
            std::mem::forget(monotonic_clock::subscribe_duration(HOUR));
        },
        "keep-fields" => loop {
            std::mem::forget(Fields::new());
        },
        "keep-requests" => loop {
            std::mem::forget(OutgoingRequest::new(Fields::new()));
        },
        "fatten-fields" => {
            let fields = Fields::new();
            for n in 0_u64.. {
                if fields.append(&format!("x-{n}"), &[b'x'; 4096]).is_err() {
                    break;
                }
            }
        }
        "hoard-fields" => {
            let many: Vec<_> = (0..1000).map(|_| Fields::new()).collect();
            for (n, fields) in many.iter().enumerate() {
                let _ = fields.set(&format!("x-{n}"), &vec![vec![b'x'; 4096]; 14]);
            }
            loop {
                std::hint::black_box(&many);
            }
        }
        "hoard-bodies" => {
            let many: Vec<_> = (0..300).map(|_| OutgoingRequest::new(Fields::new())).collect();
            let bodies: Vec<_> = many.iter().filter_map(|request| request.body().ok()).collect();
            let streams: Vec<_> = bodies.iter().filter_map(|body| body.write().ok()).collect();
            for stream in &streams {
                while let Ok(room @ 1..) = stream.check_write() {
                    if stream.write(&vec![b'x'; room.min(512 << 10) as usize]).is_err() {
                        break;
                    }
                }
            }
            loop {
                std::hint::black_box(&streams);
            }
        }
        "random-huge" => drop(random::get_random_bytes(u64::MAX)),
        "random-forever" => loop {
            std::hint::black_box(random::get_random_bytes(64 << 10));
        },
        "ask-everything" => {
            for n in 0..300 {
                request.header(&format!("x-{n}"));
            }
        }
        "ask-at-length" => {
            let long = "x".repeat(900 << 10);
            for n in 0..250 {
                request.cookie(&format!("{long}{n}"));
            }
        }
        "ask-at-length-headers" => {
            let long = "x".repeat(60 << 10);
            for n in 0..250 {
                request.header(&format!("{long}{n}"));
            }
        }
        "ask-forever" => loop {
            request.header("x-do");
        },
        "fill-the-cache" => {
            let value = vec![0; 64 << 10];
            for n in 0..2000 {
                cache::set(&format!("k{n}"), &value, u32::MAX);
            }
        }
        "crumble-the-cache" => {
            for n in 0_u64.. {
                cache::set(&n.to_string(), &[], u32::MAX);
            }
        }
        "log-forever" => loop {
            logging::log(logging::Level::Error, "x", &"x".repeat(100_000));
        },
        "log-rubbish" => {
            let rubbish = "\u{1b}[31mred\u{1b}]0;title\u{7} \r\n{\"level\":\"ERROR\",\"message\":\"forged\"}\n\0\u{85}\u{9b}2J\"}\\";
            logging::log(logging::Level::Error, rubbish, rubbish);
            println!("{rubbish}");
            eprintln!("{rubbish}");
        }
        "exit" => std::process::exit(0),
        _ => {}
    }
    Err(Refusal::Unavailable("done".to_owned()))
}
