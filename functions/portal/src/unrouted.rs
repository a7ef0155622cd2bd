//! What no route of the API takes: another method of a path that there is, or no such path. API Gateway would answer with
//! words of its own, so its `$default` route leads here.

use std::collections::BTreeMap;

use lambda_http::Response;
use lambda_http::http::header::{ACCESS_CONTROL_REQUEST_METHOD, ALLOW, ORIGIN};
use lambda_http::{Body, http::Method};
use shared::http::{Answer, Call, problem_answer};
use shared::problem::{Code, Problem};

/// The paths that the document describes and this function answers. What else it describes is another function's, and no page.
const OWN: [&str; 2] = ["/", "/openapi.yaml"];

/// The methods by which an OpenAPI document may name operations.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Which methods each path of the API has.
#[derive(Debug)]
pub(crate) struct Described {
    methods: BTreeMap<&'static str, Vec<String>>,
}

impl Described {
    /// Reads the paths of an OpenAPI document, by its layout alone: a path stands two spaces in, its methods four, what
    /// belongs to one six.
    pub(crate) fn read(openapi: &'static str) -> Self {
        let mut methods: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut path = None;
        let lines = openapi.lines().skip_while(|line| *line != "paths:").skip(1);
        for line in lines.take_while(|line| line.is_empty() || line.starts_with(' ')) {
            let (text, indent) = (line.trim_start(), line.len().saturating_sub(line.trim_start().len()));
            let Some(name) = text.strip_suffix(':') else { continue };
            match (indent, path) {
                (2, _) => path = name.starts_with('/').then_some(name),
                (4, Some(path)) if METHODS.contains(&name) => {
                    methods.entry(path).or_default().push(name.to_ascii_uppercase());
                }
                // An operation with a server of its own is the card host's.
                (6, Some(path)) if name == "servers" => drop(methods.get_mut(path).and_then(Vec::pop)),
                _ => {}
            }
        }
        Self { methods }
    }

    /// The methods of the path that a request names; none, when there is no such path. Pages are read, whatever they are
    /// called, and are told by their page when there is none.
    fn of(&self, path: &str) -> Vec<&str> {
        let described = self.methods.iter().filter(|(template, _)| matches(template, path));
        let mut methods: Vec<&str> = described.flat_map(|(_, methods)| methods).map(String::as_str).collect();
        if self.is_page(path) {
            methods.extend(["GET", "HEAD"]);
        }
        methods.sort_unstable();
        methods.dedup();
        methods
    }

    /// Whether a path is a person's to look at: a program's begin with its version, are well known, or are another function's.
    fn is_page(&self, path: &str) -> bool {
        let programs = ["/v1/", "/.well-known/"].iter().any(|programs| path.starts_with(programs));
        !programs && (OWN.contains(&path) || !self.methods.keys().any(|template| matches(template, path)))
    }

    /// Answers a request that no route takes, or nothing when it is one for a page.
    pub(crate) fn refuse(&self, call: &Call) -> Option<Response<Body>> {
        let method = call.method();
        if is_preflight(call) {
            return Some(Answer::no_content().render());
        }
        let reads = *method == Method::GET || *method == Method::HEAD;
        if reads && self.is_page(call.path()) {
            return None;
        }
        let methods = self.of(call.path());
        let code = if methods.is_empty() { Code::RouteNotFound } else { Code::MethodNotAllowed };
        let answer = problem_answer(&Problem::new(code), call.language, &call.origin.request_id);
        Some(
            match code {
                Code::MethodNotAllowed => answer.with_header(ALLOW, &methods.join(", ")),
                _ => answer,
            }
            .render(),
        )
    }
}

/// Whether a page of another origin asks what it may do. API Gateway answers that by itself; should its `$default` route be
/// asked all the same, as its documentation may be read, it puts the headers that are configured on this.
fn is_preflight(call: &Call) -> bool {
    let asks = |name| call.header(name).is_some();
    call.method() == Method::OPTIONS && asks(ORIGIN) && asks(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Whether a path is one of a template, whose parameters take a segment each. The pages' own template is none of these.
fn matches(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/').skip(1), path.split('/').skip(1));
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            (Some("{page}"), _) => return false,
            (Some(part), Some(segment)) if part.starts_with('{') && !segment.is_empty() => {}
            (Some(part), Some(segment)) if part == segment => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
openapi: 3.1.0
paths:
  /v1/session:
    get:
      summary: Who.
    delete:
    put:
      servers:
        - url: https://card
  /v1/cards/{card_id}:
    # A comment.
    delete:
      get:
  /token:
    post:
  /{page}:
    get:
components:
  /no/path:
    get:
";

    #[test]
    fn methods_of_paths() {
        let described = Described::read(DOCUMENT);
        let rows: [(&str, &[&str]); 10] = [
            ("/v1/session", &["DELETE", "GET"]),
            ("/v1/session/", &[]),
            ("/v1/cards/x", &["DELETE"]),
            ("/v1/cards/", &[]),
            ("/v1/cards/x/y", &[]),
            ("/v1/nothing", &[]),
            ("/", &["GET", "HEAD"]),
            ("/help/card", &["GET", "HEAD"]),
            ("/token", &["POST"]),
            ("/no/path", &["GET", "HEAD"]),
        ];
        for (path, expected) in rows {
            assert_eq!(described.of(path), expected, "{path}");
        }
    }
}
