//! Lists and single things in every format.

use serde::Serialize;

use super::{
    Format, Paint, Screen,
    table::{Cell, lay_out},
    text::clean,
};
use crate::failure::Failure;

/// Makes the text of a cell.
type Show<T> = Box<dyn Fn(&T) -> String>;

/// One column of a list.
pub struct Field<T> {
    /// Header of CSV; the same in every language.
    key: &'static str,
    /// Header of tables.
    header: String,
    /// Whether it is a number.
    right: bool,
    /// For tables.
    show: Show<T>,
    /// For CSV; as for tables when absent.
    raw: Option<Show<T>>,
    /// Whether its words have colours.
    state: bool,
}

impl<T> Field<T> {
    /// A column of text.
    pub fn text(key: &'static str, header: String, show: impl Fn(&T) -> String + 'static) -> Self {
        Self {
            key,
            header,
            right: false,
            show: Box::new(show),
            raw: None,
            state: false,
        }
    }

    /// A column of numbers.
    pub fn number(
        key: &'static str,
        header: String,
        show: impl Fn(&T) -> String + 'static,
    ) -> Self {
        Self {
            right: true,
            ..Self::text(key, header, show)
        }
    }

    /// A column of state words.
    pub fn state(key: &'static str, header: String, show: impl Fn(&T) -> String + 'static) -> Self {
        Self {
            state: true,
            ..Self::text(key, header, show)
        }
    }

    /// What CSV has instead of the text for people.
    #[must_use]
    pub fn raw(self, raw: impl Fn(&T) -> String + 'static) -> Self {
        Self {
            raw: Some(Box::new(raw)),
            ..self
        }
    }

    /// The same column of things that have such a thing within.
    pub fn within<U: 'static>(self, inner: fn(&U) -> &T) -> Field<U>
    where
        T: 'static,
    {
        let show = self.show;
        let raw = self
            .raw
            .map(|raw| -> Show<U> { Box::new(move |item| raw(inner(item))) });
        Field {
            key: self.key,
            header: self.header,
            right: self.right,
            show: Box::new(move |item| show(inner(item))),
            raw,
            state: self.state,
        }
    }

    fn csv(&self, item: &T) -> String {
        match &self.raw {
            Some(raw) => raw(item),
            None => (self.show)(item),
        }
    }
}

/// A list of things of one kind.
pub struct Listing<'a, T> {
    /// The things.
    pub items: &'a [T],
    /// The columns.
    pub fields: Vec<Field<T>>,
    /// What a command takes as its argument.
    pub name: fn(&T) -> String,
}

impl<T: Serialize> Listing<'_, T> {
    /// Prints it in the format of the screen.
    pub fn print(&self, screen: &mut Screen) -> Result<(), Failure> {
        match screen.format() {
            Format::Table => {
                let text = self.table(screen);
                screen.print(&text)
            }
            Format::Json => print_json(screen, &self.items),
            Format::JsonLines => self
                .items
                .iter()
                .try_for_each(|item| screen.print_line(&json_line(item))),
            Format::Csv => {
                let text = self.csv(screen.style.headers);
                screen.print(&text)
            }
            Format::Name => self
                .items
                .iter()
                .try_for_each(|item| screen.print_line(&(self.name)(item))),
        }
    }

    fn table(&self, screen: &Screen) -> String {
        let mut rows = Vec::with_capacity(self.items.len() + 1);
        if screen.style.headers && !self.items.is_empty() {
            let header = |field: &Field<T>| cell(screen, &field.header, Some(Paint::Bold));
            rows.push(self.fields.iter().map(header).collect());
        }
        for item in self.items {
            let shown = |field: &Field<T>| {
                let text = clean(&(field.show)(item));
                let paint = if field.state {
                    Paint::of_state(&text)
                } else {
                    None
                };
                cell(screen, &text, paint)
            };
            rows.push(self.fields.iter().map(shown).collect());
        }
        let right: Vec<bool> = self.fields.iter().map(|field| field.right).collect();
        lay_out(&rows, &right)
    }

    fn csv(&self, headers: bool) -> String {
        let mut text = String::new();
        if headers {
            let keys = self.fields.iter().map(|field| field.key.to_owned());
            push_csv_row(&mut text, keys);
        }
        for item in self.items {
            push_csv_row(&mut text, self.fields.iter().map(|field| field.csv(item)));
        }
        text
    }
}

/// One thing, field by field.
pub(crate) struct Details<'a, T> {
    pub(crate) item: &'a T,
    pub(crate) fields: Vec<Field<T>>,
    pub(crate) name: fn(&T) -> String,
}

impl<T: Serialize> Details<'_, T> {
    /// Prints it in the format of the screen.
    pub(crate) fn print(self, screen: &mut Screen) -> Result<(), Failure> {
        match screen.format() {
            Format::Table => {
                let text = self.table(screen);
                screen.print(&text)
            }
            Format::Json => print_json(screen, self.item),
            Format::JsonLines => screen.print_line(&json_line(self.item)),
            Format::Csv | Format::Name => {
                let items = std::slice::from_ref(self.item);
                Listing {
                    items,
                    fields: self.fields,
                    name: self.name,
                }
                .print(screen)
            }
        }
    }

    fn table(&self, screen: &Screen) -> String {
        let row = |field: &Field<T>| {
            let text = clean(&(field.show)(self.item));
            let paint = if field.state {
                Paint::of_state(&text)
            } else {
                None
            };
            vec![
                cell(screen, &field.header, Some(Paint::Bold)),
                cell(screen, &text, paint),
            ]
        };
        let rows: Vec<Vec<Cell>> = self.fields.iter().map(row).collect();
        lay_out(&rows, &[false, false])
    }
}

/// Prints a table of texts; `right` says which columns are numbers.
pub(crate) fn print_rows(
    screen: &mut Screen,
    headers: Vec<String>,
    rows: &[Vec<String>],
    right: &[bool],
) -> Result<(), Failure> {
    let line = |texts: &[String], paint| {
        let cells = texts.iter().map(|text| cell(screen, &clean(text), paint));
        cells.collect::<Vec<Cell>>()
    };
    let header = screen
        .style
        .headers
        .then(|| line(&headers, Some(Paint::Bold)));
    let rows = rows.iter().map(|row| line(row, None));
    let all: Vec<Vec<Cell>> = header.into_iter().chain(rows).collect();
    let text = lay_out(&all, right);
    screen.print(&text)
}

fn cell(screen: &Screen, text: &str, paint: Option<Paint>) -> Cell {
    let shown = match paint {
        Some(paint) if !text.is_empty() => screen.paint_out(text, paint),
        _ => text.to_owned(),
    };
    Cell {
        plain: text.to_owned(),
        shown,
    }
}

/// A whole document, so that what is read is never a part of JSON.
pub(crate) fn print_json(screen: &mut Screen, value: &impl Serialize) -> Result<(), Failure> {
    screen.print_line(&json_document(value))
}

fn json_document(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("answers of the API are plain values")
}

fn json_line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("answers of the API are plain values")
}

/// RFC 4180, with the line ends of this system.
fn push_csv_row(text: &mut String, values: impl Iterator<Item = String>) {
    for (index, value) in values.enumerate() {
        if index > 0 {
            text.push(',');
        }
        if value.contains([',', '"', '\n', '\r']) {
            text.push('"');
            text.push_str(&value.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(&value);
        }
    }
    text.push('\n');
}
