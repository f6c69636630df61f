//! Message types: [`Method`], [`Status`], [`Version`], [`Target`], [`Headers`], and the owned heads
//! [`Request`] and [`Response`] made of them.
//!
//! Fields keep their original case, order and duplicates, and are looked up without regard to case
//! (RFC 9110, section 5). Everything that can be put on the wire is validated when it is made, so that no
//! name, value, method or target can split a message.
//!
//! | module | what lives there |
//! |---|---|
//! | [`cookie`] | the fields `Cookie` and `Set-Cookie`, for clients and servers alike |
//! | [`date`] | HTTP dates |

pub mod cookie;
pub mod date;
mod field;
mod head;
mod headers;
#[cfg(feature = "http")]
mod http;
mod method;
mod secret;
mod status;
pub(crate) mod target;
pub(crate) mod token;
mod version;

pub use self::field::{Field, FieldLines, FieldName, FieldValue, InvalidFieldName, InvalidFieldValue};
pub use self::head::{Request, Response};
pub(crate) use self::headers::FieldSpan;
pub use self::headers::{Fields, FieldsIter, Headers, InvalidField};
#[cfg(feature = "http")]
pub use self::http::ConversionError;
pub use self::method::{InvalidMethod, Method};
pub(crate) use self::secret::Masked;
#[cfg(feature = "trace")]
pub(crate) use self::secret::is_secret;
#[cfg(feature = "server")]
pub(crate) use self::secret::write_masked;
pub use self::status::{InvalidStatus, Status};
pub use self::target::{InvalidTarget, Target, TargetForm};
pub use self::version::Version;
