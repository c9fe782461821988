//! Changes that a reload must not make, because the server would be open to more clients than
//! somebody intended.
//!
//! - TLS stays on or off until a restart. A reload of the rest, for example without the users that
//!   client certificates replace, would apply half of the file.
//! - A file that lost its users, for example because it was truncated, does not remove them. Only
//!   `basic_auth_users: {}` does.

use crate::config::web::contents::WebConfig;

/// Change that a reload rejects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReloadProblem {
    /// TLS would be on.
    #[error("tls_server_config enables TLS, which needs a restart")]
    TlsEnabled,
    /// TLS would be off.
    #[error("tls_server_config does not enable TLS any more, which needs a restart")]
    TlsDisabled,
    /// All users would be removed, and the file does not have the section.
    #[error(
        "basic_auth_users is missing or null, and requests would need no credentials; \
         `basic_auth_users: {{}}` removes all users"
    )]
    UsersMissing,
}

impl ReloadProblem {
    /// Returns the section that is the cause.
    pub(super) fn section(self) -> &'static str {
        match self {
            Self::TlsEnabled | Self::TlsDisabled => "tls_server_config",
            Self::UsersMissing => "basic_auth_users",
        }
    }
}

/// Protection of the server by the configuration in use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Protection {
    has_tls: bool,
    has_users: bool,
}

impl Protection {
    pub(super) fn from_config(config: &WebConfig) -> Self {
        Self { has_tls: config.tls.is_some(), has_users: !config.users.is_empty() }
    }

    /// Checks that a reload may replace the configuration in use. `has_users_section` is `true` if
    /// the new file has the section, even without users.
    ///
    /// # Errors
    /// [`ReloadProblem`].
    pub(super) fn check(
        self,
        new: &WebConfig,
        has_users_section: bool,
    ) -> Result<(), ReloadProblem> {
        let Self { has_tls, has_users } = Self::from_config(new);
        match (self.has_tls, has_tls) {
            (false, true) => return Err(ReloadProblem::TlsEnabled),
            (true, false) => return Err(ReloadProblem::TlsDisabled),
            _ => {}
        }
        if self.has_users && !has_users && !has_users_section {
            return Err(ReloadProblem::UsersMissing);
        }
        Ok(())
    }
}
