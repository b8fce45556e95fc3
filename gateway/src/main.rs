//! The Turnstone program.
#![allow(clippy::disallowed_methods)] // the binary may read its arguments

use std::process::ExitCode;

fn main() -> ExitCode {
    turnstone::cli::main(std::env::args_os()).into()
}
