//! Where randomness comes from. Rules never ask: they take `rng: &mut impl CryptoRng`.

use rand::CryptoRng;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;

/// The system's random numbers.
pub fn system() -> impl CryptoRng + Send {
    UnwrapErr(SysRng)
}
