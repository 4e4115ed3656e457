//! `/docs/errors/{code}`: what an error means and what to do, where the `type` of every problem points.

use axum::{
    extract::Path,
    http::{HeaderMap, Uri},
    response::Response,
};
use include_dir::{Dir, include_dir};

use super::{
    Refresh,
    html::{Text, add},
    language::Language,
    overview::failed,
    page,
};
use crate::{
    edge::Parameters,
    problem::{Problem, ROUTE_UNKNOWN},
};

static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../docs/errors");

/// `GET /docs/errors/E-NODE-NOTFOUND?lang=es`: for everybody, as whoever has no credentials is sent
/// here, too. The texts are in English.
pub(crate) async fn error(Path(code): Path<String>, headers: HeaderMap, uri: Uri) -> Response {
    let language = Language::of_request(&headers, &uri);
    match Parameters::parse(&uri, &["lang"]).and_then(|_| text_of(&code)) {
        Ok(text) => page(language, &code, Refresh::Never, &render(text)),
        Err(problem) => failed(problem, &headers, &uri),
    }
}

/// The page of `docs/errors/` of that code.
fn text_of(code: &str) -> Result<&'static str, Problem> {
    let file = PAGES.get_file(format!("{code}.md"));
    let text = file.and_then(|file| file.contents_utf8());
    text.ok_or_else(|| Problem::new(ROUTE_UNKNOWN, format!("no error has the code `{code}`")))
}

/// Of Markdown these pages have a heading, paragraphs, and `**` and backquotes in them.
fn render(text: &str) -> String {
    let mut body = "<main lang=\"en\">".to_owned();
    for paragraph in text.split("\n\n") {
        match paragraph.trim().strip_prefix("# ") {
            Some(heading) => add(&mut body, format_args!("<h1>{}</h1>", Text(heading))),
            None => add(
                &mut body,
                format_args!("<p>{}</p>", marked(paragraph.trim())),
            ),
        }
    }
    body + "</main>"
}

/// A paragraph with its strong words and code.
fn marked(paragraph: &str) -> String {
    let escaped = Text(paragraph).to_string();
    let in_turns = |text: &str, mark: &str, name: &str| {
        let parts = text.split(mark).enumerate();
        parts
            .map(|(index, part)| match index % 2 {
                0 => part.to_owned(),
                _ => format!("<{name}>{part}</{name}>"),
            })
            .collect::<String>()
    };
    in_turns(&in_turns(&escaped, "**", "strong"), "`", "code")
}
