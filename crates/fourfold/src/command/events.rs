//! `fourfold events`: the log as an operator has it.

mod log;
mod redact;
mod tail;

use std::path::PathBuf;

use clap::Subcommand;
use fourfold_model::{EntityId, Model};

use crate::failure::Failure;
use crate::settings::SettingFlags;

#[derive(Subcommand)]
pub enum What {
    /// Print events, also while a server writes them; without `--after` the last ones
    Tail {
        /// A model file, or a folder that holds one
        #[arg(default_value = ".")]
        path: PathBuf,
        /// Events after this cursor, or this position
        #[arg(long, value_name = "CURSOR")]
        after: Option<String>,
        /// Events of this entity alone
        #[arg(long, value_name = "ENTITY")]
        entity: Option<String>,
        /// Go on with what is written from now on
        #[arg(long)]
        follow: bool,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: SettingFlags,
    },
    /// Blank what the log holds of a row, also while a server has the store
    Redact {
        /// The entity's name
        entity: String,
        /// The row's key
        key: String,
        /// A model file, or a folder that holds one
        #[arg(default_value = ".")]
        path: PathBuf,
        #[command(flatten)]
        settings: SettingFlags,
    },
}

pub fn run(what: &What) -> Result<(), Failure> {
    match what {
        What::Tail { path, after, entity, follow, json, settings } => {
            tail::run(path, settings, tail::Asked { after: after.as_deref(), entity: entity.as_deref(), follow: *follow, json: *json })
        }
        What::Redact { entity, key, path, settings } => redact::run(entity, key, path, settings),
    }
}

fn entity_of(model: &Model, name: &str) -> Result<EntityId, Failure> {
    model.entity_by_name(name).ok_or_else(|| {
        let near = fourfold_op::json::did_you_mean(name, model.entities.iter().map(|entity| entity.name.as_str()));
        Failure::Use(format!("the model has no entity `{name}`{near}"))
    })
}
