//! shared
#[cfg(feature = "aws")]
pub mod aws;
pub mod clock;
pub mod environment;
pub mod lambda;
pub mod telemetry;
