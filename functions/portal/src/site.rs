//! The site: every page in both languages and every asset, made once at start from the sources in `web/`.
//!
//! # Adding a page
//! 1. Its HTML in `web/pages/`, and a row in [`PAGES`]. The text `<name>.title` is its title and its heading.
//! 2. Its texts, in both files of `web/texts/`. Those that scripts use begin with `say.`.
//!    A drawing is a file in `web/pictures/`, and a name in [`PICTURES`].
//! 3. When it does something: a module in `web/assets/`, which the build finds by itself.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use aws_lc_rs::digest;
use serde_json::{Value, json};
use shared::language::Language;
use shared::password::{BrokenRule, Policy};
use shared::problem::Code;

use crate::encoding::Encoding;
use crate::template::{Unrendered, data_block, escape, render};

/// A page as it is written.
pub(crate) struct PageSource {
    /// Where it is served.
    pub(crate) path: &'static str,
    name: &'static str,
    html: &'static str,
    script: &'static str,
}

macro_rules! page {
    ($path:literal, $name:literal, $script:literal) => {
        PageSource {
            path: $path,
            name: $name,
            html: include_str!(concat!("../web/pages/", $name, ".html")),
            script: $script,
        }
    };
}

/// Every page but the one for addresses that do not exist.
pub(crate) const PAGES: &[PageSource] = &[
    page!("/", "sign-in", "sign-in.js"),
    page!("/card", "card-return", "card.js"),
    page!("/continue", "continue", "continue.js"),
    page!("/sign-out", "sign-out", "sign-out.js"),
    page!("/identity", "identity", "identity.js"),
    page!("/activation", "activation", "activation.js"),
    page!("/activated", "activated", "activated.js"),
    page!("/home", "home", "home.js"),
    page!("/account", "account", "account.js"),
    page!("/account/cards", "account-cards", "account-cards.js"),
    page!("/account/email", "account-email", "account-email.js"),
    page!("/account/password", "account-password", "account-password.js"),
    page!("/account/sessions", "account-sessions", "account-sessions.js"),
    page!("/hr", "hr", "hr.js"),
    page!("/hr/bulk", "hr-bulk", "hr-bulk.js"),
    page!("/authorizations", "authorizations", "authorizations.js"),
    page!("/audit", "audit", "audit.js"),
    page!("/help/card", "card-help", "card-help.js"),
    page!("/help/guides", "guides", "plain.js"),
    page!("/help/way-1", "way-1", "guide.js"),
    page!("/help/way-2", "way-2", "guide.js"),
    page!("/help/way-3", "way-3", "guide.js"),
    page!("/problems", "problems", "plain.js"),
];

const NOT_FOUND: PageSource = page!("", "not-found", "plain.js");

/// An asset as the build made it.
struct Asset {
    /// Its file's name in `web/assets/`.
    name: &'static str,
    /// The path that names its content.
    address: &'static str,
    /// The names of those that it imports itself.
    imports: &'static [&'static str],
    identity: &'static str,
    brotli: &'static [u8],
    gzip: &'static [u8],
}

/// Every file of `web/assets/`, by name.
const ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

macro_rules! pictures {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../web/pictures/", $name, ".svg")))),*]
    };
}

/// The drawings of the help pages. They stand in the page itself: so they follow its colours, and their words its language.
const PICTURES: &[(&str, &str)] = pictures![
    "account", "card", "choose", "done", "identity", "mail", "phone", "pin", "press", "reader", "setup",
];

const LAYOUT: &str = include_str!("../web/layout.html");
const ZH_TW: &str = include_str!("../web/texts/zh-TW.json");
const EN: &str = include_str!("../web/texts/en.json");
pub(crate) const OPENAPI: &str = include_str!("../../../infra/openapi.yaml");

/// A file to be filled in and brought back, as it is handed out.
pub(crate) struct Form {
    /// Where it is served.
    pub(crate) path: &'static str,
    /// Its name where it is kept.
    pub(crate) name: &'static str,
    /// Its media type.
    pub(crate) content_type: &'static str,
    /// Its content.
    pub(crate) bytes: &'static [u8],
}

macro_rules! form {
    ($name:literal, $content_type:literal) => {
        Form {
            path: concat!("/files/", $name),
            name: $name,
            content_type: $content_type,
            bytes: include_bytes!(concat!("../web/files/", $name)),
        }
    };
}

/// Empty files with the right header: of new staff, for HR's page, and of a roster, for whoever sends one.
pub(crate) const FORMS: &[Form] =
    &[form!("new-staff.csv", "text/csv; charset=utf-8"), form!("roster.csv", "text/csv; charset=utf-8")];

/// What the pages say that is not in their sources.
pub(crate) struct Facts {
    /// The card host's origin. A `*` in its name stands for a label that each attempt makes up, so that the browser
    /// asks for a certificate again: it remembers the one that was chosen for a name.
    pub(crate) card_origin: String,
    /// How to reach the helpdesk, if the operator says so.
    pub(crate) helpdesk: Option<String>,
    /// What a new password must be.
    pub(crate) password_policy: Policy,
}

/// Something that the site serves.
pub(crate) struct Resource {
    /// Its media type.
    pub(crate) content_type: &'static str,
    content: Cow<'static, str>,
    fingerprint: String,
    brotli: Compressed,
    gzip: Compressed,
}

/// A resource's compressed form: made by the build, or when it is first asked for.
enum Compressed {
    Built(&'static [u8]),
    Kept(OnceLock<Vec<u8>>),
}

impl Resource {
    fn new(content_type: &'static str, content: impl Into<Cow<'static, str>>) -> Self {
        let content = content.into();
        let fingerprint = fingerprint(&content);
        let [brotli, gzip] = [(); 2].map(|()| Compressed::Kept(OnceLock::new()));
        Self { content_type, content, fingerprint, brotli, gzip }
    }

    fn asset(asset: &Asset) -> Self {
        let content_type = match asset.name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        };
        let resource = Self::new(content_type, asset.identity);
        Self { brotli: Compressed::Built(asset.brotli), gzip: Compressed::Built(asset.gzip), ..resource }
    }

    /// Its content in an encoding; as it is, should that fail.
    pub(crate) fn body(&self, encoding: Encoding) -> (Encoding, Cow<'_, [u8]>) {
        let kept = match encoding {
            Encoding::Identity => return (Encoding::Identity, Cow::Borrowed(self.content.as_bytes())),
            Encoding::Brotli => &self.brotli,
            Encoding::Gzip => &self.gzip,
        };
        match kept {
            Compressed::Built(bytes) => (encoding, Cow::Borrowed(*bytes)),
            Compressed::Kept(cell) => {
                let bytes =
                    cell.get_or_init(|| encoding.compress(self.content.as_bytes()).unwrap_or_default());
                if bytes.is_empty() {
                    self.body(Encoding::Identity)
                } else {
                    (encoding, Cow::Borrowed(bytes))
                }
            }
        }
    }

    /// The entity tag of its content in an encoding.
    pub(crate) fn etag(&self, encoding: Encoding) -> String {
        format!("\"{}{}\"", self.fingerprint, encoding.suffix())
    }
}

/// One of a thing in each language.
pub(crate) struct Bilingual<T> {
    zh_tw: T,
    en: T,
}

impl<T> Bilingual<T> {
    fn make<E>(make: impl Fn(Language) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self { zh_tw: make(Language::ZhTw)?, en: make(Language::En)? })
    }

    /// The one in `language`.
    pub(crate) fn get(&self, language: Language) -> &T {
        match language {
            Language::ZhTw => &self.zh_tw,
            Language::En => &self.en,
        }
    }
}

/// The whole site.
pub(crate) struct Site {
    /// Pages by path.
    pub(crate) pages: HashMap<&'static str, Bilingual<Resource>>,
    /// The page for addresses that do not exist.
    pub(crate) not_found: Bilingual<Resource>,
    /// Assets by path; the path names the content.
    pub(crate) assets: HashMap<&'static str, Resource>,
    /// The API's description.
    pub(crate) openapi: Resource,
}

impl Site {
    /// Makes the site.
    ///
    /// # Errors
    /// [`Unrendered`]: a source names something that does not exist.
    pub(crate) fn build(facts: &Facts) -> Result<Self, Unrendered> {
        let assets = ASSETS.iter().map(|asset| (asset.address, Resource::asset(asset))).collect();
        let texts = Bilingual::make(texts)?;
        let page = |source: &PageSource| {
            Bilingual::make(|language| {
                let page = Page { source, facts, language, texts: texts.get(language) };
                page.render().map(|html| Resource::new("text/html; charset=utf-8", html))
            })
        };
        Ok(Self {
            pages: PAGES.iter().map(|source| Ok((source.path, page(source)?))).collect::<Result<_, _>>()?,
            not_found: page(&NOT_FOUND)?,
            assets,
            openapi: Resource::new("application/yaml", OPENAPI),
        })
    }
}

/// The first 80 bits of SHA-256: enough that no two versions of a file meet.
fn fingerprint(content: &str) -> String {
    let digest = digest::digest(&digest::SHA256, content.as_bytes());
    digest.as_ref().iter().take(10).map(|byte| format!("{byte:02x}")).collect()
}

type Texts = BTreeMap<String, String>;

fn texts(language: Language) -> Result<Texts, Unrendered> {
    let file = match language {
        Language::ZhTw => ZH_TW,
        Language::En => EN,
    };
    serde_json::from_str(file).map_err(|error| Unrendered(format!("texts {}: {error}", language.tag())))
}

/// A page on its way to its HTML in one language.
struct Page<'a> {
    source: &'a PageSource,
    facts: &'a Facts,
    language: Language,
    texts: &'a Texts,
}

impl Page<'_> {
    fn render(&self) -> Result<String, Unrendered> {
        render(LAYOUT, |name| self.fill(name))
    }

    fn fill(&self, name: &str) -> Result<String, Unrendered> {
        let Some(special) = name.strip_prefix('@') else { return self.text(name).map(escape) };
        Ok(match special.split_once(' ').unwrap_or((special, "")) {
            ("account-rules", _) => escape(Code::AccountInvalid.detail(self.language)),
            ("asset", asset) => self.asset(asset)?.address.to_owned(),
            ("card-origin", _) => escape(&self.facts.card_origin),
            ("content", _) => render(self.source.html, |name| self.fill(name))?,
            ("current", tag) if tag == self.language.tag() => " aria-current=\"true\"".to_owned(),
            ("current", _) => String::new(),
            ("helpdesk", _) => match &self.facts.helpdesk {
                Some(contact) => escape(contact),
                None => escape(self.text("site.helpdesk-default")?),
            },
            ("language", _) => self.language.tag().to_owned(),
            ("password-policy", _) => data_block(&self.facts.password_policy.data()),
            ("password-rules", _) => self.password_rules(),
            ("picture", picture) => {
                let known = PICTURES.iter().find(|(name, _)| *name == picture);
                let (_, source) = known.ok_or_else(|| self.unknown(name))?;
                render(source, |name| self.fill(name))?
            }
            ("problem-list", _) => self.problem_list(),
            ("problems", _) => data_block(&self.problems()),
            ("preloads", _) => self.preloads()?,
            ("refusal", code) => {
                let code =
                    Code::ALL.iter().find(|known| known.name() == code).ok_or_else(|| self.unknown(name))?;
                let (title, detail) = (code.title(self.language), code.detail(self.language));
                format!("<strong>{}</strong><br>{}", escape(title), escape(detail))
            }
            ("script", _) => self.asset(self.source.script)?.address.to_owned(),
            ("texts", _) => data_block(&self.texts_for_scripts()),
            ("title", _) => escape(self.text(&format!("{}.title", self.source.name))?),
            _ => return Err(self.unknown(name)),
        })
    }

    fn text(&self, key: &str) -> Result<&str, Unrendered> {
        self.texts.get(key).map(String::as_str).ok_or_else(|| self.unknown(key))
    }

    fn asset(&self, name: &str) -> Result<&'static Asset, Unrendered> {
        ASSETS.iter().find(|asset| asset.name == name).ok_or_else(|| self.unknown(name))
    }

    /// Links by which the browser fetches all modules at once, and not each when the one above it has arrived.
    fn preloads(&self) -> Result<String, Unrendered> {
        let mut found: Vec<&Asset> = vec![self.asset(self.source.script)?];
        let mut next = 0;
        while let Some(asset) = found.get(next).copied() {
            for name in asset.imports {
                let imported = self.asset(name)?;
                if !found.iter().any(|asset| asset.name == *name) {
                    found.push(imported);
                }
            }
            next += 1;
        }
        let link = |asset: &&Asset| format!("<link rel=\"modulepreload\" href=\"{}\">\n", asset.address);
        Ok(found.iter().skip(1).map(link).collect())
    }

    fn unknown(&self, name: &str) -> Unrendered {
        Unrendered(format!("{} {}: {name:?}", self.source.name, self.language.tag()))
    }

    fn texts_for_scripts(&self) -> Value {
        self.texts
            .iter()
            .filter(|(key, _)| key.starts_with("say."))
            .map(|(key, text)| (key, json!(text)))
            .collect()
    }

    fn problems(&self) -> Value {
        let text =
            |code: &Code| json!({ "title": code.title(self.language), "detail": code.detail(self.language) });
        Code::ALL.iter().map(|code| (code.name(), text(code))).collect()
    }

    fn problem_list(&self) -> String {
        let entry = |code: &Code| {
            format!(
                "<section class=\"panel\" id=\"{name}\"><h2>{title}</h2><p>{detail}</p><p class=\"hint\">{status} <code>{name}</code></p></section>\n",
                name = code.name(),
                title = escape(code.title(self.language)),
                detail = escape(code.detail(self.language)),
                status = code.status(),
            )
        };
        Code::ALL.iter().map(entry).collect()
    }

    fn password_rules(&self) -> String {
        let item = |rule: BrokenRule| {
            format!(
                "<li data-rule=\"{}\">{} <span class=\"visually-hidden\"></span></li>",
                rule.code(),
                escape(&rule.text(self.language))
            )
        };
        format!(
            "<ul class=\"rules\" role=\"list\">{}</ul>",
            self.facts.password_policy.rules().into_iter().map(item).collect::<String>()
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use shared::bulk::file::{self, NotABulkFile};
    use shared::custom_account::CustomAccount;
    use shared::oauth::Scope;
    use shared::password::{KnownBy, Password};
    use shared::pseudonym::Pseudonymizer;
    use shared::roster::Roster;

    use super::*;

    fn site() -> Site {
        let card_origin = "https://card.example.gov.tw".to_owned();
        let facts = Facts { card_origin, helpdesk: None, password_policy: Policy::manual() };
        Site::build(&facts).unwrap()
    }

    /// What stands between `before` and `after`, each time.
    fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
        text.split(before).skip(1).filter_map(|rest| rest.split_once(after).map(|(found, _)| found)).collect()
    }

    #[test]
    fn both_languages_have_the_same_texts() {
        let keys = |language| texts(language).unwrap().into_keys().collect::<BTreeSet<_>>();
        assert_eq!(keys(Language::ZhTw), keys(Language::En));
        for language in [Language::ZhTw, Language::En] {
            for (key, text) in texts(language).unwrap() {
                assert!(!text.trim().is_empty(), "{key} {}", language.tag());
            }
        }
        let braces = |language| -> Vec<_> {
            let texts = texts(language).unwrap();
            texts.into_iter().map(|(key, text)| (key, between(&text, "{", "}").join(" "))).collect()
        };
        assert_eq!(braces(Language::ZhTw), braces(Language::En));
    }

    #[test]
    fn every_text_exists_and_is_used() {
        let mut used: BTreeSet<String> = BTreeSet::from(["site.helpdesk-default".to_owned()]);
        let sources = PAGES.iter().chain([&NOT_FOUND]);
        for source in sources.clone() {
            used.insert(format!("{}.title", source.name));
        }
        let pictures = PICTURES.iter().map(|(_, source)| *source);
        for html in sources.map(|source| source.html).chain([LAYOUT]).chain(pictures) {
            used.extend(
                between(html, "{{", "}}")
                    .into_iter()
                    .filter(|name| !name.starts_with('@'))
                    .map(str::to_owned),
            );
        }
        for Asset { name, identity: script, .. } in ASSETS.iter().filter(|asset| asset.name.ends_with(".js"))
        {
            let said: Vec<_> = between(script, "say(\"", "\"").into_iter().map(str::to_owned).collect();
            assert_eq!(
                said.len(),
                script.matches("say(").count() - script.matches("function say(").count(),
                "{name}"
            );
            assert!(said.iter().all(|key| key.starts_with("say.")), "{name}: {said:?}");
            used.extend(said);
        }
        assert_eq!(used, texts(Language::ZhTw).unwrap().into_keys().collect());
    }

    #[test]
    fn whatever_a_client_may_ask_for_has_words() {
        let script = ASSETS.iter().find(|asset| asset.name == "continue.js").unwrap().identity;
        for scope in Scope::ALL {
            let text = format!("say(\"say.scope.{}\")", scope.name());
            assert!(script.contains(&text), "{text}");
        }
    }

    #[test]
    fn every_address_in_pages_and_modules_is_served() {
        let site = site();
        let pages = site.pages.values().chain([&site.not_found]);
        let pages = pages.flat_map(|page| [&page.zh_tw, &page.en]).collect::<Vec<_>>();
        let mut found = BTreeSet::new();
        for resource in pages.iter().copied().chain(site.assets.values()) {
            found.extend(
                between(&resource.content, "\"/assets/", "\"")
                    .into_iter()
                    .map(|rest| format!("/assets/{rest}")),
            );
            assert!(!resource.content.contains("\"./"), "an import of something that is no asset");
            for link in between(&resource.content, "href=\"/", "\"")
                .into_iter()
                .filter(|link| !link.starts_with("assets/"))
            {
                let address = format!("/{link}");
                let is_form = FORMS.iter().any(|form| form.path == address);
                assert!(is_form || site.pages.contains_key(address.as_str()), "{address}");
            }
        }
        assert_eq!(
            found,
            site.assets.keys().map(|path| (*path).to_owned()).collect(),
            "every asset is used, and every used one exists"
        );
    }

    #[test]
    fn a_form_is_read_by_whoever_gets_it_back() {
        for Form { name, bytes, .. } in FORMS {
            if name.starts_with("roster") {
                let roster = Roster::read(*bytes, &Pseudonymizer::new(&[1; 32])).unwrap();
                assert_eq!((roster.people.len(), roster.refused.len()), (0, 0), "{name}");
            } else {
                assert_eq!(file::read(bytes).unwrap_err(), NotABulkFile::NoRows, "{name}");
            }
        }
    }

    #[test]
    fn every_page_is_whole() {
        let site = site();
        for (path, page) in site.pages.iter().chain([(&"not found", &site.not_found)]) {
            for (tag, html) in [("zh-TW", &page.zh_tw.content), ("en", &page.en.content)] {
                assert!(html.contains(&format!("<html lang=\"{tag}\">")), "{path}");
                assert!(!html.contains("{{"), "{path}");
                assert_eq!(html.matches("<h1>").count(), 1, "{path}");
                assert_eq!(html.matches("<noscript>").count(), 1, "{path}");
                assert_eq!(html.matches("aria-current=\"true\"").count(), 1, "{path}");
                for banned in [" style=", "<style", " onclick=", "javascript:", "<script>"] {
                    assert!(!html.contains(banned), "{path}: {banned} is nothing for this policy");
                }
                let ids: Vec<_> = between(html, " id=\"", "\"");
                let unique: BTreeSet<_> = ids.iter().collect();
                assert_eq!(ids.len(), unique.len(), "{path}: {ids:?}");
                for reference in ["for=\"", "aria-describedby=\"", "aria-labelledby=\""] {
                    for id in between(html, reference, "\"").iter().flat_map(|ids| ids.split(' ')) {
                        assert!(unique.contains(&id), "{path}: {reference}{id}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_rules_of_a_password_are_shown_in_the_words_of_its_refusal() {
        let html = &site().pages["/activation"].zh_tw.content.clone();
        let shown =
            BrokenRule::ForbiddenCharacter { forbidden: Policy::manual().forbidden }.text(Language::ZhTw);
        assert!(html.contains(&escape(&shown)), "{html}");
        assert!(html.contains(&escape(Code::AccountInvalid.detail(Language::ZhTw))));
    }

    #[test]
    fn problems_can_be_looked_up() {
        let html = &site().pages["/problems"].en.content.clone();
        for code in Code::ALL {
            assert!(html.contains(&format!("id=\"{}\"", code.name())), "{}", code.name());
        }
    }

    /// The page's own evaluation is held against the same rows by `web/policy.test.js`.
    #[test]
    fn the_page_and_the_server_judge_passwords_alike() {
        let rows: Value = serde_json::from_str(include_str!("../web/policy.json")).unwrap();
        let policy = |name: &str| name.parse::<Policy>().unwrap();
        for (name, data) in rows["policies"].as_object().unwrap() {
            assert_eq!(*data, policy(name).data(), "{name}");
        }
        for row in rows["passwords"].as_array().unwrap() {
            let text = |name: &str| row[name].as_str();
            let account = text("account").map(|account| CustomAccount::parse(account).unwrap());
            let password = Password::new(text("password").unwrap().to_owned());
            let known_by = KnownBy {
                account: account.as_ref(),
                email: text("email"),
                name: text("name"),
                ..KnownBy::default()
            };
            let judged = policy(text("policy").unwrap()).accept(password, &known_by);
            let broken = judged.err().unwrap_or_default();
            // What needs a dictionary, the page does not tell.
            let told = broken.iter().map(BrokenRule::code).filter(|code| *code != "too_common");
            assert_eq!(json!(told.collect::<Vec<_>>()), row["broken"], "{}", row["what"]);
        }
    }
}
