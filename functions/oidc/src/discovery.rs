//! `/.well-known/openid-configuration`: what there is (OpenID Connect Discovery 1.0, RFC 8414, RP-Initiated Logout 1.0).

use serde_json::{Value, json};
use shared::language::Language;
use shared::oauth::{Acr, Scope};

/// How clients prove themselves.
const CLIENT_AUTHENTICATION: [&str; 4] =
    ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];

/// Where codes are exchanged.
pub fn token_endpoint(issuer: &str) -> String {
    format!("{issuer}/token")
}

/// Where tokens are given back.
pub fn revocation_endpoint(issuer: &str) -> String {
    format!("{issuer}/revoke")
}

/// The document.
pub fn document(issuer: &str) -> Value {
    let scopes: Vec<_> = Scope::ALL.iter().map(|scope| scope.name()).collect();
    let acr: Vec<_> = Acr::ALL.iter().map(|acr| acr.name()).collect();
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": token_endpoint(issuer),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "revocation_endpoint": revocation_endpoint(issuer),
        "end_session_endpoint": format!("{issuer}/logout"),
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "service_documentation": format!("{issuer}/openapi.yaml"),
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "acr_values_supported": acr,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
        "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
        "revocation_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
        "revocation_endpoint_auth_signing_alg_values_supported": ["ES256"],
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "claim_types_supported": ["normal"],
        "claims_supported": [
            "iss", "sub", "aud", "azp", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid",
            "subject", "name", "preferred_username", "agency", "agency_name", "roles",
        ],
        "ui_locales_supported": [Language::ZhTw.tag(), Language::En.tag()],
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "authorization_response_iss_parameter_supported": true,
    })
}
