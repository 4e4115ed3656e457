//! One bit for each attempt of a grant.

/// A set of offsets below a fixed length, lowest bit of the first byte first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Bits(Vec<u8>);

impl Bits {
    /// All of `length` offsets.
    pub(crate) fn full(length: u32) -> Self {
        let mut bytes = vec![0xff; (length as usize).div_ceil(8)];
        if !length.is_multiple_of(8)
            && let Some(last) = bytes.last_mut()
        {
            *last = 0xff >> (8 - length % 8);
        }
        Self(bytes)
    }

    /// None of `length` offsets.
    pub(crate) fn empty(length: u32) -> Self {
        Self(vec![0; (length as usize).div_ceil(8)])
    }

    /// What was stored for `length` offsets; `None` if it does not fit.
    pub(crate) fn of_bytes(bytes: &[u8], length: u32) -> Option<Self> {
        let full = Self::full(length);
        let fits = bytes.len() == full.0.len()
            && bytes
                .iter()
                .zip(&full.0)
                .all(|(byte, mask)| byte & !mask == 0);
        fits.then(|| Self(bytes.to_vec()))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn get(&self, offset: u32) -> bool {
        self.0[offset as usize / 8] & (1 << (offset % 8)) != 0
    }

    pub(crate) fn put(&mut self, offset: u32, value: bool) {
        let byte = &mut self.0[offset as usize / 8];
        if value {
            *byte |= 1 << (offset % 8);
        } else {
            *byte &= !(1 << (offset % 8));
        }
    }

    pub(crate) fn count(&self) -> u32 {
        self.0.iter().map(|byte| byte.count_ones()).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    /// The offsets that are in the set, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().enumerate().flat_map(|(index, byte)| {
            let base = u32::try_from(index * 8).expect("grants are short");
            (0..8)
                .filter(move |bit| byte & (1 << bit) != 0)
                .map(move |bit| base + bit)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_offsets_below_the_length_are_in_a_full_set() {
        for length in 1..40 {
            let mut bits = Bits::full(length);
            assert_eq!(bits.count(), length);
            assert_eq!(
                bits.iter().collect::<Vec<_>>(),
                (0..length).collect::<Vec<_>>()
            );
            assert_eq!(Bits::of_bytes(bits.bytes(), length), Some(bits.clone()));
            bits.put(length - 1, false);
            assert!(!bits.get(length - 1));
            assert_eq!(bits.is_empty(), length == 1);
            assert_eq!(Bits::of_bytes(&[0xff; 9], length), None);
        }
    }
}
