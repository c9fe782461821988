//! Configuration of the application: a plain struct per part, from flags and configuration file.
//!
//! | module | contents |
//! |---|---|
//! | `db` | options of the database |
//! | `scraping` | settings of scraping |
//! | `server` | limits of the server; number of blocking threads |
//! | `values` | conversions of flag values |
//! | `writes` | limits of writes |

pub(crate) mod db;
mod scraping;
pub(crate) mod server;
mod values;
mod writes;

use crate::app::config_watcher::WatchedFile;
use crate::app::error::ServeError;
use crate::app::parts::scraping::ScrapingConfig;
use crate::app::parts::server::ServerConfig;
use crate::app::reload;
use crate::app::reload::{ApplyConfigError, ReloadConfig};
use crate::app::web_config::grpc;
use crate::app::web_config::setup::{WebConfigError, WebConfigSource, WebSetup};
use crate::app::web_config::watcher::WatchedConfig;
use crate::config::address::ListenAddress;
use crate::config::file::contents::ConfigFile;
use crate::config::file::options::LoadOptions;
use crate::config::flags::ServeFlags;
use crate::config::flags::web::WebFlags;
use crate::config::settings;
use crate::server::management::configuration::LoadedConfig;
use crate::server::management::process_control::ApiAccess;
use crate::server::transport::listener::ConnectionLimits;
use crate::tsdb::db::options::DbOptions;

/// Configuration of the application.
#[derive(Debug)]
pub(crate) struct AppConfig {
    pub(crate) db: DbOptions,
    pub(crate) server: ServerConfig,
    pub(crate) scraping: ScrapingConfig,
    /// Whether the server scrapes itself.
    pub(crate) self_scrape: bool,
    pub(crate) listener: ListenerConfig,
    /// `None` without `--web.management-listen-address`.
    pub(crate) management: Option<ManagementConfig>,
    pub(crate) reload: ReloadConfig,
    /// Configuration file to watch; `None` without `--config.auto-reload`.
    pub(crate) auto_reload: Option<WatchedFile>,
    pub(crate) web: WebSetup,
    /// Web configuration file to watch; `None` without `--web.config.file`.
    pub(crate) watched: Option<WatchedConfig>,
    /// Part of the configuration file that handlers use.
    pub(crate) labels: LoadedConfig,
}

/// Addresses and limits of the listener.
#[derive(Debug)]
pub(crate) struct ListenerConfig {
    pub(crate) addresses: Vec<ListenAddress>,
    pub(crate) limits: ConnectionLimits,
}

/// Address and limits of the management listener.
#[derive(Debug)]
pub(crate) struct ManagementConfig {
    pub(crate) address: ListenAddress,
    pub(crate) limits: ConnectionLimits,
    /// Availability of `/metrics`.
    pub(crate) metrics: ApiAccess,
}

impl ManagementConfig {
    fn new(flags: &WebFlags) -> Option<Self> {
        Some(Self {
            address: flags.management_listen_address.clone()?,
            limits: ConnectionLimits::management(flags),
            metrics: server::access(flags.management_metrics),
        })
    }
}

impl AppConfig {
    /// Loads the configuration file and the web configuration file, and combines them with the
    /// flags.
    pub(crate) fn load(flags: &ServeFlags) -> Result<Self, ServeError> {
        let options = load_options(flags);
        let watched_file = auto_reload(flags).map(WatchedFile::read_before_load);
        let file = reload::load_file(flags.config_file.as_deref(), options);
        let mut config = Self::new(flags, &file.map_err(ApplyConfigError::from)?)?;
        config.auto_reload = watched_file;
        if let Some(path) = flags.web.config_file.clone() {
            let source = WebConfigSource { path, max_bcrypt_cost: flags.web.auth_max_bcrypt_cost };
            let (setup, watched) = WatchedConfig::load(source, flags.grpc.clone())?;
            config.web = setup;
            config.watched = Some(watched);
        } else {
            grpc::check(&config.web.config, &flags.grpc)
                .map_err(|problem| WebConfigError::Grpc { location: String::new(), problem })?;
        }
        Ok(config)
    }

    /// Combines flags and configuration file.
    pub(crate) fn new(flags: &ServeFlags, file: &ConfigFile) -> Result<Self, ApplyConfigError> {
        let settings = settings::at_start(&flags.storage, file);
        let labels = reload::load_labels(file)?;
        Ok(Self {
            db: db::db_options(&flags.storage, flags.dry_run, settings),
            server: server::server_config(flags),
            scraping: scraping::scraping_config(flags, &labels.external_labels),
            self_scrape: flags.scrape.self_scrape,
            listener: ListenerConfig {
                addresses: flags.web.listen_address.clone(),
                limits: ConnectionLimits::from(&flags.web),
            },
            management: ManagementConfig::new(&flags.web),
            reload: ReloadConfig {
                file: flags.config_file.clone(),
                options: load_options(flags),
                flags: flags.storage.clone(),
                startup_encoding: settings.float_encoding,
            },
            auto_reload: None,
            web: WebSetup::default(),
            watched: None,
            labels,
        })
    }
}

/// Returns the configuration file to watch, if it is to be reloaded automatically.
fn auto_reload(flags: &ServeFlags) -> Option<WatchedFile> {
    let path = flags.config_file.clone().filter(|_| flags.auto_reload)?;
    let interval = flags.auto_reload_interval;
    Some(WatchedFile { path, options: load_options(flags), interval, loaded: None })
}

/// Returns the options with which the configuration file is loaded.
fn load_options(flags: &ServeFlags) -> LoadOptions {
    LoadOptions {
        ignore_unsupported: flags.ignore_unsupported,
        features: scraping::feature_defaults(flags),
    }
}
