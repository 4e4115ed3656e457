//! Puts the tiles of a picture of the kernel `julia` together: `stitch OUT COLUMNS TILE…`, the tiles
//! row by row from the top left. The demo shows its picture with it.

use std::{
    error::Error,
    fs::File,
    io::{BufReader, BufWriter},
};

use png::{BitDepth, ColorType, Decoder, Encoder};

/// The pixels of a tile, a byte each.
struct Tile {
    width: usize,
    pixels: Vec<u8>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, columns, tiles @ ..] = &arguments[..] else {
        return Err("usage: stitch OUT COLUMNS TILE…".into());
    };
    let columns: usize = columns.parse()?;
    if columns == 0 || tiles.is_empty() || tiles.len() % columns != 0 {
        return Err(format!("{} tiles do not fill rows of {columns}", tiles.len()).into());
    }
    let mut palette = Vec::new();
    let mut picture = Vec::new();
    let mut width = 0;
    for row in tiles.chunks(columns) {
        let row = row
            .iter()
            .map(|tile| read(tile, &mut palette))
            .collect::<Result<Vec<_>, _>>()?;
        width = row.iter().map(|tile| tile.width).sum();
        append(&mut picture, &row);
    }
    write(out, width, &picture, palette)
}

fn read(path: &str, palette: &mut Vec<u8>) -> Result<Tile, Box<dyn Error>> {
    let file = File::open(path).map_err(|fault| format!("{path}: {fault}"))?;
    let mut reader = Decoder::new(BufReader::new(file)).read_info()?;
    let mut pixels = vec![0; reader.output_buffer_size().ok_or("a tile too large")?];
    reader.next_frame(&mut pixels)?;
    let info = reader.info();
    if info.color_type != ColorType::Indexed {
        return Err(format!("{path}: not a picture of the kernel julia").into());
    }
    palette.clear();
    palette.extend_from_slice(info.palette.as_deref().unwrap_or_default());
    Ok(Tile {
        width: usize::try_from(info.width)?,
        pixels,
    })
}

/// Appends a row of tiles, which are equally high, line by line.
fn append(picture: &mut Vec<u8>, row: &[Tile]) {
    let lines = row
        .iter()
        .map(|tile| tile.pixels.len() / tile.width)
        .min()
        .unwrap_or(0);
    for line in 0..lines {
        for tile in row {
            picture.extend_from_slice(&tile.pixels[line * tile.width..][..tile.width]);
        }
    }
}

fn write(path: &str, width: usize, pixels: &[u8], palette: Vec<u8>) -> Result<(), Box<dyn Error>> {
    let height = pixels.len() / width;
    let out = BufWriter::new(File::create(path).map_err(|fault| format!("{path}: {fault}"))?);
    let mut encoder = Encoder::new(out, u32::try_from(width)?, u32::try_from(height)?);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_palette(palette);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(())
}
