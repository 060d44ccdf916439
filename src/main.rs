//! Arguments and environment become a configuration, and that runs.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;
use proscenium::config::{self, Cli, Command, Environment, KeyCommand, Settings};
use proscenium::token_command::{self, Holder};
use proscenium::{key_command, probe, run};

fn main() -> ExitCode {
    match carry_out(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(command: Command) -> Result<()> {
    let environment = environment();
    let out = &mut std::io::stdout();
    match command {
        Command::Serve(settings) => run::run(config::load(*settings, &environment, false)?)?,
        Command::Demo(settings) => run::run(config::load(*settings, &environment, true)?)?,
        Command::Health { listen, config } => {
            let settings = Settings {
                listen,
                config,
                ..Settings::default()
            };
            probe::ask(config::load(settings, &environment, false)?.listen)?;
        }
        Command::Token {
            space,
            role,
            name,
            expires,
            place,
        } => {
            let config = config::load(place.into(), &environment, false)?;
            token_command::make(&config, Holder { space, role, name }, expires, out)?;
        }
        Command::Secret { renew, place } => {
            let config = config::load(place.into(), &environment, false)?;
            token_command::secret(&config, renew, out)?;
        }
        Command::Key { command } => match command {
            KeyCommand::Add { space, key, place } => {
                let data_dir = config::load(place.into(), &environment, false)?.data_dir;
                key_command::add(&data_dir, &space, key, out)?;
            }
            KeyCommand::List { place } => {
                let data_dir = config::load(place.into(), &environment, false)?.data_dir;
                key_command::list(&data_dir, out)?;
            }
            KeyCommand::Remove { space, place } => {
                let data_dir = config::load(place.into(), &environment, false)?.data_dir;
                key_command::remove(&data_dir, &space, out)?;
            }
        },
    }
    Ok(())
}

/// What of the process environment matters. Values that are no UTF-8 are shown with replacement characters and refused
/// by whoever parses them.
fn environment() -> Environment {
    let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
    std::env::vars_os()
        .map(|(key, value)| (text(key), text(value)))
        .filter(|(key, _)| key.starts_with("PROSCENIUM_") || key == "RUST_LOG")
        .collect()
}
