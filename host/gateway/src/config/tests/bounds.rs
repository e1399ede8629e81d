//! The limits on clients.

use std::path::Path;
use std::time::Duration;

use crate::config::Draft;
use crate::config::Environment;

const BOUNDED: &str = r#"
[server]
keepalive_timeout = "1m"
body_timeout = "6s"
send_timeout = "7s"
max_streams = 8

[[routes]]
path = "/"
public = true
upstream = "http://127.0.0.1:8001"

[[routes]]
path = "/small"
public = true
upstream = "http://127.0.0.1:8001"
max_body_size = "10MiB"

[[routes]]
path = "/any"
public = true
upstream = "http://127.0.0.1:8001"
max_body_size = "none"
"#;

#[test]
fn the_limits_on_clients_are_read() {
    let Draft { config, errors, .. } = Draft::parse(Path::new("portcullis.toml"), BOUNDED, &Environment::from([]));
    assert_eq!(errors, []);
    let bounds = config.server.bounds;
    assert_eq!(
        [bounds.keepalive_timeout, bounds.body_timeout, bounds.send_timeout],
        [60, 6, 7].map(Duration::from_secs)
    );
    assert_eq!(bounds.max_streams, 8);
    let sizes = config.routes.iter().map(|route| route.max_body_size);
    assert_eq!(sizes.collect::<Vec<_>>(), [Some(1 << 30), Some(10 << 20), None]);
}
