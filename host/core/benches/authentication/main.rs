//! The cost of one authentication: by the plugin's code compiled natively, by the plugin in Wasmtime without any
//! bounds, and by the whole library. `cargo bench -p portcullis` prints all of them from one run.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::unwrap_used,
    clippy::use_self,
    unreachable_pub,
    reason = "a benchmark that can't continue has failed"
)]

mod bare;
mod portcullis_path;
mod work;

use divan::Bencher;
use divan::black_box;

use self::work::Work;

fn main() {
    divan::main();
}

const WORKS: [Work; 2] = [Work::Basic, Work::Rs256];

/// The plugin's Rust code in this process. Keys and settings are parsed each time, as a new instance does.
#[divan::bench(args = WORKS)]
fn native(bencher: Bencher<'_, '_>, work: Work) {
    let _host = portcullis_sdk::testing::FakeHost::start();
    let request = work.sdk_request();
    bencher.bench_local(|| work.natively(black_box(&request)));
}

/// One call of `authenticate` on an instance that is already configured.
#[divan::bench(args = WORKS)]
fn bare_wasmtime_reused(bencher: Bencher<'_, '_>, work: Work) {
    let mut bare = bare::Bare::new(work);
    let mut instance = bare.instance();
    bencher.bench_local(|| bare.authenticate(black_box(&mut instance)));
}

/// A new instance each time, which is started, configured, called and dropped.
#[divan::bench(args = WORKS)]
fn bare_wasmtime_fresh(bencher: Bencher<'_, '_>, work: Work) {
    let mut bare = bare::Bare::new(work);
    bencher.bench_local(|| {
        let mut instance = bare.instance();
        bare.authenticate(black_box(&mut instance));
    });
}

/// What a server calls: a chain of one authenticator, with all bounds and a new instance for each request.
#[divan::bench(args = WORKS)]
fn portcullis(bencher: Bencher<'_, '_>, work: Work) {
    let path = portcullis_path::Path::new(work);
    bencher.bench_local(|| path.decide());
}
