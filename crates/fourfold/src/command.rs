//! The commands.

mod backup;
mod check;
mod config;
mod contract;
mod dev;
mod events;
mod fmt;
mod import;
mod init;
mod migrate;
mod restore;
mod serve;
mod token;

use std::path::PathBuf;

use clap::Subcommand;
use fourfold_server::contract::View;

use crate::failure::Failure;
use crate::settings::SettingFlags;

#[derive(Subcommand)]
pub enum Command {
    /// Serve a model on this machine alone, reloading it as it changes
    Dev {
        /// A model file, or a folder that holds one
        #[arg(default_value = ".")]
        path: PathBuf,
        #[command(flatten)]
        settings: SettingFlags,
    },
    /// Serve a model
    Serve {
        /// A model file, or a folder that holds one
        #[arg(default_value = ".")]
        path: PathBuf,
        #[command(flatten)]
        settings: SettingFlags,
    },
    /// Say everything that is wrong with a model, and how each read rule can be watched
    Check {
        /// A model file, or a folder that holds one
        #[arg(default_value = ".")]
        path: PathBuf,
        /// Bring `fourfold.lock` into step
        #[arg(long)]
        write: bool,
    },
    /// Write a model in its one form, keeping comments
    Fmt {
        /// A model file, or a folder that holds one
        #[arg(default_value = ".")]
        path: PathBuf,
        /// Only say whether it would change
        #[arg(long)]
        check: bool,
    },
    /// Bring the store to the model
    Migrate {
        #[command(subcommand)]
        what: migrate::What,
    },
    /// Print a contract
    Contract {
        /// Which one
        kind: contract::Kind,
        /// Of `asyncapi`: as a client sees it
        #[arg(long)]
        client: bool,
        /// A model file, or a folder that holds one
        #[arg(default_value = ".")]
        path: PathBuf,
    },
    /// Write a model from an existing database, and copy its rows or serve them where they are
    Import {
        /// `sqlite:FILE` or `postgres://…`
        source: String,
        /// The folder to write
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Copy nothing: the model is of the tables as they are
        #[arg(long)]
        in_place: bool,
        /// Make events of what others write into these tables, too
        #[arg(long, requires = "in_place")]
        capture: bool,
    },
    /// Read the log of events, or blank what it holds of a row
    Events {
        #[command(subcommand)]
        what: events::What,
    },
    /// Copy the store into a file, also while it is served
    Backup {
        /// The file to write
        file: PathBuf,
        /// A model file, or a folder that holds one
        #[arg(default_value = ".")]
        path: PathBuf,
        #[command(flatten)]
        settings: SettingFlags,
    },
    /// Put a copy in the store's place, and keep what was there
    Restore {
        /// The copy
        file: PathBuf,
        /// A model file, or a folder that holds one
        #[arg(default_value = ".")]
        path: PathBuf,
        #[command(flatten)]
        settings: SettingFlags,
    },
    /// Print a token
    Token {
        #[command(subcommand)]
        what: token::What,
    },
    /// Write a small model to begin with
    Init {
        /// The folder to write
        #[arg(default_value = ".")]
        path: PathBuf,
    },
    /// Print every setting with its value, its source and its meaning
    Config {
        /// A model file, or a folder that holds one
        #[arg(default_value = ".")]
        path: PathBuf,
        /// Print the page of the documentation instead
        #[arg(long)]
        markdown: bool,
        #[command(flatten)]
        settings: SettingFlags,
    },
}

impl Command {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Command::Dev { path, settings } => dev::run(&path, &settings),
            Command::Serve { path, settings } => serve::run(&path, &settings),
            Command::Check { path, write } => check::run(&path, write),
            Command::Fmt { path, check } => fmt::run(&path, check),
            Command::Migrate { what } => migrate::run(&what),
            Command::Contract { kind, client, path } => contract::run(kind, if client { View::Client } else { View::Server }, &path),
            Command::Import { source, out, in_place, capture } => {
                import::run(&source, &out, if in_place { import::Way::InPlace { capture } } else { import::Way::Copy })
            }
            Command::Events { what } => events::run(&what),
            Command::Backup { file, path, settings } => backup::run(&file, &path, &settings),
            Command::Restore { file, path, settings } => restore::run(&file, &path, &settings),
            Command::Token { what } => token::run(&what),
            Command::Init { path } => init::run(&path),
            Command::Config { path, markdown, settings } => config::run(&path, markdown, &settings),
        }
    }
}
