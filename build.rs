//! Lets the addon find Node-API at load time; the core alone needs nothing.

fn main() {
    #[cfg(feature = "node")]
    napi_build::setup();
}
