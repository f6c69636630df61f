//! Forms: how names and values travel in a query and in a request body.
//!
//! | module | what lives there |
//! |---|---|
//! | [`urlencoded`] | `application/x-www-form-urlencoded`, and queries of URLs |
//! | [`multipart`] | `multipart/form-data`: files and large values |
//!
//! Reading files and streams does not live here, nor a source of random boundaries: the layers above have them.

pub mod multipart;
pub mod urlencoded;

pub use self::multipart::{Boundary, Multipart, Part};
pub use self::urlencoded::Values;
