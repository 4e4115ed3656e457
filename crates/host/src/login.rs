//! The token that opens one browser session.

use flota_client::{Exit, Failure};

use crate::context::Context;

/// The token of the login link, handed down by `dev`. Never an argument: those are for all to see.
pub const LOGIN_TOKEN: &str = "FLOTA_LOGIN_TOKEN";
/// Bytes of randomness in a login token.
const LOGIN_TOKEN_BYTES: usize = 16;

/// A token for one login.
pub fn login_token(context: &Context) -> Result<String, Failure> {
    let mut bytes = [0_u8; LOGIN_TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|source| {
        let what = context.language.error_random();
        Failure::new("E-RANDOM-UNAVAILABLE", Exit::Failed, what).because(source.to_string())
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
