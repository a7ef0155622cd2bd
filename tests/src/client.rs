//! A client of ours on another origin, as the standard has it (OpenID Connect): it knows nothing of our own API.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use crate::browser::{Answer, Browser, ProofKey, Session};

/// A client that the stand-in's sample knows.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// Its id.
    pub id: &'static str,
    /// Where it has codes sent to.
    pub redirect_uri: &'static str,
    /// Where it has people sent to who have signed out.
    pub post_logout_redirect_uri: &'static str,
    /// Everything that it may have.
    pub scope: &'static str,
    proof: Proof,
}

#[derive(Debug, Clone, Copy)]
enum Proof {
    Nothing,
    Secret,
    Key,
}

/// An app without a secret, on loopback.
pub const APP: Client = Client {
    id: "example-portal",
    redirect_uri: "http://127.0.0.1:4711/callback",
    post_logout_redirect_uri: "http://127.0.0.1:4711/signed-out",
    scope: "openid profile hr.search hr.reset hr.audit hr.authorizations",
    proof: Proof::Nothing,
};
/// A server with a secret.
pub const HR_PORTAL: Client = Client {
    id: "hr-portal",
    redirect_uri: "https://hr.example.gov.tw/callback",
    post_logout_redirect_uri: "https://hr.example.gov.tw/",
    scope: "openid profile hr.search hr.reset",
    proof: Proof::Secret,
};
/// A server with a key.
pub const DESK: Client = Client {
    id: "desk-portal",
    redirect_uri: "https://desk.example.gov.tw/callback",
    post_logout_redirect_uri: "",
    scope: "openid hr.search hr.cards",
    proof: Proof::Key,
};

/// The secret of [`HR_PORTAL`].
pub const SECRET: &str = "c2FtcGxlLXNlY3JldC1vZi10aGUtc3RhbmQtaW4tMzI";

/// The key of [`DESK`]: that of RFC 7515, appendix A.3.
const KEY: [&str; 3] = [
    "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
    "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
];

/// What a client asks for: the parameters of a request, with what it keeps to itself.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The client.
    pub client: Client,
    /// The parameters.
    pub parameters: Vec<(String, String)>,
    /// What the code's challenge is of.
    pub verifier: String,
}

/// A request on our page: what `/authorize` put into its fragment.
#[derive(Debug, Clone)]
pub struct OnPage {
    request: String,
    asked_at: i64,
}

impl Client {
    /// A request for everything that it may have.
    #[must_use]
    pub fn asks(self) -> Asked {
        let key = ProofKey::random();
        let parameters = [
            ("client_id", self.id),
            ("redirect_uri", self.redirect_uri),
            ("response_type", "code"),
            ("scope", self.scope),
            ("state", "a state & more"),
            ("nonce", "a nonce"),
            ("code_challenge", &key.challenge),
            ("code_challenge_method", "S256"),
        ];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Asked { client: self, parameters, verifier: key.verifier }
    }

    /// The form that exchanges a code, and how the client proves itself.
    ///
    /// # Panics
    /// When the key cannot sign.
    #[must_use]
    pub fn exchange(self, world: &str, code: &str, verifier: &str, now: Timestamp) -> Exchange {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect_uri),
            ("code_verifier", verifier),
        ];
        self.proving_itself("/token", &form, world, now)
    }

    /// The form that gives a token back, and how the client proves itself.
    #[must_use]
    pub fn revocation(self, world: &str, token: &str, now: Timestamp) -> Exchange {
        self.proving_itself("/revoke", &[("token", token)], world, now)
    }

    fn proving_itself(
        self,
        path: &'static str,
        form: &[(&str, &str)],
        world: &str,
        now: Timestamp,
    ) -> Exchange {
        let mut form =
            form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>();
        let mut authorization = None;
        match self.proof {
            Proof::Nothing => form.push(("client_id".to_owned(), self.id.to_owned())),
            Proof::Secret => authorization = Some(basic(self.id, SECRET)),
            Proof::Key => {
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                form.push(("client_assertion_type".to_owned(), kind.to_owned()));
                form.push(("client_assertion".to_owned(), assertion(self.id, world, now)));
            }
        }
        Exchange { path, form, authorization }
    }
}

/// Id and secret in a header.
#[must_use]
pub fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

fn assertion(id: &str, audience: &str, now: Timestamp) -> String {
    let [d, x, y] = KEY.map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let public = [vec![4], x, y].concat();
    let key = EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &d, &public);
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"iss": id, "sub": id, "aud": audience, "jti": ProofKey::random().verifier,
        "iat": now.as_second(), "exp": now.as_second() + 60});
    let input = format!("{}.{}", part(json!({"alg": "ES256", "kid": "sample"})), part(claims));
    let signature = key.unwrap().sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// An exchange that is about to be made, or a revocation.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Where.
    pub path: &'static str,
    /// The form.
    pub form: Vec<(String, String)>,
    /// The header `Authorization`.
    pub authorization: Option<String>,
}

impl Exchange {
    /// The same with another value of a parameter; an empty one takes it away.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.form.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.form.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// Makes it, from the client's own machine: without anybody's session.
    pub async fn send(&self, from: &Browser) -> Answer {
        let client = from.signed_out();
        let form: Vec<(&str, &str)> =
            self.form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut request = client.request("POST", self.path).without("origin").form(&form);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        request.send().await
    }
}

impl Asked {
    /// The same with another value of a parameter; an empty one takes it away.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.parameters.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.parameters.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// The request as a query.
    #[must_use]
    pub fn query(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.parameters).finish()
    }

    /// The browser comes to `/authorize` from the client's site: without its cookie, as a navigation.
    pub async fn arrive(&self, browser: &Browser) -> Answer {
        let stranger = browser.signed_out();
        let path = format!("/authorize?{}", self.query());
        stranger.request("GET", &path).header("accept", "text/html,*/*;q=0.8").send().await
    }

    /// The same, on to our page.
    pub async fn on_page(&self, browser: &Browser) -> OnPage {
        OnPage::of(&self.arrive(browser).await)
    }

    /// A code for whoever is signed in in the browser, who agrees.
    ///
    /// # Panics
    /// When there is none.
    pub async fn code(&self, browser: &Browser) -> String {
        let answer = self.on_page(browser).await.answer(browser, Some("allow")).await.ok();
        returned(&answer).code.unwrap_or_else(|| panic!("no code: {answer}"))
    }

    /// The tokens for whoever is signed in.
    ///
    /// # Panics
    /// When there are none.
    pub async fn tokens(&self, browser: &Browser, world: &str, now: Timestamp) -> Value {
        let code = self.code(browser).await;
        self.client.exchange(world, &code, &self.verifier, now).send(browser).await.ok().body
    }
}

impl OnPage {
    /// Reads the fragment that `/authorize` sends the browser to.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 303, "{answer}");
        let page = Url::parse(answer.header("location").unwrap()).unwrap();
        assert_eq!((page.path(), page.host_str()), ("/continue", Some("portal.localhost")), "{answer}");
        let fragment = page.fragment().unwrap_or_default();
        let part = |name: &str| {
            let mut parts = form_urlencoded::parse(fragment.as_bytes());
            parts
                .find(|(known, _)| known == name)
                .unwrap_or_else(|| panic!("no {name}: {answer}"))
                .1
                .into_owned()
        };
        Self { request: part("request"), asked_at: part("asked_at").parse().unwrap() }
    }

    /// What our page hears of it.
    pub async fn answer(&self, browser: &Browser, say: Option<&str>) -> Answer {
        browser.post("/v1/authorization", self.body(say)).await
    }

    /// What our page asks.
    #[must_use]
    pub fn body(&self, say: Option<&str>) -> Value {
        let mut body = json!({"request": self.request, "asked_at": self.asked_at});
        if let Some(say) = say {
            body["say"] = json!(say);
        }
        body
    }
}

/// A client's wish that somebody be signed out, on our page: what `/logout` put into its fragment.
#[derive(Debug, Clone)]
pub struct SigningOut(String);

impl SigningOut {
    /// The browser comes to `/logout` from the client's site: without its cookie, as a navigation.
    ///
    /// # Panics
    /// When it is not led to our page.
    pub async fn arrive(browser: &Browser, parameters: &[(&str, &str)]) -> Self {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let request = browser.signed_out();
        let request = request.request("GET", &format!("/logout?{query}")).header("accept", "text/html");
        Self::of(&request.send().await)
    }

    /// Reads the fragment that `/logout` sends the browser to.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 303, "{answer}");
        let page = Url::parse(answer.header("location").unwrap()).unwrap();
        assert_eq!((page.path(), page.host_str()), ("/sign-out", Some("portal.localhost")), "{answer}");
        let mut parts = form_urlencoded::parse(page.fragment().unwrap_or_default().as_bytes());
        let request = parts.find(|(name, _)| name == "request");
        Self(request.unwrap_or_else(|| panic!("no request: {answer}")).1.into_owned())
    }

    /// What our page hears of it.
    pub async fn answer(&self, browser: &Browser, agreed: bool) -> Answer {
        browser.post("/v1/logout", json!({"request": self.0, "agreed": agreed})).await
    }
}

/// What came back to the client's address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Returned {
    /// Where to.
    pub address: String,
    /// The code.
    pub code: Option<String>,
    /// Or the error.
    pub error: Option<String>,
    /// The client's state.
    pub state: Option<String>,
    /// Who answers.
    pub iss: Option<String>,
}

/// What an answer sends to the client: of `/authorize` by redirect, of our page by what it is told.
///
/// # Panics
/// When it is no such answer.
#[must_use]
pub fn returned(answer: &Answer) -> Returned {
    let location = answer.header("location").or_else(|| answer.body["location"].as_str());
    let url = Url::parse(location.unwrap_or_else(|| panic!("nowhere: {answer}"))).unwrap();
    let part = |name: &str| {
        let parts: Vec<String> = url
            .query_pairs()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
            .collect();
        assert!(parts.len() < 2, "{name} twice: {url}");
        parts.into_iter().next()
    };
    Returned {
        address: format!("{}{}", url.origin().ascii_serialization(), url.path()),
        code: part("code"),
        error: part("error"),
        state: part("state"),
        iss: part("iss"),
    }
}

/// A browser that presents a client's access token: the client itself.
#[must_use]
pub fn with_token(from: &Browser, tokens: &Value) -> Browser {
    let mut client = from.clone();
    client.session = Some(Session::Token(tokens["access_token"].as_str().unwrap().to_owned()));
    client
}
