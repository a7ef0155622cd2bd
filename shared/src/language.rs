//! The two languages of every text.

/// A language that texts are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// 繁體中文, the default.
    #[default]
    ZhTw,
    /// English.
    En,
}

impl Language {
    /// The BCP 47 tag: `Content-Language` and `lang`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::ZhTw => "zh-TW",
            Self::En => "en",
        }
    }

    /// Chooses by `Accept-Language` (RFC 9110 section 12.5.4): of the two, the one with the greater weight; the
    /// default on a tie, for neither, and for nonsense.
    pub fn accepted(header: &str) -> Self {
        let weight_of = |wanted: &str| {
            header
                .split(',')
                .filter_map(|range| {
                    let mut parts = range.split(';').map(str::trim);
                    let tag = parts.next()?.to_ascii_lowercase();
                    let weight = parts
                        .find_map(|part| part.strip_prefix("q="))
                        .map_or(Some(1.0), |q| q.parse::<f32>().ok())?;
                    let primary = tag.split('-').next()?;
                    (primary == wanted).then_some(weight)
                })
                .fold(0.0_f32, f32::max)
        };
        if weight_of("en") > weight_of("zh") { Self::En } else { Self::ZhTw }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted() {
        let rows = [
            ("", Language::ZhTw),
            ("en", Language::En),
            ("en-US,en;q=0.9,zh-TW;q=0.8", Language::En),
            ("zh-TW,zh;q=0.9,en;q=0.8", Language::ZhTw),
            ("ja, en;q=0.3", Language::En),
            ("ja", Language::ZhTw),
            ("*", Language::ZhTw),
            ("en;q=0", Language::ZhTw),
            ("en;q=x,;;=,", Language::ZhTw),
        ];
        for (header, expected) in rows {
            assert_eq!(Language::accepted(header), expected, "{header:?}");
        }
    }
}
