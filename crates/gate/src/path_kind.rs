//! What a path looks like by the extension of its last segment.

/// The kind of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathKind {
    /// A page: no extension, or one of a program or a text that makes pages.
    Page,
    /// What browsers load with a page: pictures, styles, scripts, fonts.
    Asset,
    /// Anything else: feeds, data, documents, films.
    Other,
}

const PAGES: [&str; 10] =
    ["html", "htm", "xhtml", "php", "asp", "aspx", "jsp", "cgi", "do", "shtml"];
const ASSETS: [&str; 19] = [
    "css", "js", "mjs", "map", "png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "bmp",
    "woff", "woff2", "ttf", "otf", "eot", "wasm",
];

impl PathKind {
    /// The kind of `path`, which has no query.
    pub(crate) fn of(path: &str) -> Self {
        let segment = path.rsplit('/').next().unwrap_or(path);
        let Some((_, extension)) = segment.rsplit_once('.') else { return Self::Page };
        let is = |known: &&str| extension.eq_ignore_ascii_case(known);
        if ASSETS.iter().any(is) {
            Self::Asset
        } else if PAGES.iter().any(is) {
            Self::Page
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_known_by_its_last_segment() {
        for (path, kind) in [
            ("/", PathKind::Page),
            ("/news/2026", PathKind::Page),
            ("/v1.2/news", PathKind::Page),
            ("/index.PHP", PathKind::Page),
            ("/a/site.css", PathKind::Asset),
            ("/photo.JPG", PathKind::Asset),
            ("/feed.xml", PathKind::Other),
            ("/plan.pdf", PathKind::Other),
            ("", PathKind::Page),
        ] {
            assert_eq!(PathKind::of(path), kind, "{path}");
        }
    }
}
