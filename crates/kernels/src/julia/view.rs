//! Which points of the complex plane the pixels of a picture, or of one tile of it, stand for.

use std::{collections::BTreeMap, ops::Range};

use crate::{fault::KernelFault, parameters::Parameters};

/// Widest and highest picture, all its tiles together.
const SIDE_MAX: u32 = 1 << 20;
/// Most pixels of one run: 64 MiB of counts. A larger picture is a job of several tiles.
const PIXELS_MAX: usize = 1 << 24;
/// Most columns and rows of tiles.
const TILES_PER_SIDE_MAX: u32 = 4096;
/// Bound of all coordinates and of c: beyond it every count is 0 or 1.
const COORDINATE_MAX: f64 = 1000.0;

/// A tile of a picture of a window of the complex plane.
///
/// The coordinates of a pixel come from its place in the whole picture, so that tiles put together
/// are the picture drawn in one piece, bit for bit.
pub(crate) struct View {
    /// Real parts of the pixels of a row, left to right.
    columns: Vec<f64>,
    /// Imaginary parts of the rows, from the top, where the window's upper bound is.
    rows: Vec<f64>,
    c_re: f64,
    c_im: f64,
}

/// The points of one row of pixels, and the constant of the set.
pub(crate) struct Line<'view> {
    /// Real parts, left to right.
    pub(crate) re: &'view [f64],
    /// The imaginary part of all of them.
    pub(crate) im: f64,
    /// Real part of c.
    pub(crate) c_re: f64,
    /// Imaginary part of c.
    pub(crate) c_im: f64,
}

impl View {
    pub(crate) fn parse(parameters: &mut Parameters<'_>) -> Result<Self, KernelFault> {
        let width = parameters.number_or("width", 1..=SIDE_MAX, 512)?;
        let height = parameters.number_or("height", 1..=SIDE_MAX, 512)?;
        let coordinate = -COORDINATE_MAX..=COORDINATE_MAX;
        let c_re = parameters.number_or("c_re", coordinate.clone(), -0.8)?;
        let c_im = parameters.number_or("c_im", coordinate.clone(), 0.156)?;
        let x0 = parameters.number_or("x0", coordinate.clone(), -1.8)?;
        let x1 = parameters.number_or("x1", coordinate.clone(), 1.8)?;
        let y0 = parameters.number_or("y0", coordinate.clone(), -1.8)?;
        let y1 = parameters.number_or("y1", coordinate, 1.8)?;
        ordered("x1", x0, x1)?;
        ordered("y1", y0, y1)?;

        let across = parameters.number_or("columns", 1..=width.min(TILES_PER_SIDE_MAX), 1)?;
        let down = parameters.number_or("rows", 1..=height.min(TILES_PER_SIDE_MAX), 1)?;
        let tile = parameters.number_or("tile", 0..=across * down - 1, 0)?;
        let columns = share(width, tile % across, across);
        let rows = share(height, tile / across, down);
        limit_pixels(&columns, &rows)?;
        Ok(Self {
            columns: columns.map(|column| at(column, width, x0, x1)).collect(),
            rows: rows.map(|row| at(row, height, y1, y0)).collect(),
            c_re,
            c_im,
        })
    }

    /// The picture that [`Self::parse`] gives where nothing but its size is said.
    pub(crate) fn parse_whole(parameters: &mut Parameters<'_>) -> Result<Self, KernelFault> {
        let width = parameters.number_or("width", 1..=SIDE_MAX, 512)?;
        let height = parameters.number_or("height", 1..=SIDE_MAX, 512)?;
        if width as usize * height as usize > PIXELS_MAX {
            let what = format!(
                "and `height` make {} pixels, and one run draws at most {PIXELS_MAX}",
                u64::from(width) * u64::from(height)
            );
            return Err(KernelFault::parameter("width", what));
        }
        let size = [("width", width), ("height", height)];
        let size = size.map(|(name, pixels)| (name.to_owned(), pixels.to_string()));
        Self::parse(&mut Parameters::new(&BTreeMap::from(size)))
    }

    /// Pixels in a row of the tile.
    pub(crate) fn tile_width(&self) -> usize {
        self.columns.len()
    }

    /// Rows of the tile.
    pub(crate) fn tile_height(&self) -> usize {
        self.rows.len()
    }

    /// The points of row `row` of the tile.
    pub(crate) fn line(&self, row: usize) -> Line<'_> {
        Line {
            re: &self.columns,
            im: self.rows[row],
            c_re: self.c_re,
            c_im: self.c_im,
        }
    }
}

/// The pixels of part `part` of `parts` along a side; sizes differ by at most one.
fn share(pixels: u32, part: u32, parts: u32) -> Range<u32> {
    let bound = |part: u32| {
        let bound = u64::from(pixels) * u64::from(part) / u64::from(parts);
        u32::try_from(bound).expect("a part of a side is no longer than the side")
    };
    bound(part)..bound(part + 1)
}

/// The coordinate of a pixel of a side that reaches from `from` to before `to`, so that windows which
/// share a bound share no pixel.
fn at(pixel: u32, pixels: u32, from: f64, to: f64) -> f64 {
    from + (to - from) * f64::from(pixel) / f64::from(pixels)
}

fn ordered(name: &str, lower: f64, upper: f64) -> Result<(), KernelFault> {
    if lower < upper {
        return Ok(());
    }
    let what = format!("must be greater than {lower:?}, where the window begins, not {upper:?}");
    Err(KernelFault::parameter(name, what))
}

fn limit_pixels(columns: &Range<u32>, rows: &Range<u32>) -> Result<(), KernelFault> {
    let pixels = columns.len() * rows.len();
    if pixels <= PIXELS_MAX {
        return Ok(());
    }
    let what = format!("makes a tile of {pixels} pixels, and one run draws at most {PIXELS_MAX}");
    let hint = "raise `columns` or `rows`";
    Err(KernelFault::parameter_with_hint("width", what, hint))
}
