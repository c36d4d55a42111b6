//! `fourfold migrate`: what stands between the store and the model, and carrying it out.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::command::serve::runtime;
use crate::failure::Failure;
use crate::load::{self, told};
use crate::settings::SettingFlags;

#[derive(Subcommand)]
pub enum What {
    /// Show each step
    Plan {
        /// A model file, or a folder that holds one
        #[arg(default_value = ".")]
        path: PathBuf,
        #[command(flatten)]
        settings: SettingFlags,
    },
    /// Carry every step out, in one transaction
    Apply {
        /// A model file, or a folder that holds one
        #[arg(default_value = ".")]
        path: PathBuf,
        /// Take steps that lose data too
        #[arg(long)]
        allow_destructive: bool,
        #[command(flatten)]
        settings: SettingFlags,
    },
}

pub fn run(what: &What) -> Result<(), Failure> {
    match what {
        What::Plan { path, settings } => runtime(1)?.block_on(plan(path, settings)),
        What::Apply { path, allow_destructive, settings } => runtime(1)?.block_on(apply(path, *allow_destructive, settings)),
    }
}

async fn plan(path: &Path, settings: &SettingFlags) -> Result<(), Failure> {
    let loaded = load::load(path)?;
    let config = settings.config(loaded.files.folder())?;
    let opened = load::open_store(&config).await?;
    opened.refuse_capture(&loaded.model)?;
    let migration = opened.store.migration(&loaded.model).await.map_err(told)?;
    for step in &migration.steps {
        say!("{}{}", step.title, if step.destructive { "  (loses data)" } else { "" });
        if !step.statement.is_empty() {
            say!("    {}", step.statement.replace('\n', "\n    "));
        }
    }
    say!("{} steps", migration.steps.len());
    opened.store.close().await;
    Ok(())
}

async fn apply(path: &Path, allow_destructive: bool, settings: &SettingFlags) -> Result<(), Failure> {
    let loaded = load::load(path)?;
    let config = settings.config(loaded.files.folder())?;
    let opened = load::open_store(&config).await?;
    let titles = load::migrate(&opened, &loaded.model, allow_destructive).await?;
    titles.iter().for_each(|title| say!("{title}"));
    say!("{} steps done", titles.len());
    opened.store.close().await;
    Ok(())
}
