//! The binary itself, as an operator starts it. What it does behind real peers is tested in `tests/e2e`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what can't go on has failed"
)]

use std::process::Command;
use std::process::Output;

fn portcullis(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command
        .args(arguments)
        .env_remove("PORTCULLIS_CONFIG")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn every_key_is_another_one() {
    let keys = [(); 2].map(|()| text(&portcullis(&["keygen"]).stdout));
    for key in &keys {
        assert!(
            key.trim().len() == 64 && key.trim().bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{key}"
        );
    }
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn a_mistake_on_the_command_line_is_exit_code_2_and_one_in_a_file_1() {
    for (arguments, code) in [
        (&["sreve"][..], 2),
        (&["serve", "--listen", "nowhere"], 2),
        (&["check", "--config", "no/such/file.toml"], 1),
        (&["plugin", "inspect", "no/such/file.wasm"], 1),
    ] {
        let output = portcullis(arguments);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
        assert!(!output.stderr.is_empty(), "{arguments:?} says nothing");
    }
}
