//! Cross-origin calls as API Gateway has them once an HTTP API is configured for them: it answers preflights by itself, and
//! puts the headers on the functions' answers, in place of any that a function set.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde_json::Value;

/// What an API is configured to allow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cors {
    /// The origins whose pages may call.
    pub origins: Vec<String>,
    /// The methods that they may call by.
    pub methods: Vec<String>,
    /// The headers that they may send.
    pub headers: Vec<String>,
    /// The headers that they may read.
    pub exposed: Vec<String>,
    /// For how many seconds a preflight's answer is good.
    pub max_age: Option<u64>,
}

/// Every header of the protocol that an answer may have.
const HEADERS: [HeaderName; 6] = [
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
];

impl Cors {
    /// Reads a resolved `CorsConfiguration` of the template.
    #[must_use]
    pub fn read(configuration: &Value) -> Self {
        let list = |name: &str| {
            let items = configuration.get(name).and_then(Value::as_array).into_iter().flatten();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self {
            origins: list("AllowOrigins"),
            methods: list("AllowMethods"),
            headers: list("AllowHeaders"),
            exposed: list("ExposeHeaders"),
            max_age: configuration.get("MaxAge").and_then(Value::as_u64),
        }
    }

    /// Whether a request is API Gateway's to answer: a preflight whose path has no route for `OPTIONS`. `$default` is none.
    #[must_use]
    pub fn answers(method: &Method, request: &HeaderMap, has_route: bool) -> bool {
        let asks = [header::ORIGIN, header::ACCESS_CONTROL_REQUEST_METHOD];
        method == Method::OPTIONS && !has_route && asks.iter().all(|name| request.contains_key(name))
    }

    /// The answer to a preflight. A page of an origin that is not allowed gets no header, and so its browser's refusal.
    #[must_use]
    pub fn preflight(&self, request: &HeaderMap) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        if let Some(origin) = self.allowed(request) {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            set(headers, header::ACCESS_CONTROL_ALLOW_METHODS, &self.methods.join(","));
            set(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, &self.headers.join(",").to_lowercase());
            if let Some(seconds) = self.max_age {
                set(headers, header::ACCESS_CONTROL_MAX_AGE, &seconds.to_string());
            }
        }
        response
    }

    /// Puts the headers on an answer of a function.
    pub fn apply(&self, request: &HeaderMap, response: &mut Response<Body>) {
        let headers = response.headers_mut();
        for name in HEADERS {
            headers.remove(name);
        }
        if let Some(origin) = self.allowed(request) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            set(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, &self.exposed.join(",").to_lowercase());
        }
    }

    fn allowed(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let origin = request.get(header::ORIGIN)?;
        let known = |allowed: &String| allowed.as_bytes() == origin.as_bytes() || allowed == "*";
        self.origins.iter().any(known).then(|| origin.clone())
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if !value.is_empty()
        && let Ok(value) = HeaderValue::from_str(value)
    {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cors() -> Cors {
        Cors::read(&json!({
            "AllowOrigins": ["https://hr.example", "https://desk.example"], "AllowMethods": ["GET", "POST"],
            "AllowHeaders": ["Authorization", "Content-Type"], "ExposeHeaders": ["Retry-After"], "MaxAge": 600,
        }))
    }

    fn request(origin: &'static str) -> HeaderMap {
        let asked = [("origin", origin), ("access-control-request-method", "POST")];
        let asked = asked.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        HeaderMap::from_iter(asked)
    }

    #[test]
    fn a_preflight_of_an_allowed_origin_and_no_other_gets_the_headers() {
        let allowed = cors().preflight(&request("https://desk.example"));
        assert_eq!(allowed.status(), 204);
        let expected = [
            ("access-control-allow-origin", "https://desk.example"),
            ("access-control-allow-methods", "GET,POST"),
            ("access-control-allow-headers", "authorization,content-type"),
            ("access-control-max-age", "600"),
        ];
        for (name, value) in expected {
            assert_eq!(allowed.headers()[name], value);
        }
        assert!(!allowed.headers().contains_key("access-control-allow-credentials"));
        for other in
            ["https://evil.example", "https://hr.example.evil.example", "http://hr.example", "null", ""]
        {
            let answer = cors().preflight(&request(other));
            assert_eq!((answer.status().as_u16(), answer.headers().len()), (204, 0), "{other}");
        }
    }

    #[test]
    fn answers_have_the_configured_headers_in_place_of_the_functions() {
        let answer = || {
            let mut answer = Response::new(Body::empty());
            answer.headers_mut().insert("access-control-allow-origin", HeaderValue::from_static("*"));
            answer
        };
        let (mut allowed, mut other) = (answer(), answer());
        cors().apply(&request("https://hr.example"), &mut allowed);
        assert_eq!(allowed.headers()["access-control-allow-origin"], "https://hr.example");
        assert_eq!(allowed.headers()["access-control-expose-headers"], "retry-after");
        cors().apply(&request("https://evil.example"), &mut other);
        assert!(other.headers().is_empty());
    }

    #[test]
    fn only_preflights_without_a_route_are_the_gateways() {
        let preflight = request("https://hr.example");
        assert!(Cors::answers(&Method::OPTIONS, &preflight, false));
        assert!(!Cors::answers(&Method::OPTIONS, &preflight, true));
        assert!(!Cors::answers(&Method::GET, &preflight, false));
        for name in ["origin", "access-control-request-method"] {
            let mut plain = preflight.clone();
            plain.remove(name);
            assert!(!Cors::answers(&Method::OPTIONS, &plain, false), "without {name}");
        }
    }
}
