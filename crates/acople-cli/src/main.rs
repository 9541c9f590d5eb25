#![doc = include_str!("../README.md")]

mod args;
mod commands;
mod connection;
mod documents;
mod environment;
mod exit;
mod failure;
mod input;
mod log;
mod mapping;
mod output;
mod progress;
mod signals;
mod state_file;
mod store;
mod sync_file;

use std::panic::{self, PanicHookInfo};
use std::process::ExitCode;

use clap::Parser;

use crate::exit::Exit;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    panic::set_hook(Box::new(tell_panic));
    let exit = panic::catch_unwind(|| commands::run(cli)).unwrap_or(Exit::Internal);
    ExitCode::from(exit.code())
}

/// Says where a panic happened. What it says of itself may hold anything, secrets included.
fn tell_panic(info: &PanicHookInfo<'_>) {
    let place = info
        .location()
        .map_or_else(|| "an unknown place".to_owned(), |place| format!("{}:{}", place.file(), place.line()));
    output::note(&format!("error: internal: panicked at {place}\n  hint: report this as a bug"));
}
