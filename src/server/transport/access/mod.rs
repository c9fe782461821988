//! Access to the server: users, passwords, and the limit for the rate of requests.
//!
//! | file                   | content                                                  |
//! |------------------------|----------------------------------------------------------|
//! | [`control`]            | rate limit and credentials of a request                  |
//! | [`authenticator`]      | credentials against the current users                    |
//! | `credentials`          | header `Authorization`                                   |
//! | `user_table`           | users, and the results of their passwords                |
//! | `rejected_cache`       | results of wrong passwords                               |
//! | `digest`               | digests that identify credentials in caches              |
//! | `bcrypt_key`           | password as bcrypt sees it                               |
//! | `password_checks`      | shared computations of bcrypt                            |
//! | `check_threads`        | threads of bcrypt, with idle time or a low priority      |
//! | `check_queue`          | bounded queue of computations                            |
//! | `waiting_checks`       | order of the queue, fair between clients                 |
//! | `known_clients`        | addresses from which a right password came               |
//! | [`rate_limiter`]       | token bucket                                             |

pub mod authenticator;
mod bcrypt_key;
mod check_queue;
mod check_threads;
pub mod control;
mod credentials;
mod digest;
mod known_clients;
pub(crate) mod password_checks;
pub mod rate_limiter;
mod rejected_cache;
mod user_table;
mod waiting_checks;
