//! The binding: the only room that names Node-API. One thin file per class, named like its room.

use napi_derive::napi;

/// The version this binary was built from. `lib/native.js` refuses a binary of another version.
#[napi]
pub(crate) fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
