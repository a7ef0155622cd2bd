//! The portal: the pages of first-sign-in, their assets, and the API's description, all embedded in the binary; and the
//! answer to what no route takes ([`unrouted`]).
//!
//! It reaches no AWS service and reads nothing but its request. What pages do, they do by calling the other functions
//! from the browser; their sources are in `web/`:
//!
//! - `web/layout.html` around `web/pages/`, filled in once at start ([`site`] says how to add a page);
//! - `web/texts/`, one file a language with the same keys; the texts of error codes come from [`shared::problem`] and
//!   those of password rules from [`shared::password`], so there is no second copy of either;
//! - `web/assets/`: one style sheet, and ES modules without a framework, checked by TypeScript through their JSDoc
//!   types (`web/jsconfig.json`), and with nothing that a browser of two years ago did not know, which
//!   `tests/browser/support.mjs` looks up. `build.rs` gives each a name that carries its content's hash, and compresses it.

mod encoding;
mod handler;
mod site;
mod template;
mod unrouted;

use std::sync::Arc;

use lambda_http::http::{HeaderValue, Uri};
use shared::environment::{Environment, StartError};
use shared::lambda::Function;
use shared::password::Policy;

use crate::handler::Portal;
use crate::site::{Facts, Site};

/// Makes the site and serves it.
///
/// # Errors
/// [`StartError::Configuration`].
pub async fn start(environment: &Environment) -> Result<Function, StartError> {
    let mut settings = environment.settings();
    let card_origin = settings.required("CARD_ORIGIN");
    let attempts_origin = settings.optional("CARD_ATTEMPTS_ORIGIN");
    let helpdesk = settings.optional("HELPDESK_CONTACT");
    let password_policy = Policy::from_settings(&mut settings);
    settings.finish()?;
    let malformed = |reason: String| StartError::Configuration(vec![reason]);
    let named = [("CARD_ORIGIN", Some(&card_origin)), ("CARD_ATTEMPTS_ORIGIN", attempts_origin.as_ref())];
    let origins = named.into_iter().filter_map(|(name, value)| Some((name, value?))).map(|(name, value)| {
        origin(value).ok_or_else(|| malformed(format!("{name}: no https origin: {value:?}")))
    });
    let origins = origins.collect::<Result<Vec<_>, _>>()?;
    let card_origin = attempts_origin.unwrap_or(card_origin);
    let site = Site::build(&Facts { card_origin, helpdesk, password_policy })
        .map_err(|unrendered| malformed(format!("a page's source: {}", unrendered.0)))?;
    let portal = Arc::new(Portal::new(site, &origins));
    Ok(Function::http(move |request| {
        let portal = Arc::clone(&portal);
        async move { portal.handle(request) }
    }))
}

/// An `https` origin without a slash at its end, fit for a header.
fn origin(text: &str) -> Option<HeaderValue> {
    let authority = text.strip_prefix("https://")?;
    let host = authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:*[]".contains(&byte));
    (host && text.parse::<Uri>().is_ok()).then(|| HeaderValue::from_str(text).ok()).flatten()
}
