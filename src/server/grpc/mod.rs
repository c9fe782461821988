//! gRPC services, on the port of HTTP.
//!
//! | file               | content                                                         |
//! |--------------------|-----------------------------------------------------------------|
//! | `layers`           | middleware: deadline and compression                            |
//! | `services`         | list of the services                                            |
//! | [`health`]         | health service                                                  |
//! | `reflection`       | reflection service                                              |
//! | `write`            | `narthex.v1.Write`: unary methods                               |
//! | `write_stream`     | `narthex.v1.Write`: stream of acknowledged requests             |
//! | `read`             | `narthex.v1.Read`                                               |
//! | `thanos_write`     | `thanos.WriteableStore`                                         |
//! | `thanos_store`     | `thanos.Store`                                                  |
//! | `thanos_info`      | `thanos.info.Info`                                              |
//! | `thanos_exemplars` | `thanos.Exemplars`, `thanos.Metadata`                           |
//! | `thanos_read`      | requests of the Thanos read services                            |
//! | `message_writer`   | streamed responses of several messages                          |

pub mod health;
pub(crate) mod layers;
mod message_writer;
pub(crate) mod read;
pub(crate) mod reflection;
mod services;
pub(crate) mod thanos_exemplars;
pub(crate) mod thanos_info;
mod thanos_read;
pub(crate) mod thanos_store;
pub(crate) mod thanos_write;
pub(crate) mod write;
pub(crate) mod write_stream;
