//! What goes in and comes out of a route.

use flota_wire::rest::page::PAGE_MAX;
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Makes the schema of a type; the definitions that it needs stay in the generator.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The schema of `T`, for entries that are constant.
pub(crate) fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Where a parameter is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Path,
    Query,
    Header,
}

impl Place {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
        }
    }
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    Text,
    Number {
        min: u64,
        max: u64,
    },
    OneOf(&'static [&'static str]),
    /// Words with commas between.
    SomeOf(&'static [&'static str]),
}

/// One parameter of a route.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    /// One sentence, with the default.
    pub(crate) about: &'static str,
    pub(crate) shape: Shape,
    /// For the example of a request; empty where there is none.
    pub(crate) example: &'static str,
}

impl Parameter {
    pub(crate) const fn path(
        name: &'static str,
        about: &'static str,
        example: &'static str,
    ) -> Self {
        Self {
            name,
            place: Place::Path,
            about,
            shape: Shape::Text,
            example,
        }
    }

    /// One that may be left out of the query.
    pub(crate) const fn query(name: &'static str, shape: Shape, about: &'static str) -> Self {
        Self {
            name,
            place: Place::Query,
            about,
            shape,
            example: "",
        }
    }

    /// One that may be left out of the header.
    pub(crate) const fn header(name: &'static str, shape: Shape, about: &'static str) -> Self {
        Self {
            place: Place::Header,
            ..Self::query(name, shape, about)
        }
    }
}

/// `{job}`
pub(crate) const JOB: Parameter = Parameter::path("job", "A job's number, or `last`.", "last");
/// `{task}`
pub(crate) const INDEX: Parameter = Parameter::path("task", "A task's index.", "0");
/// `{node}`
pub(crate) const NODE: Parameter = Parameter::path("node", "A node's name or number.", "1");
/// `{service}`
pub(crate) const SERVICE: Parameter = Parameter::path("service", "A service's name.", "web");
/// `{handle}`
pub(crate) const HANDLE: Parameter = Parameter::path(
    "handle",
    "A process's `handle`, as listed.",
    "1-0123456789abcdef0123456789abcdef-4711-98765-36852",
);
/// `{pid}`
pub(crate) const PID: Parameter = Parameter::path("pid", "A process's number.", "4711");
/// `{stream}`
pub(crate) const STREAM: Parameter = Parameter {
    shape: Shape::OneOf(&["stdout", "stderr", "result"]),
    ..Parameter::path("stream", "Which output.", "stdout")
};
/// Of an attempt.
pub(crate) const ATTEMPT: Parameter = Parameter::query(
    "attempt",
    Shape::Text,
    "`EPOCH-SALT-SEQUENCE`; else the attempt that counted, ended last, or runs now.",
);
/// Of a page for people.
pub(crate) const LANGUAGE: Parameter = Parameter::query(
    "lang",
    Shape::OneOf(&["en", "es"]),
    "The language; else by `Accept-Language`.",
);
/// Items of a page.
pub(crate) const PAGE: Parameter = Parameter::query(
    "limit",
    Shape::Number {
        min: 1,
        max: PAGE_MAX as u64,
    },
    "Most items of the page.",
);

/// What a request carries.
#[derive(Clone, Copy)]
pub(crate) struct Body {
    /// One sentence.
    pub(crate) about: &'static str,
    /// `application/json`.
    pub(crate) schema: SchemaOf,
    /// JSON, for the example of a request.
    pub(crate) example: &'static str,
}

/// What an answer carries.
#[derive(Clone, Copy)]
pub(crate) enum Content {
    None,
    Json(SchemaOf),
    /// Anything else, of these types.
    Media(&'static [&'static str]),
}

/// One way in which all is well.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// One sentence.
    pub(crate) about: &'static str,
    pub(crate) content: Content,
}

impl Answer {
    /// 200 with JSON.
    pub(crate) const fn json(about: &'static str, schema: SchemaOf) -> Self {
        Self::json_with(200, about, schema)
    }

    /// Another status with JSON.
    pub(crate) const fn json_with(status: u16, about: &'static str, schema: SchemaOf) -> Self {
        Self {
            status,
            about,
            content: Content::Json(schema),
        }
    }

    /// 200 with something else.
    pub(crate) const fn media(about: &'static str, media: &'static [&'static str]) -> Self {
        Self {
            status: 200,
            about,
            content: Content::Media(media),
        }
    }
}
