//! What a decision costs natively, for `benches/policies`: microseconds with all policies as one set, and with the plugin's code. The
//! argument is the number of policies.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "it is a part of the benchmarks")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::str::FromStr;
use std::time::Instant;

use cedar_policy::Authorizer as Evaluator;
use cedar_policy::Context;
use cedar_policy::Decision;
use cedar_policy::Entities;
use cedar_policy::EntityUid;
use cedar_policy::PolicySet;
use portcullis_plugin_cedar::Cedar;
use portcullis_sdk::Principal;
use portcullis_sdk::User;
use portcullis_sdk::prelude::Authorizer;
use portcullis_sdk::testing::RequestBuilder;
use portcullis_sdk::testing::configure_authorizer;
use serde_json::json;

const DECISIONS: u32 = 2000;

fn main() {
    let count: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut policies = String::new();
    for team in 0..count {
        let _ = writeln!(
            policies,
            "permit (principal in Group::\"team-{team}\", action in Action::\"read\", resource in Path::\"/team-{team}\");"
        );
    }
    println!(
        "{}",
        json!({ "one set": one_set(&policies), "plugin": plugin(&policies) })
    );
}

fn one_set(policies: &str) -> f64 {
    let policies = PolicySet::from_str(policies).unwrap();
    let entity = |kind: &str, id: &str, (above, parent): (&str, &str)| json!({ "uid": { "type": kind, "id": id }, "attrs": {}, "parents": [{ "type": above, "id": parent }] });
    let entities = json!([
        entity("User", "alice", ("Group", "team-7")),
        entity("Path", "/team-7/page", ("Path", "/team-7")),
        entity("Action", "GET", ("Action", "read")),
    ]);
    let uid = |text: &str| EntityUid::from_str(text).unwrap();
    microseconds(|| {
        // What belongs to a request is made for each, as it is in the gateway.
        let entities = Entities::from_json_value(entities.clone(), None).unwrap();
        let request = cedar_policy::Request::new(
            uid("User::\"alice\""),
            uid("Action::\"GET\""),
            uid("Path::\"/team-7/page\""),
            Context::empty(),
            None,
        );
        let response = Evaluator::new().is_authorized(&request.unwrap(), &policies, &entities);
        assert_eq!(response.decision(), Decision::Allow);
    })
}

fn plugin(policies: &str) -> f64 {
    let cedar: Cedar = configure_authorizer(&json!({ "policies": policies }).to_string()).unwrap();
    let alice = Principal::new(User::new("alice").with_groups(["team-7"]), "people");
    microseconds(|| {
        let request = RequestBuilder::get("/team-7/page").build();
        assert!(black_box(cedar.authorize(&request, &alice)).is_ok());
    })
}

fn microseconds(decide: impl Fn()) -> f64 {
    (0..100).for_each(|_| decide());
    let start = Instant::now();
    (0..DECISIONS).for_each(|_| decide());
    start.elapsed().as_secs_f64() * 1e6 / f64::from(DECISIONS)
}
