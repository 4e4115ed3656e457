//! Randomness of the operating system.

use std::fmt::Write as _;

/// A random number.
pub(crate) fn number() -> Result<u64, getrandom::Error> {
    getrandom::u64()
}

/// `N` random bytes as lowercase hexadecimal digits.
pub(crate) fn digits<const N: usize>() -> Result<String, getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(hexadecimal(&bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}
