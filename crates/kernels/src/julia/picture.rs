//! Counts as a PNG.

use std::io::Write;

use png::{BitDepth, ColorType, Compression, Encoder, EncodingError, Filter};

use crate::{fault::KernelFault, stop::Stop};

/// The keyword of the text chunk with the sum of the counts.
const SUM_KEYWORD: &str = "flota-sum";

/// A PNG with one byte a pixel: 0 where the count reached `iterations`, else 1 + count modulo 255.
///
/// The palette is the same for all pictures, so tiles can be put together by their bytes.
pub(super) fn encode(
    counts: &[u32],
    iterations: u32,
    width: usize,
    stop: &Stop,
) -> Result<Vec<u8>, KernelFault> {
    let sum: u64 = counts.iter().map(|count| u64::from(*count)).sum();
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, side(width), side(counts.len() / width));
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_palette(palette());
    encoder.set_compression(Compression::Fast);
    // Indexes are no quantities: a difference of neighbours says nothing.
    encoder.set_filter(Filter::NoFilter);
    encoder
        .add_text_chunk(SUM_KEYWORD.to_owned(), sum.to_string())
        .map_err(failed)?;
    let mut writer = encoder.write_header().map_err(failed)?;
    let mut pixels = writer.stream_writer().map_err(failed)?;
    for row in counts.chunks_exact(width) {
        if stop.raised() {
            return Err(KernelFault::Stopped);
        }
        let row: Vec<u8> = row.iter().map(|count| index(*count, iterations)).collect();
        pixels
            .write_all(&row)
            .map_err(|fault| failed(EncodingError::IoError(fault)))?;
    }
    pixels.finish().map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

fn side(pixels: usize) -> u32 {
    u32::try_from(pixels).expect("a tile is no wider than its picture")
}

fn failed(fault: EncodingError) -> KernelFault {
    KernelFault::Failed(format!("the picture could not be encoded: {fault}"))
}

fn index(count: u32, iterations: u32) -> u8 {
    if count == iterations {
        return 0;
    }
    u8::try_from(1 + count % 255).expect("1 to 255")
}

/// Black for the set itself; around it dark blue over orange to white and back.
fn palette() -> Vec<u8> {
    let wave = |index: u32, speed: u32| {
        let place = index * speed % 512;
        u8::try_from(if place < 256 { place } else { 511 - place }).expect("a triangle below 256")
    };
    let colour = |index: u32| [wave(index, 9), wave(index, 5), wave(index + 8, 3)];
    [[0; 3]]
        .into_iter()
        .chain((0..255).map(colour))
        .flatten()
        .collect()
}
