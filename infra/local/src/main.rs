//! The program `huntress-evidence`.

fn main() -> std::process::ExitCode {
    huntress_evidence::main()
}
