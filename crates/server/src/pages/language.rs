//! Which language a person reads.

use axum::http::{HeaderMap, Uri, header};

use super::texts::{EN, ES, Texts};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Spanish,
}

impl Language {
    /// By `?lang=`, else by `Accept-Language` (RFC 9110, 12.5.4), else English.
    fn of(headers: &HeaderMap, asked: Option<&str>) -> Self {
        let accepted = || {
            let line = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
            preferred(line)
        };
        asked
            .and_then(Self::named)
            .or_else(accepted)
            .unwrap_or(Self::English)
    }

    /// As [`Self::of`], whatever else is wrong with the query.
    pub(super) fn of_request(headers: &HeaderMap, uri: &Uri) -> Self {
        let mut pairs = uri.query().unwrap_or("").split('&');
        let asked = pairs.find_map(|pair| pair.strip_prefix("lang="));
        Self::of(headers, asked)
    }

    /// By the first part of a language tag, e.g. `es-AR`.
    fn named(tag: &str) -> Option<Self> {
        match tag
            .split('-')
            .next()
            .unwrap_or("")
            .trim()
            .to_ascii_lowercase()
            .as_str()
        {
            "en" => Some(Self::English),
            "es" => Some(Self::Spanish),
            _ => None,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
        }
    }

    pub(super) fn texts(self) -> &'static Texts {
        match self {
            Self::English => &EN,
            Self::Spanish => &ES,
        }
    }
}

/// The language of ours with the highest quality; of two equal ones the first.
fn preferred(line: &str) -> Option<Language> {
    let mut best: Option<(u16, Language)> = None;
    for item in line.split(',') {
        let mut parts = item.split(';');
        let language = parts.next().and_then(Language::named);
        let quality = parts
            .find_map(|part| part.trim().strip_prefix("q="))
            .map_or(1000, thousandths);
        if let Some(language) = language
            && quality > best.map_or(0, |(quality, _)| quality)
        {
            best = Some((quality, language));
        }
    }
    best.map(|(_, language)| language)
}

/// `0.85` as 850; what is no quality counts as none.
fn thousandths(text: &str) -> u16 {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    match (whole, fraction.parse::<u16>()) {
        ("0", Ok(fraction)) => fraction,
        ("1", Ok(_)) => 1000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(accept: &'static str, asked: Option<&str>) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static(accept));
        Language::of(&headers, asked)
    }

    #[test]
    fn the_asked_language_wins_then_the_best_accepted_one_then_english() {
        assert_eq!(of("en", Some("es")), Language::Spanish);
        assert_eq!(of("es-AR,es;q=0.9,en;q=0.8", None), Language::Spanish);
        assert_eq!(of("fr, en;q=0.5, es;q=0.7", None), Language::Spanish);
        assert_eq!(of("es;q=0, en;q=0.1", None), Language::English);
        assert_eq!(of("de", Some("xx")), Language::English);
        assert_eq!(Language::of(&HeaderMap::new(), None), Language::English);
    }
}
