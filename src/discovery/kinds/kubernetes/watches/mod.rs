//! Shared watches: each keeps the objects of a resource as the server has them.
//!
//! # Protocol
//! 1. The objects are listed in pages ([`follow`]). The list has a version.
//! 2. A watch streams the changes after that version, one JSON object per line. Bookmarks tell a
//!    newer version without a change.
//! 3. After the end of a watch, another one goes on from the last version. If that no longer exists
//!    (status 410), the objects are listed again.
//!
//! # Failure
//! After a failure of any kind the objects stay as they are. Retries wait with jitter, and as long
//! as the server asks.
//!
//! # Sharing
//! Equal requests share a watch ([`registry`]), also those of different roles and jobs. A watch
//! runs from its first user to its last one, also across reloads.
//!
//! # Limits
//! A page, a line, and the objects of a watch have a maximum size in bytes.
//!
//! | module | content |
//! |---|---|
//! | `backoff` | delays between attempts |
//! | `event` | lines of a watch |
//! | [`feed`] | changes of a watch for one user |
//! | `follow` | lists and watches, one after another |
//! | `lines` | pieces of a body as lines |
//! | [`mailbox`] | keys of changed objects |
//! | [`registry`] | running watches |
//! | [`store`] | objects of a watch |
//! | [`times`] | timeouts and delays |
//! | [`watch`] | running watch |

mod backoff;
mod event;
pub(crate) mod feed;
mod follow;
mod lines;
pub(crate) mod mailbox;
pub(crate) mod registry;
pub(crate) mod store;
pub(crate) mod times;
pub(crate) mod watch;
