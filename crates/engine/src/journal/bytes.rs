//! Values as bytes, for the journal and for the keeper: varints (LEB128) where numbers are small,
//! eight bytes where they are random. Reading never panics and never reserves more memory than the
//! bytes at hand could fill.

use crate::keeper::codec::CodecFault;

/// A value that has a form in bytes.
pub(crate) trait Code: Sized {
    /// Appends the value.
    fn put(&self, out: &mut Vec<u8>);
    /// Takes the value from the front of what is left.
    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault>;
}

/// Bytes that are still to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from the front.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes `length` bytes.
    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8], CodecFault> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(CodecFault::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes one byte.
    pub(crate) fn byte(&mut self) -> Result<u8, CodecFault> {
        let (first, rest) = self.rest.split_first().ok_or(CodecFault::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    /// Takes eight bytes as a number.
    pub(crate) fn fixed(&mut self) -> Result<u64, CodecFault> {
        let (taken, rest) = self
            .rest
            .split_first_chunk::<8>()
            .ok_or(CodecFault::Truncated)?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*taken))
    }

    /// Takes a length and as many bytes.
    pub(crate) fn block(&mut self) -> Result<&'a [u8], CodecFault> {
        let length = usize::take(self)?;
        self.bytes(length)
    }
}

/// Appends a length and the bytes.
pub(crate) fn put_block(bytes: &[u8], out: &mut Vec<u8>) {
    bytes.len().put(out);
    out.extend_from_slice(bytes);
}

/// Appends a number as eight bytes.
pub(crate) fn put_fixed(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_le_bytes());
}

impl Code for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        let mut left = *self;
        while left >= 0x80 {
            out.push(low_byte(left) | 0x80);
            left >>= 7;
        }
        out.push(low_byte(left));
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = input.byte()?;
            let part = Self::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return Err(CodecFault::OutOfRange);
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(CodecFault::OutOfRange)
    }
}

fn low_byte(number: u64) -> u8 {
    number.to_le_bytes()[0]
}

macro_rules! narrow {
    ($($type:ty),*) => {$(
        impl Code for $type {
            fn put(&self, out: &mut Vec<u8>) {
                u64::try_from(*self).expect("no unsigned type is wider than 64 bits").put(out);
            }

            fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
                Self::try_from(u64::take(input)?).map_err(|_| CodecFault::OutOfRange)
            }
        }
    )*};
}

narrow!(u8, u32, usize);

/// Zigzag: small numbers of either sign stay short.
impl Code for i32 {
    fn put(&self, out: &mut Vec<u8>) {
        ((self << 1) ^ (self >> 31)).cast_unsigned().put(out);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        let folded = u32::take(input)?;
        Ok((folded >> 1).cast_signed() ^ -((folded & 1).cast_signed()))
    }
}

impl Code for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        match input.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(CodecFault::Tag(tag)),
        }
    }
}

impl Code for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_block(self.as_bytes(), out);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        let text = std::str::from_utf8(input.block()?).map_err(|_| CodecFault::NotText)?;
        Ok(text.to_owned())
    }
}

impl<T: Code> Code for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        if bool::take(input)? {
            T::take(input).map(Some)
        } else {
            Ok(None)
        }
    }
}

impl<T: Code> Code for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_ref().put(out);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        T::take(input).map(Self::new)
    }
}

impl<T: Code> Code for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        for value in self {
            value.put(out);
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        // Not reserved by the length that the bytes claim: each value takes at least one byte, so a
        // false length ends in `Truncated` before much memory is used.
        let count = usize::take(input)?;
        let mut values = Self::new();
        for _ in 0..count {
            values.push(T::take(input)?);
        }
        Ok(values)
    }
}

impl<A: Code, B: Code> Code for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        Ok((A::take(input)?, B::take(input)?))
    }
}

/// Gives a struct the form of its fields, one after the other.
macro_rules! code_fields {
    ($type:ident { $($field:tt),* }) => {
        impl $crate::journal::bytes::Code for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::journal::bytes::Code::put(&self.$field, out);)*
            }

            fn take(
                input: &mut $crate::journal::bytes::Reader<'_>,
            ) -> Result<Self, $crate::keeper::codec::CodecFault> {
                $(let $field = $crate::journal::bytes::Code::take(input)?;)*
                Ok(Self { $($field),* })
            }
        }
    };
}

/// Gives a struct with one field the form of that field: a varint, or eight bytes.
macro_rules! code_number {
    ($($type:ident),*) => {$(
        impl $crate::journal::bytes::Code for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $crate::journal::bytes::Code::put(&self.0, out);
            }

            fn take(
                input: &mut $crate::journal::bytes::Reader<'_>,
            ) -> Result<Self, $crate::keeper::codec::CodecFault> {
                $crate::journal::bytes::Code::take(input).map(Self)
            }
        }
    )*};
    (fixed: $($type:ident),*) => {$(
        impl $crate::journal::bytes::Code for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $crate::journal::bytes::put_fixed(self.0, out);
            }

            fn take(
                input: &mut $crate::journal::bytes::Reader<'_>,
            ) -> Result<Self, $crate::keeper::codec::CodecFault> {
                input.fixed().map(Self)
            }
        }
    )*};
}

pub(crate) use code_fields;
pub(crate) use code_number;
