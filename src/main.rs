//! The `keelhaul` command.

fn main() -> std::process::ExitCode {
    keelhaul::cli::main()
}
