//! `igbctl`: see the library's page, or `igbctl --help`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    igbctl::main(std::env::args_os())
}
