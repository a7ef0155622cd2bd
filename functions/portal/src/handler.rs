//! From a request to one of the site's resources.

use std::time::Instant;

use lambda_http::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY, SET_COOKIE,
    STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use lambda_http::http::{HeaderName, HeaderValue, Method, StatusCode};
use lambda_http::{Body, Request, Response};
use shared::http::Call;
use shared::language::Language;

use crate::encoding::Encoding;
use crate::site::{FORMS, Form, OPENAPI, Resource, Site};
use crate::unrouted::Described;

/// The cookie that keeps the language that a person chose by `?lang=`.
const LANGUAGE_COOKIE: &str = "__Host-language";

/// What no page does, so that nothing injected into one can either.
const PERMISSIONS: &str = "accelerometer=(), autoplay=(), camera=(), display-capture=(), fullscreen=(), \
    geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()";

/// The policy of what is no page: an image that is opened by itself does nothing and is framed by nobody.
const NO_PAGE: &str = "default-src 'none'; frame-ancestors 'none'";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Serves the site.
pub(crate) struct Portal {
    site: Site,
    described: Described,
    content_security_policy: HeaderValue,
}

impl Portal {
    /// Serves `site`, whose pages may ask the card host under each of `card_origins`, and nobody else, whether it lets
    /// a card in.
    pub(crate) fn new(site: Site, card_origins: &[HeaderValue]) -> Self {
        let mut policy = b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
            connect-src 'self'"
            .to_vec();
        for origin in card_origins {
            policy.push(b' ');
            policy.extend(origin.as_bytes());
        }
        policy.extend(
            b"; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; \
                require-trusted-types-for 'script'; trusted-types 'none'",
        );
        // Neither the literals nor a header's value hold a byte that a header's value may not have.
        let content_security_policy =
            HeaderValue::from_bytes(&policy).unwrap_or_else(|_| HeaderValue::from_static(NO_PAGE));
        Self { site, described: Described::read(OPENAPI), content_security_policy }
    }

    /// Answers a request, and writes the log's line about it. The line has no path: a person may have typed anything.
    pub(crate) fn handle(&self, request: Request) -> Response<Body> {
        let started = Instant::now();
        let call = Call::of(request);
        let answer = self.answer(&call);
        tracing::info!(
            step = "portal",
            request_id = call.origin.request_id,
            status = answer.status().as_u16(),
            duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "request"
        );
        answer
    }

    fn answer(&self, call: &Call) -> Response<Body> {
        if let Some(refused) = self.described.refuse(call) {
            return refused;
        }
        let path = call.path();
        let mut answer = if let Some(asset) = self.site.assets.get(path) {
            fresh(call, asset, "public, max-age=31536000, immutable")
        } else if path == "/openapi.yaml" {
            fresh(call, &self.site.openapi, "no-cache")
        } else if let Some(form) = FORMS.iter().find(|form| form.path == path) {
            handed_out(form)
        } else {
            self.page(call, path)
        };
        if call.method() == Method::HEAD {
            *answer.body_mut() = Body::Empty;
        }
        answer
    }

    fn page(&self, call: &Call, path: &str) -> Response<Body> {
        let chosen = call.query("lang").as_deref().and_then(by_tag);
        let earlier = || call.cookie(LANGUAGE_COOKIE).and_then(by_tag);
        let language = chosen.or_else(earlier).unwrap_or(call.language);
        let mut answer = match self.site.pages.get(path) {
            Some(page) => fresh(call, page.get(language), "no-cache"),
            None => full(call, StatusCode::NOT_FOUND, self.site.not_found.get(language), "no-store"),
        };
        let headers = answer.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, self.content_security_policy.clone());
        headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
        headers.insert(PERMISSIONS_POLICY, HeaderValue::from_static(PERMISSIONS));
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
        headers.insert(VARY, HeaderValue::from_static("Accept-Language, Cookie, Accept-Encoding"));
        if chosen.is_some() {
            let cookie = match language {
                Language::ZhTw => HeaderValue::from_static(
                    "__Host-language=zh-TW; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=31536000",
                ),
                Language::En => HeaderValue::from_static(
                    "__Host-language=en; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=31536000",
                ),
            };
            headers.insert(SET_COOKIE, cookie);
        }
        answer
    }
}

fn by_tag(tag: &str) -> Option<Language> {
    [Language::ZhTw, Language::En].into_iter().find(|language| language.tag().eq_ignore_ascii_case(tag))
}

/// A resource, or word that the caller's copy of it is still good.
fn fresh(call: &Call, resource: &Resource, cache: &'static str) -> Response<Body> {
    let mut answer = full(call, StatusCode::OK, resource, cache);
    let etag = answer.headers().get(ETAG).and_then(|etag| etag.to_str().ok()).unwrap_or_default();
    if call.header(IF_NONE_MATCH).is_some_and(|tags| names(tags, etag)) {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        answer.headers_mut().remove(CONTENT_TYPE);
        answer.headers_mut().remove(CONTENT_ENCODING);
        *answer.body_mut() = Body::Empty;
    }
    answer
}

fn full(call: &Call, status: StatusCode, resource: &Resource, cache: &'static str) -> Response<Body> {
    let (encoding, content) = resource.body(Encoding::accepted(call.header(ACCEPT_ENCODING)));
    // API Gateway takes what is not text in base64.
    let body = match (encoding, std::str::from_utf8(&content)) {
        (Encoding::Identity, Ok(text)) => Body::Text(text.to_owned()),
        _ => Body::Binary(content.into_owned()),
    };
    let mut answer = bare(status, body);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(resource.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Some(name) = encoding.name() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    if let Ok(etag) = HeaderValue::from_str(&resource.etag(encoding)) {
        headers.insert(ETAG, etag);
    }
    answer
}

/// A file to be filled in.
fn handed_out(form: &Form) -> Response<Body> {
    let mut answer = bare(StatusCode::OK, Body::Binary(form.bytes.to_vec()));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{}\"", form.name)) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    answer
}

/// An answer with the headers that every answer has.
fn bare(status: StatusCode, body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers
        .insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000; includeSubDomains"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(NO_PAGE));
    answer
}

/// Whether an `If-None-Match` names `etag` (RFC 9110 section 13.1.2: weak comparison).
fn names(tags: &str, etag: &str) -> bool {
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use lambda_runtime::{Context, LambdaEvent};
    use serde_json::{Value, json};
    use shared::environment::Environment;
    use shared::lambda::Function;

    use crate::site::PAGES;

    async fn portal() -> Function {
        let variables = [
            ("CARD_ORIGIN", "https://card.example.gov.tw"),
            ("CARD_ATTEMPTS_ORIGIN", "https://*.card.example.gov.tw"),
            ("HELPDESK_CONTACT", "049-2359108 <4>"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        crate::start(&Environment::from_map(HashMap::from(variables))).await.unwrap()
    }

    /// An event of payload format 2.0, as API Gateway sends it.
    fn event(method: &str, path: &str, query: &str, headers: Value, cookies: &[&str]) -> Value {
        json!({
            "version": "2.0", "routeKey": "GET /{page+}", "rawPath": path, "rawQueryString": query,
            "cookies": cookies, "headers": headers, "isBase64Encoded": false,
            "queryStringParameters": query.split('&').filter_map(|pair| pair.split_once('=')).collect::<HashMap<_, _>>(),
            "requestContext": {
                "accountId": "123456789012", "apiId": "api", "domainName": "id.example.gov.tw", "domainPrefix": "id",
                "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test" },
                "requestId": "id", "routeKey": "GET /{page+}", "stage": "$default",
                "time": "27/Nov/2013:08:00:00 +0000", "timeEpoch": 1_385_539_200_000_u64,
            },
        })
    }

    async fn ask(portal: &Function, event: Value) -> Value {
        portal.invoke(LambdaEvent::new(event, Context::default())).await.unwrap()
    }

    async fn get(portal: &Function, path: &str) -> Value {
        ask(portal, event("GET", path, "", json!({}), &[])).await
    }

    fn lang(answer: &Value) -> &str {
        answer["headers"]["content-language"].as_str().unwrap()
    }

    #[tokio::test]
    async fn every_page_is_served_with_its_headers() {
        let portal = portal().await;
        for path in PAGES.iter().map(|page| page.path) {
            let answer = get(&portal, path).await;
            assert_eq!(answer["statusCode"], 200, "{path}");
            assert!(answer["body"].as_str().unwrap().starts_with("<!doctype html>"), "{path}");
            assert_eq!(answer["isBase64Encoded"], false);
            let headers = answer["headers"].as_object().unwrap();
            let expected = [
                ("cache-control", "no-cache"),
                ("content-language", "zh-TW"),
                (
                    "content-security-policy",
                    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                     connect-src 'self' https://card.example.gov.tw https://*.card.example.gov.tw; \
                     form-action 'self'; frame-ancestors 'none'; base-uri 'none'; \
                     require-trusted-types-for 'script'; trusted-types 'none'",
                ),
                ("content-type", "text/html; charset=utf-8"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
                ("permissions-policy", super::PERMISSIONS),
                ("referrer-policy", "no-referrer"),
                ("strict-transport-security", "max-age=63072000; includeSubDomains"),
                ("vary", "Accept-Language, Cookie, Accept-Encoding"),
                ("x-content-type-options", "nosniff"),
            ];
            for (name, value) in expected {
                assert_eq!(headers[name], value, "{path} {name}");
            }
            assert_eq!(headers.len(), expected.len() + 1, "and etag: {headers:?}");
            assert_eq!(answer["cookies"], json!([]), "{path}");
        }
    }

    #[tokio::test]
    async fn assets_are_good_for_ever_under_the_address_that_names_their_content() {
        let portal = portal().await;
        let page = get(&portal, "/").await;
        let page = page["body"].as_str().unwrap();
        for (extension, content_type) in [
            ("css", "text/css; charset=utf-8"),
            ("js", "text/javascript; charset=utf-8"),
            ("svg", "image/svg+xml"),
        ] {
            let end = format!(".{extension}\"");
            let path = page.split('"').find(|part| format!("{part}\"").ends_with(&end)).unwrap();
            let answer = get(&portal, path).await;
            assert_eq!(answer["statusCode"], 200, "{path}");
            assert_eq!(answer["headers"]["content-type"], content_type);
            assert_eq!(answer["headers"]["cache-control"], "public, max-age=31536000, immutable");
            assert_eq!(answer["headers"]["x-content-type-options"], "nosniff");
        }
    }

    #[tokio::test]
    async fn what_is_compressed_travels_in_base64_under_a_tag_of_its_own() {
        let portal = portal().await;
        let page = get(&portal, "/").await["body"].as_str().unwrap().to_owned();
        let style = page.split('"').find(|part| part.ends_with(".css")).unwrap();
        let mut tags = std::collections::BTreeSet::new();
        for path in ["/", style] {
            let whole = get(&portal, path).await["body"].as_str().unwrap().to_owned();
            for (accept, name) in [("gzip, br", Some("br")), ("gzip", Some("gzip")), ("identity", None)] {
                let headers = json!({ "accept-encoding": accept });
                let answer = ask(&portal, event("GET", path, "", headers, &[])).await;
                assert_eq!(answer["headers"].get("content-encoding").and_then(Value::as_str), name, "{path}");
                assert_eq!(answer["isBase64Encoded"], json!(name.is_some()), "{path} {accept}");
                let body = answer["body"].as_str().unwrap();
                let content = match name {
                    None => body.to_owned(),
                    Some(name) => decoded(name, body, whole.len()),
                };
                assert_eq!(content, whole, "{path} {accept}");
                let tag = answer["headers"]["etag"].as_str().unwrap().to_owned();
                let again = json!({ "accept-encoding": accept, "if-none-match": tag });
                let again = ask(&portal, event("GET", path, "", again, &[])).await;
                assert_eq!(again["statusCode"], 304, "{path} {accept}");
                assert!(again["headers"].get("content-encoding").is_none());
                assert!(tags.insert(tag), "{path} {accept}");
            }
        }
    }

    /// The text of a body in base64 and an encoding. It must be smaller than half of what it holds.
    fn decoded(encoding: &str, body: &str, length: usize) -> String {
        use std::io::Read as _;
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap();
        assert!(bytes.len() < length / 2, "{encoding}: {} of {length}", bytes.len());
        let mut content = String::new();
        match encoding {
            "br" => brotli::Decompressor::new(bytes.as_slice(), 4096).read_to_string(&mut content).unwrap(),
            _ => flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut content).unwrap(),
        };
        content
    }

    #[tokio::test]
    async fn a_first_view_is_light() {
        let portal = portal().await;
        let light = json!({ "accept-encoding": "br" });
        for path in PAGES.iter().map(|page| page.path) {
            let page = get(&portal, path).await["body"].as_str().unwrap().to_owned();
            let assets = page.split('"').filter(|part| part.starts_with("/assets/"));
            let mut bytes = 0;
            for address in assets.chain([path]).collect::<std::collections::BTreeSet<_>>() {
                let answer = ask(&portal, event("GET", address, "", light.clone(), &[])).await;
                // Three bytes for four characters.
                bytes += answer["body"].as_str().unwrap().len() * 3 / 4;
            }
            assert!(bytes < 60 * 1024, "{path}: {bytes} bytes");
        }
    }

    #[tokio::test]
    async fn the_contract_is_served() {
        let answer = get(&portal().await, "/openapi.yaml").await;
        assert_eq!(answer["statusCode"], 200);
        assert_eq!(answer["headers"]["content-type"], "application/yaml");
        assert_eq!(answer["body"], include_str!("../../../infra/openapi.yaml"));
    }

    #[tokio::test]
    async fn the_language_is_the_persons() {
        let portal = portal().await;
        let rows = [
            ("nothing asked", "", "", None, "zh-TW"),
            ("the browser's", "", "en-US,en;q=0.9", None, "en"),
            ("chosen now, over the browser's", "lang=zh-TW", "en", None, "zh-TW"),
            ("chosen before, over the browser's", "", "zh-TW", Some("__Host-language=en"), "en"),
            ("chosen now, over before", "lang=zh-tw", "en", Some("__Host-language=en"), "zh-TW"),
            ("a language that there is not", "lang=fr", "en", Some("__Host-language=fr"), "en"),
        ];
        for (what, query, accept, cookie, expected) in rows {
            let cookies = cookie.into_iter().collect::<Vec<_>>();
            let answer =
                ask(&portal, event("GET", "/", query, json!({ "accept-language": accept }), &cookies)).await;
            assert_eq!(lang(&answer), expected, "{what}");
            let kept = answer["cookies"].as_array().unwrap();
            assert_eq!(kept.len(), usize::from(query.starts_with("lang=zh")), "{what}: {kept:?}");
            for cookie in kept {
                let attributes =
                    "__Host-language=zh-TW; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=31536000";
                assert_eq!(cookie, attributes, "{what}");
            }
        }
    }

    #[tokio::test]
    async fn other_addresses_get_the_page_that_says_so() {
        let portal = portal().await;
        for path in [
            "/nothing",
            "/assets/style.css",
            "/assets/../Cargo.toml",
            "/..%2f..%2fetc/passwd",
            "//etc/passwd",
            "/web/layout.html",
            "/card/",
        ] {
            let answer = get(&portal, path).await;
            assert_eq!(answer["statusCode"], 404, "{path}");
            assert_eq!(answer["headers"]["cache-control"], "no-store", "{path}");
            assert!(answer["headers"]["content-security-policy"].is_string(), "{path}");
            assert!(answer["body"].as_str().unwrap().contains("找不到這個頁面"), "{path}");
        }
    }

    #[tokio::test]
    async fn only_reading_is_possible() {
        let portal = portal().await;
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
            let answer = ask(&portal, event(method, "/", "", json!({}), &[])).await;
            assert_eq!(answer["statusCode"], 405, "{method}");
            assert_eq!(answer["headers"]["allow"], "GET, HEAD");
            assert!(answer["body"].as_str().unwrap().contains("method_not_allowed"), "{method}");
        }
        let preflight = json!({"origin": "https://hr.example", "access-control-request-method": "POST"});
        let answer = ask(&portal, event("OPTIONS", "/v1/hr/employees/search", "", preflight, &[])).await;
        assert_eq!(answer["statusCode"], 204);
        let names = answer["headers"].as_object().unwrap().keys();
        assert!(
            names.clone().all(|name| !name.starts_with("access-control-")),
            "the gateway's own: {answer}"
        );
        let head = ask(&portal, event("HEAD", "/", "", json!({}), &[])).await;
        let get = get(&portal, "/").await;
        assert_eq!(head["statusCode"], 200);
        assert_eq!(head["headers"], get["headers"]);
        assert!(head["body"].as_str().unwrap_or_default().is_empty());
    }

    #[tokio::test]
    async fn a_copy_that_is_still_good_is_not_sent_again() {
        let portal = portal().await;
        for path in ["/", "/openapi.yaml"] {
            let answer = get(&portal, path).await;
            let etag = answer["headers"]["etag"].as_str().unwrap();
            for (sent, status) in [
                (etag.to_owned(), 304),
                (format!("\"other\", W/{etag}"), 304),
                ("*".to_owned(), 304),
                ("\"other\"".to_owned(), 200),
            ] {
                let again = ask(&portal, event("GET", path, "", json!({ "if-none-match": sent }), &[])).await;
                assert_eq!(again["statusCode"], status, "{path} {sent}");
                if status == 304 {
                    assert!(again["body"].as_str().unwrap_or_default().is_empty());
                    assert_eq!(again["headers"]["etag"], etag);
                    assert!(again["headers"]["content-type"].is_null());
                    assert_eq!(again["headers"]["cache-control"], answer["headers"]["cache-control"]);
                }
            }
        }
        let english = ask(&portal, event("GET", "/", "lang=en", json!({}), &[])).await;
        assert_ne!(english["headers"]["etag"], get(&portal, "/").await["headers"]["etag"]);
    }

    #[tokio::test]
    async fn what_the_operator_says_is_text() {
        let page = get(&portal().await, "/").await;
        assert!(page["body"].as_str().unwrap().contains("049-2359108 &lt;4&gt;"));
    }

    #[tokio::test]
    async fn a_card_origin_that_is_none_stops_the_start() {
        for origin in [
            "http://card.example.gov.tw",
            "https://",
            "https://card.example.gov.tw/",
            "https://card.example.gov.tw; script-src *",
            "",
        ] {
            let map = HashMap::from([("CARD_ORIGIN".to_owned(), origin.to_owned())]);
            let refused = crate::start(&Environment::from_map(map)).await.unwrap_err().to_string();
            assert!(refused.contains("CARD_ORIGIN"), "{origin}: {refused}");
        }
    }
}
