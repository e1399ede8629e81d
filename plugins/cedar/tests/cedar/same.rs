//! The plugin decides as the crate `cedar-policy` does when it is given all policies and all entities at once.

use portcullis_sdk::Denial;
use portcullis_sdk::Principal;
use portcullis_sdk::User;
use portcullis_sdk::prelude::Authorizer;
use portcullis_sdk::testing::RequestBuilder;
use serde_json::json;

use crate::cedar;
use crate::oracle::AUTHENTICATOR;
use crate::oracle::CAPTURE;
use crate::oracle::World;

#[test]
fn thousands_of_decisions_are_those_of_the_crate() {
    let mut permitted = 0;
    for seed in 0..20 {
        let mut world = World::new(seed, 30);
        let cedar = cedar(json!({
            "policies": world.policies,
            "entities": world.entities.to_string(),
            "captures": [CAPTURE],
        }));
        for _ in 0..200 {
            let case = world.next();
            let user = User::new(&case.user).with_groups(&case.groups).admin(case.admin);
            let request = RequestBuilder::new(case.method, &case.path)
                .scheme("http")
                .authority(case.host.to_owned())
                .client_address(case.client)
                .build();
            let answer = cedar.authorize(&request, &Principal::new(user, AUTHENTICATOR));
            permitted += usize::from(case.permitted);
            let told = format!(
                "seed {seed}: {} {} {}: {answer:?}, {:?}",
                case.user, case.method, case.path, case.deciding
            );
            assert_eq!(answer.is_ok(), case.permitted, "{told}");
            if let Err(denial) = answer {
                let Denial::Forbidden(reason, _) = denial else {
                    panic!("{told}");
                };
                let named = case
                    .deciding
                    .iter()
                    .take(5)
                    .all(|name| reason.contains(&format!("{name:?}")));
                assert!(named, "{told}");
                assert_eq!(reason == "no policy permits it", case.deciding.is_empty(), "{told}");
            }
        }
    }
    assert!((400..3600).contains(&permitted), "{permitted} of 4,000 are permitted");
}
