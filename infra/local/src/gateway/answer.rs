//! The HTTP response that API Gateway makes of a function's answer, and the ones that it gives itself.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

/// An answer of the gateway's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The host is not one of the API's, or the caller's certificate is refused.
    Forbidden,
    /// No route matches.
    NotFound,
    /// The request is larger than API Gateway or Lambda takes.
    TooLarge,
    /// The function failed.
    Failed,
    /// The function took longer than the integration may.
    TimedOut,
}

impl Refusal {
    /// The response, in API Gateway's words.
    #[must_use]
    pub fn response(self) -> Response<Body> {
        let (status, message) = match self {
            Self::Forbidden => (StatusCode::FORBIDDEN, "Forbidden"),
            Self::NotFound => (StatusCode::NOT_FOUND, "Not Found"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"),
            Self::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
            Self::TimedOut => (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        };
        let mut response = Response::new(Body::from(json!({ "message": message }).to_string()));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

/// Turns a function's answer (payload format 2.0) into a response.
///
/// # Errors
/// [`Refusal::Failed`] when the answer is malformed, as API Gateway has it.
pub fn respond(answer: &Value) -> Result<Response<Body>, Refusal> {
    let Some(status) = answer.get("statusCode") else { return Ok(inferred(answer)) };
    let status = status.as_u64().or_else(|| status.as_str().and_then(|text| text.parse().ok()));
    let status = status.and_then(|status| u16::try_from(status).ok());
    let status = status.and_then(|status| StatusCode::from_u16(status).ok()).ok_or(Refusal::Failed)?;

    let body = match answer.get("body") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) if answer.get("isBase64Encoded") == Some(&Value::Bool(true)) => {
            BASE64.decode(text).map_err(|_| Refusal::Failed)?
        }
        Some(Value::String(text)) => text.clone().into_bytes(),
        Some(_) => return Err(Refusal::Failed),
    };
    let empty = body.is_empty();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // Format 2.0 knows no `multiValueHeaders`: API Gateway ignores them, and so does this.
    for (name, value) in answer.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let name = HeaderName::from_bytes(name.to_lowercase().as_bytes()).map_err(|_| Refusal::Failed)?;
        let value = crate::template::scalar(value).unwrap_or_default();
        let value = HeaderValue::from_str(&value).map_err(|_| Refusal::Failed)?;
        // These are the connection's, not the function's.
        if name != header::CONTENT_LENGTH && name != header::CONNECTION && name != header::TRANSFER_ENCODING {
            headers.append(name, value);
        }
    }
    for cookie in answer.get("cookies").and_then(Value::as_array).into_iter().flatten() {
        let cookie =
            HeaderValue::from_str(cookie.as_str().unwrap_or_default()).map_err(|_| Refusal::Failed)?;
        headers.append(header::SET_COOKIE, cookie);
    }
    if !empty && !headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=UTF-8"));
    }
    Ok(response)
}

/// An answer without a status is the body of a 200.
fn inferred(answer: &Value) -> Response<Body> {
    let body = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_answer_becomes_a_response() {
        let answer = json!({
            "statusCode": 303, "headers": {"Location": "/card", "content-length": "9"},
            "multiValueHeaders": {"x-ignored": ["1"]},
            "cookies": ["a=1; Secure", "b=2"], "body": "aGk=", "isBase64Encoded": true,
        });
        let response = respond(&answer).unwrap();
        assert_eq!(response.status(), 303);
        assert_eq!(response.headers()["location"], "/card");
        assert!(response.headers().get("x-ignored").is_none());
        assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
        let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
        assert_eq!(body.as_ref(), b"hi");
    }

    #[test]
    fn malformed_answers_are_failures() {
        for answer in [
            json!({"statusCode": 9}),
            json!({"statusCode": 200, "body": {"a": 1}}),
            json!({"statusCode": 200, "headers": {"bad name": "x"}}),
            json!({"statusCode": 200, "body": "?", "isBase64Encoded": true}),
        ] {
            assert_eq!(respond(&answer).unwrap_err(), Refusal::Failed, "{answer}");
        }
        assert_eq!(respond(&json!({"any": "thing"})).unwrap().status(), 200);
    }
}
