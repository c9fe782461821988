//! Prometheus's HTTP API, remote write, remote read and export over HTTP.
//!
//! | file               | content                                            |
//! |--------------------|----------------------------------------------------|
//! | `write`            | remote write                                       |
//! | `read`             | remote read                                        |
//! | `export`           | samples as JSON lines                              |
//! | `exemplars`        | exemplars of the series that an expression selects |
//! | `expressions`      | formatted expressions, and their syntax trees      |
//! | `metadata`         | type, help and unit of metrics                     |
//! | `listing`          | parts that the lists of labels and series share    |
//! | `labels`           | label names and label values                       |
//! | `series`           | label sets of series                               |
//! | `admin`            | delete series, clean tombstones, snapshot          |
//! | [`status`]         | status of configuration, process and database      |
//! | `empty_lists`      | empty lists of rules and alerts                    |
//! | [`targets`]        | targets and scrape pools                           |
//! | `unsupported`      | paths of Prometheus that narthex does not support  |
//! | `notifications`    | notifications for operators, as a list and live    |
//! | `response`         | response envelope                                  |
//! | `parameters`       | request parameters                                 |
//! | `timestamp`        | timestamps in parameters                           |
//! | `media_type`       | `Content-Type` parser                              |
//! | `content_encoding` | compression of a write request                     |

pub(crate) mod admin;
mod content_encoding;
pub(crate) mod empty_lists;
pub(crate) mod exemplars;
pub(crate) mod export;
pub(crate) mod expressions;
pub(crate) mod labels;
mod listing;
mod media_type;
pub(crate) mod metadata;
pub(crate) mod notifications;
mod parameters;
pub(crate) mod read;
pub(crate) mod response;
pub(crate) mod series;
pub(crate) mod status;
pub(crate) mod targets;
mod timestamp;
pub(crate) mod unsupported;
pub(crate) mod write;
