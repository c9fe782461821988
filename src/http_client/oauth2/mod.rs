//! OAuth2 tokens.
//!
//! | module | contents |
//! |---|---|
//! | `response` | responses of the token endpoint |
//! | `source` | token requests and the cached token |

mod response;
pub(super) mod source;
