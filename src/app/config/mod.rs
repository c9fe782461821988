//! Configuration of the application: a plain struct per part, from flags and configuration file.
//!
//! | module | contents |
//! |---|---|
//! | `db` | options of the database |
//! | `server` | limits of the server; number of blocking threads |
//! | `values` | conversions of flag values |

pub(crate) mod db;
pub(crate) mod server;
mod values;

use crate::app::parts::server::ServerConfig;
use crate::app::reload;
use crate::app::reload::{ApplyConfigError, ReloadConfig};
use crate::config::address::ListenAddress;
use crate::config::file::contents::ConfigFile;
use crate::config::flags::ServeFlags;
use crate::config::settings;
use crate::server::management::configuration::LoadedConfig;
use crate::server::transport::listener::ConnectionLimits;
use crate::tsdb::db::options::DbOptions;

/// Configuration of the application.
#[derive(Debug)]
pub(crate) struct AppConfig {
    pub(crate) db: DbOptions,
    pub(crate) server: ServerConfig,
    pub(crate) listener: ListenerConfig,
    pub(crate) reload: ReloadConfig,
    /// Part of the configuration file that handlers use.
    pub(crate) labels: LoadedConfig,
}

/// Addresses and limits of the listener.
#[derive(Debug)]
pub(crate) struct ListenerConfig {
    pub(crate) addresses: Vec<ListenAddress>,
    pub(crate) limits: ConnectionLimits,
}

impl AppConfig {
    /// Loads the configuration file and combines it with the flags.
    pub(crate) fn load(flags: &ServeFlags) -> Result<Self, ApplyConfigError> {
        Self::new(flags, &reload::load_file(flags.config_file.as_deref())?)
    }

    /// Combines flags and configuration file.
    pub(crate) fn new(flags: &ServeFlags, file: &ConfigFile) -> Result<Self, ApplyConfigError> {
        let settings = settings::at_start(&flags.storage, file);
        Ok(Self {
            db: db::db_options(&flags.storage, settings),
            server: server::server_config(flags),
            listener: ListenerConfig {
                addresses: flags.web.listen_address.clone(),
                limits: ConnectionLimits::from(&flags.web),
            },
            reload: ReloadConfig {
                file: flags.config_file.clone(),
                flags: flags.storage.clone(),
                startup_encoding: settings.float_encoding,
            },
            labels: reload::load_labels(file)?,
        })
    }
}
