//! Columns of text.

use unicode_width::UnicodeWidthStr as _;

/// Between two columns.
const GAP: &str = "  ";

/// A cell: what is written, and how many columns of the terminal it takes.
pub(super) struct Cell {
    pub(super) plain: String,
    /// The same with colours.
    pub(super) shown: String,
}

impl Cell {
    fn width(&self) -> usize {
        self.plain.width()
    }
}

/// Lays out rows; `right` says which columns are aligned to the right. No line ends with spaces.
pub(super) fn lay_out(rows: &[Vec<Cell>], right: &[bool]) -> String {
    let widths: Vec<usize> = (0..right.len())
        .map(|column| {
            rows.iter()
                .map(|row| row[column].width())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        let last = row
            .iter()
            .rposition(|cell| !cell.plain.is_empty())
            .map_or(0, |index| index + 1);
        for (column, cell) in row.iter().enumerate().take(last) {
            let padding = " ".repeat(widths[column] - cell.width());
            if column > 0 {
                line.push_str(GAP);
            }
            if right[column] {
                line.push_str(&padding);
            }
            line.push_str(&cell.shown);
            if !right[column] && column + 1 < last {
                line.push_str(&padding);
            }
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}
