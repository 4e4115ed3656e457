//! Typed access to the fields of a tree, with the path of each.

use std::{collections::BTreeMap, time::Duration};

use flota_model::units::{Bytes, Cpus};

use crate::{
    quantity::{DURATION_MAX, parse_duration, parse_size},
    spec::{
        fault::{Faults, nearest, quoted},
        tree::Tree,
    },
};

/// A table of which fields are taken one by one; what is left at the end is unknown.
#[derive(Default)]
pub(super) struct Fields {
    path: String,
    left: BTreeMap<String, Tree>,
    asked: Vec<&'static str>,
}

/// A value and where it was given.
pub(super) struct Given {
    pub(super) path: String,
    pub(super) tree: Tree,
}

impl Fields {
    /// The fields of a table; anything else is a fault.
    pub(super) fn of(path: String, tree: Tree, faults: &mut Faults) -> Option<Self> {
        match tree {
            Tree::Table(left) => Some(Self {
                path,
                left,
                asked: Vec::new(),
            }),
            Tree::Null
            | Tree::Bool(_)
            | Tree::Whole(_)
            | Tree::Decimal(_)
            | Tree::Text(_)
            | Tree::List(_) => {
                faults.add(&path, format!("expected a table, found {}", tree.kind()));
                None
            }
        }
    }

    /// The value of a field; `null` counts as absent.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Given> {
        self.asked.push(name);
        let tree = self.left.remove(name).filter(|tree| *tree != Tree::Null)?;
        Some(Given {
            path: self.path_of(name),
            tree,
        })
    }

    /// As [`Self::take`]; its absence is a fault.
    pub(super) fn required(&mut self, name: &'static str, faults: &mut Faults) -> Option<Given> {
        let given = self.take(name);
        if given.is_none() {
            faults.add(&self.path_of(name), "missing");
        }
        given
    }

    /// Every field that nobody asked for is a fault.
    pub(super) fn finish(self, faults: &mut Faults) {
        for name in self.left.keys() {
            let path = self.path_of(name);
            let hint = match nearest(name, &self.asked) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known: {}", self.asked.join(", ")),
            };
            faults.add_with_hint(&path, "unknown field", hint);
        }
    }

    /// All fields, whatever their names.
    pub(super) fn entries<T>(
        mut self,
        faults: &mut Faults,
        read: impl Fn(Given, &mut Faults) -> Option<T>,
    ) -> BTreeMap<String, T> {
        let mut entries = BTreeMap::new();
        for (name, tree) in std::mem::take(&mut self.left) {
            let path = self.path_of(&name);
            if let Some(value) = read(Given { path, tree }, faults) {
                entries.insert(name, value);
            }
        }
        entries
    }

    fn path_of(&self, name: &str) -> String {
        // A name that nobody chose with care (a whole body as a key) must not fill the answer.
        let plain = name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_graphic());
        let name = if plain { name.to_owned() } else { quoted(name) };
        if self.path.is_empty() {
            name
        } else {
            format!("{}.{name}", self.path)
        }
    }
}

impl Given {
    fn expected<T>(&self, what: &str, faults: &mut Faults) -> Option<T> {
        faults.add(
            &self.path,
            format!("expected {what}, found {}", self.tree.kind()),
        );
        None
    }

    pub(super) fn text(self, faults: &mut Faults) -> Option<String> {
        match self.tree {
            Tree::Text(text) => Some(text),
            Tree::Bool(_) | Tree::Whole(_) | Tree::Decimal(_) => {
                let what = format!("expected a string, found {}", self.tree.kind());
                faults.add_with_hint(&self.path, what, "write it in quotes");
                None
            }
            Tree::Null | Tree::List(_) | Tree::Table(_) => self.expected("a string", faults),
        }
    }

    /// A string, or a whole number as its text.
    pub(super) fn name_or_number(self, faults: &mut Faults) -> Option<String> {
        match self.tree {
            Tree::Whole(number) => Some(number.to_string()),
            Tree::Text(_)
            | Tree::Null
            | Tree::Bool(_)
            | Tree::Decimal(_)
            | Tree::List(_)
            | Tree::Table(_) => self.text(faults),
        }
    }

    pub(super) fn truth(self, faults: &mut Faults) -> Option<bool> {
        match self.tree {
            Tree::Bool(value) => Some(value),
            Tree::Null
            | Tree::Whole(_)
            | Tree::Decimal(_)
            | Tree::Text(_)
            | Tree::List(_)
            | Tree::Table(_) => self.expected("`true` or `false`", faults),
        }
    }

    /// A string, or a number or boolean as its text.
    pub(super) fn scalar(self, faults: &mut Faults) -> Option<String> {
        match self.tree {
            Tree::Text(text) => Some(text),
            Tree::Bool(value) => Some(value.to_string()),
            Tree::Whole(value) => Some(value.to_string()),
            Tree::Decimal(value) => Some(value.to_string()),
            Tree::Null | Tree::List(_) | Tree::Table(_) => {
                self.expected("a string, a number or a boolean", faults)
            }
        }
    }

    pub(super) fn texts(self, faults: &mut Faults) -> Vec<String> {
        let Tree::List(list) = self.tree else {
            self.expected::<()>("a list of strings", faults);
            return Vec::new();
        };
        let mut texts = Vec::with_capacity(list.len());
        for (index, tree) in list.into_iter().enumerate() {
            if let Tree::Text(text) = tree {
                texts.push(text);
                continue;
            }
            // The path is made for a fault only: a list may have thousands of items.
            let given = Given {
                path: format!("{}[{index}]", self.path),
                tree,
            };
            texts.push(given.text(faults).unwrap_or_else(|| "?".to_owned()));
        }
        texts
    }

    /// The items of a list; anything else is a fault.
    pub(super) fn items(self, faults: &mut Faults) -> Vec<Self> {
        let Tree::List(list) = self.tree else {
            self.expected::<()>("a list", faults);
            return Vec::new();
        };
        let item = |(index, tree)| Self {
            path: format!("{}[{index}]", self.path),
            tree,
        };
        list.into_iter().enumerate().map(item).collect()
    }

    pub(super) fn whole<T: TryFrom<i128>>(self, faults: &mut Faults) -> Option<T> {
        let Tree::Whole(value) = self.tree else {
            return self.expected("a whole number", faults);
        };
        let fit = T::try_from(value).ok();
        if fit.is_none() {
            faults.add(&self.path, format!("{value} is out of range"));
        }
        fit
    }

    pub(super) fn duration(self, faults: &mut Faults) -> Option<Duration> {
        let seconds_max = DURATION_MAX.as_secs();
        match &self.tree {
            Tree::Text(text) => match parse_duration(text) {
                Ok(span) => return Some(span),
                Err(fault) => faults.add(&self.path, fault.to_string()),
            },
            Tree::Whole(seconds) => match u64::try_from(*seconds) {
                Ok(seconds) if seconds <= seconds_max => return Some(Duration::from_secs(seconds)),
                Ok(_) => faults.add(&self.path, format!("{seconds} seconds is over ten years")),
                Err(_) => faults.add(&self.path, format!("{seconds} seconds is below zero")),
            },
            Tree::Decimal(seconds) => match micros(*seconds) {
                Some(span) if span <= DURATION_MAX => return Some(span),
                _ => faults.add(&self.path, format!("{seconds} is no number of seconds")),
            },
            Tree::Null | Tree::Bool(_) | Tree::List(_) | Tree::Table(_) => {
                return self.expected("a duration such as \"1.5s\" or a number of seconds", faults);
            }
        }
        None
    }

    pub(super) fn size(self, faults: &mut Faults) -> Option<Bytes> {
        if let Tree::Text(text) = &self.tree {
            return match parse_size(text) {
                Ok(size) => Some(size),
                Err(fault) => {
                    faults.add(&self.path, fault.to_string());
                    None
                }
            };
        }
        if let Tree::Whole(_) = self.tree {
            return self.whole(faults).map(Bytes);
        }
        self.expected("a size such as \"512MiB\" or a number of bytes", faults)
    }

    /// Cores with at most three decimals.
    pub(super) fn cpus(self, faults: &mut Faults) -> Option<Cpus> {
        let cores = match self.tree {
            Tree::Decimal(cores) => cores,
            // Above 2^53 it is rounded, and out of range either way.
            #[expect(clippy::cast_precision_loss, reason = "see above")]
            Tree::Whole(cores) => cores as f64,
            Tree::Null | Tree::Bool(_) | Tree::Text(_) | Tree::List(_) | Tree::Table(_) => {
                return self.expected("a number of cores", faults);
            }
        };
        let thousandths = (cores * 1000.0).round();
        if !(0.0..=f64::from(u32::MAX)).contains(&thousandths) {
            faults.add(&self.path, format!("{cores} is out of range"));
            return None;
        }
        if (cores * 1000.0 - thousandths).abs() > 1e-3 {
            faults.add(&self.path, format!("{cores} has more than three decimals"));
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it was rounded, and compared with the range just above"
        )]
        Some(Cpus(thousandths as u32))
    }
}

/// A number of seconds, rounded to the microsecond.
fn micros(seconds: f64) -> Option<Duration> {
    let span = Duration::try_from_secs_f64(seconds).ok()?;
    let rounded = (span.as_nanos() + 500) / 1_000;
    u64::try_from(rounded).ok().map(Duration::from_micros)
}
