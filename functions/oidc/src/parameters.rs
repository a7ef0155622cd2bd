//! Parameters of OAuth requests: each at most once (RFC 6749 section 3.1), and an empty one is as good as none.

use std::collections::BTreeMap;

use url::form_urlencoded;

/// The parameters of a request, by name.
#[derive(Clone, Debug, Default)]
pub struct Parameters(BTreeMap<String, Vec<String>>);

/// The parameter came more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} came more than once")]
pub struct Repeated(pub &'static str);

impl Parameters {
    /// Reads a query, or the body of a form.
    pub fn parse(text: &str) -> Self {
        let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            if !value.is_empty() {
                parameters.entry(name.into_owned()).or_default().push(value.into_owned());
            }
        }
        Self(parameters)
    }

    /// A parameter.
    ///
    /// # Errors
    /// [`Repeated`].
    pub fn get(&self, name: &'static str) -> Result<Option<&str>, Repeated> {
        match self.0.get(name).map(Vec::as_slice) {
            None | Some([]) => Ok(None),
            Some([value]) => Ok(Some(value)),
            Some(_) => Err(Repeated(name)),
        }
    }

    /// Whether a parameter is there, however often.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_come_once() {
        let parameters = Parameters::parse("a=1&b=2&b=3&c=&d=x+y%2Fz&%E4%BA%BA=%E4%BA%8B&e");
        assert_eq!(parameters.get("a"), Ok(Some("1")));
        assert_eq!(parameters.get("b"), Err(Repeated("b")));
        assert_eq!(parameters.get("c"), Ok(None));
        assert_eq!(parameters.get("d"), Ok(Some("x y/z")));
        assert_eq!(parameters.get("人"), Ok(Some("事")));
        assert_eq!((parameters.get("e"), parameters.get("f")), (Ok(None), Ok(None)));
        assert!(parameters.has("b") && !parameters.has("c"));
    }
}
