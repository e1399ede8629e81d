//! Writes what the tests of the sandboxed plugin compare: a line with policies and entities, and then one for each request with
//! what the crate `cedar-policy` decides. The arguments are the seed, the number of policies and that of requests.
#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it is a part of the tests"
)]

#[path = "../tests/oracle/mod.rs"]
mod oracle;

use serde_json::json;

use oracle::AUTHENTICATOR;
use oracle::CAPTURE;
use oracle::World;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse().unwrap());
    let mut world = World::new(arguments.next().unwrap(), arguments.next().unwrap() as usize);
    println!(
        "{}",
        json!({
            "policies": world.policies,
            "entities": world.entities.to_string(),
            "captures": [CAPTURE],
            "authenticator": AUTHENTICATOR,
        })
    );
    for _ in 0..arguments.next().unwrap() {
        let case = world.next();
        println!(
            "{}",
            json!({
                "method": case.method,
                "path": case.path,
                "host": case.host,
                "client": case.client,
                "user": case.user,
                "groups": case.groups,
                "admin": case.admin,
                "permitted": case.permitted,
                "deciding": case.deciding,
            })
        );
    }
}
