//! What a measurement prints: one flat object.

use flota_client::{Failure, Format, Screen};
use serde_json::Value;

/// Keys with their values, in the order of `INTERFACES`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Report(Vec<(&'static str, Value)>);

impl Report {
    pub(super) fn new(bench: &'static str) -> Self {
        Self::default().with("bench", bench)
    }

    pub(super) fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((key, value.into()));
        self
    }

    /// A measured number; four digits behind the point are more than any of ours is worth.
    pub(super) fn measured(self, key: &'static str, value: f64) -> Self {
        self.with(key, (value * 10_000.0).round() / 10_000.0)
    }

    /// A rate: whole ones.
    pub(super) fn rate(self, key: &'static str, value: f64) -> Self {
        self.with(key, value.round())
    }

    pub(super) fn print(&self, screen: &mut Screen, format: Format) -> Result<(), Failure> {
        let text = match format {
            Format::Table => self.for_people(),
            Format::Json | Format::JsonLines => self.json(),
            Format::Csv => self.csv(),
            Format::Name => self.0.iter().take(1).map(|(_, name)| plain(name)).collect(),
        };
        screen.print_line(&text)
    }

    pub(super) fn json(&self) -> String {
        // By hand, because a map of `serde_json` forgets the order.
        let pairs = self
            .0
            .iter()
            .map(|(key, value)| format!("\"{key}\":{value}"));
        format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
    }

    fn for_people(&self) -> String {
        let width = self.0.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
        let lines = self
            .0
            .iter()
            .map(|(key, value)| format!("{key:<width$}  {}\n", plain(value)));
        lines.collect()
    }

    fn csv(&self) -> String {
        // No value of ours has a comma or a quote.
        let (keys, values): (Vec<_>, Vec<_>) = self
            .0
            .iter()
            .map(|(key, value)| (*key, plain(value)))
            .unzip();
        format!("{}\n{}", keys.join(","), values.join(","))
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
