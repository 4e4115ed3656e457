//! Reads the parameters of a call by name, each within its range.

use std::{collections::BTreeMap, fmt::Debug, ops::RangeInclusive, str::FromStr};

use crate::{fault::KernelFault, nearest};

/// The parameters of one call, and which of them the kernel knows.
pub(crate) struct Parameters<'call> {
    given: &'call BTreeMap<String, String>,
    known: Vec<&'static str>,
}

impl<'call> Parameters<'call> {
    pub(crate) fn new(given: &'call BTreeMap<String, String>) -> Self {
        Self {
            given,
            known: Vec::new(),
        }
    }

    /// The value of `name`; `fallback` if absent.
    pub(crate) fn number_or<T>(
        &mut self,
        name: &'static str,
        range: RangeInclusive<T>,
        fallback: T,
    ) -> Result<T, KernelFault>
    where
        T: FromStr + PartialOrd + Debug,
    {
        match self.text(name) {
            Some(text) => number(name, text, range),
            None => Ok(fallback),
        }
    }

    /// The value of `name`, which must be given.
    pub(crate) fn number<T>(
        &mut self,
        name: &'static str,
        range: RangeInclusive<T>,
    ) -> Result<T, KernelFault>
    where
        T: FromStr + PartialOrd + Debug,
    {
        let text = self.text(name).ok_or_else(|| {
            let (start, end) = (range.start(), range.end());
            self.missing(name, || format!("give a number from {start:?} to {end:?}"))
        })?;
        number(name, text, range)
    }

    /// The index in `choices` of the value of `name`; `fallback` if absent.
    pub(crate) fn choice_or(
        &mut self,
        name: &'static str,
        choices: &[&'static str],
        fallback: usize,
    ) -> Result<usize, KernelFault> {
        self.text(name)
            .map_or(Ok(fallback), |text| choice(name, text, choices))
    }

    /// The index in `choices` of the value of `name`, which must be given.
    pub(crate) fn choice(
        &mut self,
        name: &'static str,
        choices: &[&'static str],
    ) -> Result<usize, KernelFault> {
        let text = self
            .text(name)
            .ok_or_else(|| self.missing(name, || format!("give one of {}", choices.join(", "))))?;
        choice(name, text, choices)
    }

    /// Refuses parameters that the kernel did not ask for.
    pub(crate) fn finish(self) -> Result<(), KernelFault> {
        let unknown = self
            .given
            .keys()
            .find(|name| !self.known.contains(&name.as_str()));
        let Some(name) = unknown else { return Ok(()) };
        let hint = match nearest::of(name, &self.known) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None if self.known.is_empty() => "it takes none".to_owned(),
            None => format!("it takes {}", self.known.join(", ")),
        };
        let what = "is not known to this kernel";
        Err(KernelFault::parameter_with_hint(name, what, hint))
    }

    /// The fault of a parameter that is not there: perhaps another one was meant to be it.
    fn missing(&self, name: &str, give: impl FnOnce() -> String) -> KernelFault {
        let given: Vec<&str> = self.given.keys().map(String::as_str).collect();
        let hint = match nearest::of(name, &given) {
            Some(typed) if !self.known.contains(&typed) => format!("did you mean it by `{typed}`?"),
            _ => give(),
        };
        KernelFault::parameter_with_hint(name, "is missing", hint)
    }

    fn text(&mut self, name: &'static str) -> Option<&'call str> {
        self.known.push(name);
        self.given.get(name).map(String::as_str)
    }
}

fn choice(name: &str, text: &str, choices: &[&'static str]) -> Result<usize, KernelFault> {
    choices
        .iter()
        .position(|choice| *choice == text)
        .ok_or_else(|| {
            KernelFault::parameter(
                name,
                format!("must be one of {}, not `{text}`", choices.join(", ")),
            )
        })
}

fn number<T>(name: &str, text: &str, range: RangeInclusive<T>) -> Result<T, KernelFault>
where
    T: FromStr + PartialOrd + Debug,
{
    // Not a number (NaN) is in no range.
    match text.parse() {
        Ok(value) if range.contains(&value) => Ok(value),
        _ => {
            let what = format!(
                "must be a number from {:?} to {:?}, not `{text}`",
                range.start(),
                range.end()
            );
            Err(KernelFault::parameter(name, what))
        }
    }
}
