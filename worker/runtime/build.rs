//! Refuses to build against an OpenSSL without threads.
//!
//! librdkafka uses OpenSSL from many threads. A library that was configured without them (as OpenSSL's own
//! `Configure` does in silence when it is given `-static`) corrupts the heap under load; its header says so.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for variable in ["OPENSSL_INCLUDE_DIR", "OPENSSL_DIR", "CONNECT_WORKER_COMMIT"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let Some(header) = configuration() else {
        println!(
            "cargo::warning=openssl/configuration.h was not found, so whether OpenSSL has threads is unknown"
        );
        return;
    };
    println!("cargo::rerun-if-changed={}", header.display());
    let text = std::fs::read_to_string(&header).unwrap_or_default();
    let defines = |name: &str| {
        let mut words = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        words.any(|line| matches!(line.as_slice(), ["#", "define", n, ..] | ["#define", n, ..] if *n == name))
    };
    assert!(
        defines("OPENSSL_THREADS") && !defines("OPENSSL_NO_THREADS"),
        "{} belongs to an OpenSSL without threads, which is unusable here: install the distribution's libssl-dev",
        header.display()
    );
}

/// The header that the build uses, in the order in which a build looks for it.
fn configuration() -> Option<PathBuf> {
    let named = std::env::var_os("OPENSSL_INCLUDE_DIR").map(PathBuf::from);
    let below = std::env::var_os("OPENSSL_DIR").map(|dir| Path::new(&dir).join("include"));
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let multiarch = PathBuf::from(format!("/usr/include/{arch}-linux-gnu"));
    let folders = named.into_iter().chain(below).chain([multiarch, PathBuf::from("/usr/include")]);
    folders.map(|folder| folder.join("openssl/configuration.h")).find(|header| header.is_file())
}
