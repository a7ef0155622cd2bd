//! Which route of an HTTP API a request takes, by API Gateway's order: a full match, then a greedy path variable,
//! then `$default`.

use std::collections::BTreeMap;

use crate::deployment::RouteDeclaration;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    // In the order of preference.
    Literal(String),
    Variable(String),
    Greedy(String),
}

#[derive(Debug, Clone)]
struct Route {
    key: String,
    method: Option<String>,
    segments: Option<Vec<Segment>>,
    function: String,
}

/// The routes of one HTTP API.
#[derive(Debug, Clone)]
pub struct Routes {
    routes: Vec<Route>,
}

/// The route that a request takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched<'r> {
    /// The route's key, such as `GET /v1/hr/password-resets/{reset_id}`.
    pub key: &'r str,
    /// The function behind the route.
    pub function: &'r str,
    /// The values of the path's variables.
    pub parameters: BTreeMap<String, String>,
}

impl Matched<'_> {
    /// Whether it is a route of that path, and not `$default`.
    #[must_use]
    pub fn is_routed(&self) -> bool {
        self.key != "$default"
    }
}

impl Routes {
    /// The routes that an API has.
    #[must_use]
    pub fn of(api: &str, declarations: &[RouteDeclaration]) -> Self {
        let routes = declarations.iter().filter(|declaration| declaration.api == api).map(Route::new);
        Self { routes: routes.collect() }
    }

    /// The best route for a decoded path.
    #[must_use]
    pub fn find(&self, method: &str, path: &str) -> Option<Matched<'_>> {
        let parts: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        let candidates = self
            .routes
            .iter()
            .filter(|route| route.method.as_deref().is_none_or(|allowed| allowed == method));
        let matched = candidates.filter_map(|route| Some((route, route.parameters(&parts)?)));
        let (route, parameters) = matched.min_by(|(left, _), (right, _)| left.rank().cmp(&right.rank()))?;
        Some(Matched { key: &route.key, function: &route.function, parameters })
    }
}

impl Route {
    fn new(declaration: &RouteDeclaration) -> Self {
        let RouteDeclaration { method, path, function, .. } = declaration;
        if path == "$default" {
            return Self { key: path.clone(), method: None, segments: None, function: function.clone() };
        }
        let segments = path.strip_prefix('/').unwrap_or(path).split('/').map(Segment::new).collect();
        Self {
            key: format!("{method} {path}"),
            method: (method != "ANY").then(|| method.clone()),
            segments: Some(segments),
            function: function.clone(),
        }
    }

    /// Lower is more specific: `$default` last, greedy before it, literals before variables from the left, a named
    /// method before `ANY`.
    fn rank(&self) -> (bool, bool, Vec<u8>, bool) {
        let segments = self.segments.as_deref().unwrap_or_default();
        let greedy = segments.iter().any(|segment| matches!(segment, Segment::Greedy(_)));
        let kinds = segments.iter().map(|segment| match segment {
            Segment::Literal(_) => 0,
            Segment::Variable(_) => 1,
            Segment::Greedy(_) => 2,
        });
        (self.segments.is_none(), greedy, kinds.collect(), self.method.is_none())
    }

    fn parameters(&self, parts: &[&str]) -> Option<BTreeMap<String, String>> {
        let mut parameters = BTreeMap::new();
        let Some(segments) = self.segments.as_deref() else { return Some(parameters) };
        let mut rest = parts;
        for segment in segments {
            let (part, after) = rest.split_first()?;
            match segment {
                Segment::Literal(text) if text != part => return None,
                Segment::Variable(_) if part.is_empty() => return None,
                Segment::Greedy(_) if rest.iter().all(|part| part.is_empty()) => return None,
                Segment::Literal(_) => {}
                Segment::Variable(name) => {
                    parameters.insert(name.clone(), (*part).to_owned());
                }
                Segment::Greedy(name) => {
                    parameters.insert(name.clone(), rest.join("/"));
                    return Some(parameters);
                }
            }
            rest = after;
        }
        rest.is_empty().then_some(parameters)
    }
}

impl Segment {
    fn new(text: &str) -> Self {
        match text.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
            None => Self::Literal(text.to_owned()),
            Some(name) => match name.strip_suffix('+') {
                None => Self::Variable(name.to_owned()),
                Some(name) => Self::Greedy(name.to_owned()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_route_wins() {
        let declare = |key: &str| {
            let (method, path) = key.split_once(' ').unwrap_or(("ANY", key));
            RouteDeclaration {
                api: "Api".into(),
                method: method.into(),
                path: path.into(),
                function: key.into(),
            }
        };
        let keys = [
            "GET /{page+}",
            "GET /",
            "ANY /pets/{id}",
            "GET /pets/dog",
            "GET /pets/{id}",
            "POST /pets/{proxy+}",
        ];
        let routes = Routes::of("Api", &keys.map(declare));
        type Row<'r> = (&'r str, &'r str, Option<(&'r str, &'r [(&'r str, &'r str)])>);
        let rows: &[Row<'_>] = &[
            ("GET", "/", Some(("GET /", &[]))),
            ("POST", "/", None),
            ("GET", "/pets/dog", Some(("GET /pets/dog", &[]))),
            ("GET", "/pets/cat", Some(("GET /pets/{id}", &[("id", "cat")]))),
            ("PUT", "/pets/cat", Some(("ANY /pets/{id}", &[("id", "cat")]))),
            ("POST", "/pets/cat", Some(("ANY /pets/{id}", &[("id", "cat")]))),
            ("POST", "/pets/cat/1", Some(("POST /pets/{proxy+}", &[("proxy", "cat/1")]))),
            ("GET", "/a/b.css", Some(("GET /{page+}", &[("page", "a/b.css")]))),
            ("GET", "/pets/", Some(("GET /{page+}", &[("page", "pets/")]))),
            ("HEAD", "/a", None),
            ("DELETE", "/a", None),
        ];
        for (method, path, expected) in rows {
            let found = routes.find(method, path);
            let expected = expected.map(|(key, parameters)| Matched {
                key,
                function: key,
                parameters: parameters
                    .iter()
                    .map(|(name, value)| ((*name).into(), (*value).into()))
                    .collect(),
            });
            assert_eq!(found, expected, "{method} {path}");
        }
        assert_eq!(Routes::of("Other", &keys.map(declare)).find("GET", "/"), None);
        let default = Routes::of("Api", &["$default", "GET /a"].map(declare));
        assert_eq!(default.find("PUT", "/x").unwrap().key, "$default");
        assert_eq!(default.find("GET", "/a").unwrap().key, "GET /a");
    }
}
