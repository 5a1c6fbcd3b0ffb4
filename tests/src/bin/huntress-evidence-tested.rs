//! The program as its tests run it: Cargo tells a package's tests only where the package's own programs are.

fn main() -> std::process::ExitCode {
    huntress_evidence::main()
}
