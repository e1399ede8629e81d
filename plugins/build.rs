//! Compiles the plugins beside this crate to components, with a cargo of their own: this crate is built for the machine
//! that runs the gateway, they are built for the sandbox. They are compressed to a third, because most programs use one or two of them.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use miniz_oxide::deflate::compress_to_vec_zlib;

const PLUGINS: [&str; 5] = ["jupyterhub", "jwt", "kerberos", "oidc", "simple"];

/// The plugins that are features, because they take long to compile. Each is a workspace of its own.
const FEATURES: [&str; 1] = ["cedar"];

/// How hard to compress.
const BEST: u8 = 9;

const TARGET: &str = "wasm32-wasip2";

/// What the outer build sets for itself and the inner one must not inherit: flags for another target, the wrapper that
/// makes clippy out of rustc, and the directory whose lock the outer build holds.
const NOT_INHERITED: [&str; 6] = [
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
];

fn main() {
    if let Err(reason) = build_all() {
        println!("cargo::error={reason}");
    }
}

fn build_all() -> Result<(), String> {
    let out = PathBuf::from(variable("OUT_DIR")?);
    let plugins = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let workspace = plugins.parent().ok_or("the crate has no folder above it")?;
    let features = FEATURES.into_iter().filter(|plugin| is_on(plugin));
    let folders = features.map(|plugin| (plugin, plugins.join(plugin)));
    let folders = Vec::from_iter(
        PLUGINS
            .map(|plugin| (plugin, workspace.to_owned()))
            .into_iter()
            .chain(folders),
    );
    rerun_when_changed(workspace);
    require_target()?;
    for (plugin, folder) in folders {
        let component = build(plugin, &folder, &target_dir(&out))?;
        let wasm = fs::read(&component).map_err(|error| format!("reading {}: {error}", component.display()))?;
        let compressed = out.join(format!("{plugin}.wasm.zlib"));
        fs::write(&compressed, compress_to_vec_zlib(&wasm, BEST))
            .map_err(|error| format!("writing {}: {error}", compressed.display()))?;
    }
    Ok(())
}

/// Whether this plugin, a feature, is wanted.
fn is_on(plugin: &str) -> bool {
    env::var_os(format!("CARGO_FEATURE_{}", plugin.to_ascii_uppercase())).is_some()
}

fn rerun_when_changed(workspace: &Path) {
    let shared = [
        ".cargo/config.toml",
        "Cargo.lock",
        "Cargo.toml",
        "sdk/Cargo.toml",
        "sdk/src",
        "wit",
        "plugins/build.rs",
        "plugins/tokens/Cargo.toml",
        "plugins/tokens/src",
    ];
    let own = PLUGINS
        .iter()
        .flat_map(|plugin| [format!("plugins/{plugin}/Cargo.toml"), format!("plugins/{plugin}/src")]);
    let features = FEATURES.iter().filter(|plugin| is_on(plugin)).flat_map(|plugin| {
        let own = [".cargo/config.toml", "Cargo.lock", "Cargo.toml", "src"];
        let own = own.map(|path| format!("plugins/{plugin}/{path}"));
        own.into_iter()
            .chain(["host/path/Cargo.toml".to_owned(), "host/path/src".to_owned()])
    });
    for path in shared.into_iter().map(str::to_owned).chain(own).chain(features) {
        println!("cargo::rerun-if-changed={}", workspace.join(path).display());
    }
}

/// Without this the inner build fails too, but late and with an error about the crate `core`.
fn require_target() -> Result<(), String> {
    let found = Command::new(variable("RUSTC")?)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|error| format!("running rustc: {error}"))?;
    if found.status.success() && Path::new(String::from_utf8_lossy(&found.stdout).trim()).is_dir() {
        return Ok(());
    }
    Err(format!(
        "the plugins are compiled for {TARGET}, which this Rust lacks. Install it: rustup target add {TARGET}"
    ))
}

/// One directory for every profile of the outer build, and for clippy: a plugin is the same in all of them. It can't be
/// the outer build's own, which is locked while this runs.
fn target_dir(out: &Path) -> PathBuf {
    let root = out.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    root.unwrap_or(out).join("plugins")
}

/// Builds one plugin of the workspace in this folder, and says where its component is. As a `cdylib` alone, because a library
/// that is also an `rlib` is linked without link-time optimisation and comes out half as large again.
fn build(plugin: &str, workspace: &Path, target_dir: &Path) -> Result<PathBuf, String> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .current_dir(workspace)
        .args([
            "rustc",
            "--locked",
            "--profile",
            "plugin",
            "--crate-type",
            "cdylib",
            "--target",
            TARGET,
        ])
        .args(["--package", &format!("portcullis-plugin-{plugin}")])
        .arg("--target-dir")
        .arg(target_dir)
        .stdout(Stdio::null());
    for name in NOT_INHERITED {
        cargo.env_remove(name);
    }
    let status = cargo.status().map_err(|error| format!("running cargo: {error}"))?;
    if !status.success() {
        return Err(format!("the plugin {plugin} can't be compiled; its errors are above"));
    }
    Ok(target_dir
        .join(TARGET)
        .join("plugin")
        .join(format!("portcullis_plugin_{plugin}.wasm")))
}

fn variable(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("cargo has not set {name}"))
}
