//! The flags that settings have, and the settings themselves.

use std::path::{Path, PathBuf};

use clap::Args;
use fourfold_server::config::{self, Config, Texts};

use crate::failure::Failure;

/// Flags that come before the environment and the settings file.
#[derive(Args, Clone, Debug, Default)]
pub struct SettingFlags {
    /// The settings file; else `fourfold.toml` beside the model, where there is one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where rows are kept: `sqlite:FILE` or `memory:`.
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// The address of the four APIs; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// The address of `/metrics`; `off` serves none.
    #[arg(long, value_name = "HOST:PORT")]
    pub admin: Option<String>,
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// How requests are logged: `text`, `json` or `off`.
    #[arg(long, value_name = "FORM")]
    pub log: Option<String>,
}

impl SettingFlags {
    /// All settings as texts, for a model in `folder`.
    pub fn texts(&self, folder: &Path) -> Result<Texts, Failure> {
        let data = self.data.as_ref().map(|data| data.display().to_string());
        let given = [
            ("store.url", "--store", &self.store),
            ("server.listen", "--listen", &self.listen),
            ("server.admin_listen", "--admin", &self.admin),
            ("store.data", "--data", &data),
            ("log.format", "--log", &self.log),
        ];
        let flags = given.into_iter().filter_map(|(name, flag, text)| Some((name, flag, text.clone()?))).collect();
        // A build for tests is told by the environment which fault to have: no setting.
        let fault = |name: &str| cfg!(feature = "planted-faults") && name == "FOURFOLD_PLANTED_FAULT";
        let environment = std::env::vars().filter(|(name, _)| !fault(name));
        let read = config::read(folder, self.config.as_deref(), environment, flags).map_err(Failure::usage)?;
        Ok(read.texts)
    }

    /// All settings as values.
    pub fn config(&self, folder: &Path) -> Result<Config, Failure> {
        Config::new(&self.texts(folder)?).map_err(Failure::usage)
    }
}
