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
        let text = self
            .text(name)
            .ok_or_else(|| KernelFault::parameter(name, "is missing"))?;
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
        let text = self.text(name).ok_or_else(|| {
            KernelFault::parameter(
                name,
                format!("is missing; give one of {}", choices.join(", ")),
            )
        })?;
        choice(name, text, choices)
    }

    /// Refuses parameters that the kernel did not ask for.
    pub(crate) fn finish(self) -> Result<(), KernelFault> {
        let unknown = self
            .given
            .keys()
            .find(|name| !self.known.contains(&name.as_str()));
        let Some(name) = unknown else { return Ok(()) };
        let what = match nearest::of(name, &self.known) {
            Some(nearest) => format!("is not known to this kernel; did you mean `{nearest}`?"),
            None if self.known.is_empty() => {
                "is not known to this kernel; it takes none".to_owned()
            }
            None => format!(
                "is not known to this kernel; it takes {}",
                self.known.join(", ")
            ),
        };
        Err(KernelFault::parameter(name, what))
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
