//! Content encodings (RFC 9110 section 8.4): which one a caller gets, and making it.

use std::io::Write as _;

use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::GzEncoder;

/// A form in which a resource travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As it is.
    Identity,
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
}

impl Encoding {
    /// The best one that an `Accept-Encoding` takes. The smallest is the best, whatever the caller's preference: both
    /// cost a browser the same. Without the header, and with one that takes nothing, there is always the resource as it is.
    pub(crate) fn accepted(header: Option<&str>) -> Self {
        let header = header.unwrap_or_default();
        let takes = |coding: &str| {
            let mut any = None;
            for part in header.split(',') {
                let (name, weight) = part.split_once(';').unwrap_or((part, ""));
                let weight =
                    weight.trim().strip_prefix("q=").and_then(|weight| weight.trim().parse::<f32>().ok());
                let taken = weight.is_none_or(|weight| weight > 0.0);
                match name.trim() {
                    name if name.eq_ignore_ascii_case(coding) => return taken,
                    "*" => any = Some(taken),
                    _ => {}
                }
            }
            any.unwrap_or(false)
        };
        match (takes("br"), takes("gzip")) {
            (true, _) => Self::Brotli,
            (false, true) => Self::Gzip,
            (false, false) => Self::Identity,
        }
    }

    /// Its name in `Content-Encoding`.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
        }
    }

    /// What sets its entity tag apart from those of the resource's other forms.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Identity => "",
            Self::Brotli => "-br",
            Self::Gzip => "-gz",
        }
    }

    /// Compresses a page. Brotli's quality 6 takes a millisecond for one; the best would take a hundred.
    pub(crate) fn compress(self, content: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Identity => Some(content.to_vec()),
            Self::Brotli => {
                let mut compressed = Vec::new();
                let parameters =
                    BrotliEncoderParams { quality: 6, size_hint: content.len(), ..Default::default() };
                brotli::BrotliCompress(&mut &*content, &mut compressed, &parameters).ok()?;
                Some(compressed)
            }
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(content).ok()?;
                encoder.finish().ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_form_that_the_caller_takes() {
        let rows = [
            ("no header", None, Encoding::Identity),
            ("an empty one", Some(""), Encoding::Identity),
            ("Chrome's", Some("gzip, deflate, br, zstd"), Encoding::Brotli),
            ("Safari's over HTTP", Some("gzip, deflate"), Encoding::Gzip),
            ("anything", Some("*"), Encoding::Brotli),
            ("anything but brotli", Some("*, br;q=0"), Encoding::Gzip),
            ("refused by weight", Some("br; q=0, gzip;q=0.000"), Encoding::Identity),
            ("weights do not choose", Some("gzip;q=1.0, br;q=0.1"), Encoding::Brotli),
            ("capitals", Some("GZIP"), Encoding::Gzip),
            ("only unknown ones", Some("zstd, deflate"), Encoding::Identity),
            ("identity alone", Some("identity"), Encoding::Identity),
            ("no encoding at all", Some("identity;q=0"), Encoding::Identity),
        ];
        for (what, header, expected) in rows {
            assert_eq!(Encoding::accepted(header), expected, "{what}");
        }
    }
}
