//! Leaves the tables that unwinding needs out of a release, an eighth of it: there a panic ends the process, so nobody reads them.
#![expect(clippy::print_stdout, reason = "cargo reads what a build script prints")]

fn main() {
    println!("cargo::rerun-if-changed=../link.rs");
    println!("cargo::rerun-if-changed=../no-unwind-tables.ld");
    let [profile, system, folder] = ["PROFILE", "CARGO_CFG_TARGET_OS", "CARGO_MANIFEST_DIR"].map(variable);
    if profile == "release" && system == "linux" {
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{folder}/../no-unwind-tables.ld");
    }
}

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script everything in the environment")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
