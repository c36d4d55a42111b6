//! `fourfold token dev`: a token for `fourfold dev`, and nothing else, on standard output.

use std::path::PathBuf;

use clap::Subcommand;
use fourfold_server::auth::DevKey;
use serde_json::{Map, Value};

use crate::failure::Failure;

#[derive(Subcommand)]
pub enum What {
    /// A token that `fourfold dev` accepts, signed with the key of its data folder
    Dev {
        /// The claims as a JSON object: `{"sub": "1", "roles": ["admin"]}`
        #[arg(long, value_name = "JSON", default_value = "{}")]
        claims: String,
        /// The data folder
        #[arg(long, value_name = "DIR", default_value = ".fourfold")]
        data: PathBuf,
    },
}

pub fn run(what: &What) -> Result<(), Failure> {
    let What::Dev { claims, data } = what;
    let claims: Map<String, Value> = serde_json::from_str(claims)
        .map_err(|error| Failure::Use(format!("`--claims` must be a JSON object such as `{{\"roles\": [\"admin\"]}}`: {error}")))?;
    std::fs::create_dir_all(data).map_err(|error| Failure::Failed(format!("cannot make `{}`: {error}", data.display())))?;
    let key = DevKey::open(data).map_err(|error| Failure::Failed(format!("`{}`: {error}", data.display())))?;
    say!("{}", key.token(&claims).map_err(Failure::failed)?);
    Ok(())
}
