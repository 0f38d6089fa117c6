//! The `matinee` program.

fn main() -> std::process::ExitCode {
    matinee::cli::main()
}
