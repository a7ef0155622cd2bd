//! The page `/try`, for whoever looks at the pages for the first time: sample people, their cards to import, and where the
//! mails are. It stands beside the portal's routes, and in the stand-in alone: what is deployed has no such page.

use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::{Method, Response, StatusCode, header};

use crate::files;
use crate::pki::card::PIN;
use crate::pki::samples::{Shown, shown};

/// Where the page is; what it links to is below it.
const AT: &str = "/try";

const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = "\
:root { color-scheme: light dark; color: light-dark(#1a2029, #e9edf2); background: light-dark(#fff, #11151a); }
:focus-visible { outline: 3px solid currentcolor; outline-offset: 2px; }
body { max-width: 52rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.6 system-ui, sans-serif; overflow-wrap: break-word; }
ul { padding: 0; list-style: none; }
li li, ul > li { padding: 0.5rem 0; border-bottom: 1px solid #8888; }
ol > li { margin-block: 0.5rem; }
a { display: inline-block; padding-block: 0.25rem; color: light-dark(#0a5684, #8ac6f2); }
p { margin: 0; }
";

/// The page, and the files that it offers.
#[derive(Debug)]
pub struct Trial {
    html: String,
    cards: PathBuf,
    server_ca: PathBuf,
}

impl Trial {
    /// A page about the cards of a folder, with links to the mailbox.
    #[must_use]
    pub fn new(cards: PathBuf, server_ca: PathBuf, mailbox: &str) -> Self {
        let there = |card: &&Shown| card_file(&cards, card).exists();
        let items: String = shown().iter().filter(there).map(item).collect();
        let html = format!(
            "<!doctype html>\n<html lang=\"zh-TW\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>試用 Try it</title>\n<link rel=\"stylesheet\" href=\"{AT}/style.css\">\n</head>\n<body>\n<main>\n\
             <h1>試用 <span lang=\"en\">Try it</span></h1>\n\
             <p>這個頁面只在本機的模擬環境中，人員與卡片都是假的。 <span lang=\"en\">This page is part of the local \
             stand-in only; people and cards are made up.</span></p>\n<ol>\n\
             <li><p>讓瀏覽器信任 <span lang=\"en\">Let your browser trust</span></p><a href=\"{AT}/ca.pem\" download>ca.pem</a></li>\n\
             <li><p>匯入一張卡片，密碼 {PIN} <span lang=\"en\">Import a card; its password is {PIN}</span></p>\n<ul>\n{items}</ul></li>\n\
             <li><p>以憑證登入；或先以 hr-head 重設沒有卡片者的密碼，例如周九 N212036550，再收信。 <span lang=\"en\">Sign in \
             with the card; or reset the password of somebody without one as hr-head, such as 周九 N212036550, and read the \
             mail.</span></p><a href=\"/\">登入 <span lang=\"en\">Sign in</span></a> · <a href=\"{mailbox}\">信箱 <span \
             lang=\"en\">Mailbox</span></a></li>\n</ol>\n</main>\n</body>\n</html>\n"
        );
        Self { html, cards, server_ca }
    }

    /// Answers a request for the page or for something that it offers, and nothing else.
    #[must_use]
    pub fn answer(&self, method: &Method, path: &str) -> Option<Response<Body>> {
        let below = path.strip_prefix(AT)?;
        if method != Method::GET {
            return None;
        }
        let (media_type, content) = match below {
            "" => ("text/html; charset=utf-8", self.html.clone().into_bytes()),
            "/style.css" => ("text/css; charset=utf-8", STYLE.as_bytes().to_vec()),
            "/ca.pem" => ("application/x-pem-file", files::read(&self.server_ca).ok()?),
            card => {
                let name = card.strip_prefix("/cards/")?.strip_suffix(".p12")?;
                let card = shown().into_iter().find(|card| card.folder == name)?;
                ("application/x-pkcs12", files::read(&card_file(&self.cards, &card)).ok()?)
            }
        };
        Response::builder()
            .status(StatusCode::OK)
            .header(header::CONTENT_TYPE, media_type)
            .header(header::CONTENT_SECURITY_POLICY, POLICY)
            .header(header::CACHE_CONTROL, "no-store")
            .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .body(Body::from(content))
            .ok()
    }
}

fn card_file(cards: &Path, card: &Shown) -> PathBuf {
    cards.join(card.folder).join("card.p12")
}

/// A card's line. Nothing in it comes from outside.
fn item(card: &Shown) -> String {
    let Shown { folder, holder, what, what_zh } = card;
    format!(
        "<li><a href=\"{AT}/cards/{folder}.p12\" download>{folder}.p12</a>\n<p><strong>{holder}</strong> {what_zh} <span \
         lang=\"en\">{what}</span></p></li>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_offers_the_cards_that_are_there_and_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let cards = folder.path().join("cards");
        std::fs::create_dir_all(cards.join("hr-head")).unwrap();
        std::fs::write(cards.join("hr-head/card.p12"), "a card").unwrap();
        std::fs::write(cards.join("secret.p12"), "none").unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, "a CA").unwrap();
        let trial = Trial::new(cards, ca, "http://127.0.0.1:8025");
        let page = &trial.html;
        assert!(page.contains("/try/cards/hr-head.p12") && page.contains("http://127.0.0.1:8025"));
        assert!(!page.contains("wang-xiaoming"), "its card is not there");
        let rows = [
            ("GET", "/try", Some("text/html; charset=utf-8")),
            ("GET", "/try/style.css", Some("text/css; charset=utf-8")),
            ("GET", "/try/ca.pem", Some("application/x-pem-file")),
            ("GET", "/try/cards/hr-head.p12", Some("application/x-pkcs12")),
            ("GET", "/try/cards/wang-xiaoming.p12", None),
            ("GET", "/try/cards/secret.p12", None),
            ("GET", "/try/cards/../secret.p12", None),
            ("GET", "/trying", None),
            ("GET", "/", None),
            ("POST", "/try", None),
        ];
        for (method, path, expected) in rows {
            let answer = trial.answer(&method.parse().unwrap(), path);
            let media_type =
                answer.as_ref().map(|answer| answer.headers()[header::CONTENT_TYPE].to_str().unwrap());
            assert_eq!(media_type, expected, "{method} {path}");
        }
    }
}
