//! A mail as a message of RFC 5322.
//!
//! Headers are values of types that carry no line break: an address and a mail's id cannot hold one, and words are encoded
//! (RFC 2047). SES replaces `Message-ID` and `Date` by its own, so what names the mail also stands in `References`, by which
//! mail programs put duplicates together, and in `X-First-Sign-In-Mail`.

use lettre::Address;
use lettre::message::header::{ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};
use zeroize::Zeroizing;

use super::words::Line;
use super::{Content, Unwritable};
use crate::email_address::EmailAddress;

/// Declares a header whose value is one line of visible ASCII.
macro_rules! header {
    ($(#[$doc:meta])* $name:ident, $text:literal) => {
        $(#[$doc])*
        #[derive(Clone)]
        struct $name(Visible);

        impl Header for $name {
            fn name() -> HeaderName {
                HeaderName::new_from_ascii_str($text)
            }

            fn parse(value: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
                Ok(Self(Visible::new(value)))
            }

            fn display(&self) -> HeaderValue {
                HeaderValue::new(Self::name(), self.0.0.clone())
            }
        }
    };
}

header!(
    /// That no person wrote it, so that no robot answers (RFC 3834).
    AutoSubmitted,
    "Auto-Submitted"
);
header!(
    /// The same, for Exchange.
    AutoResponseSuppress,
    "X-Auto-Response-Suppress"
);
header!(
    /// Which row of mails it belongs to (RFC 2919).
    ListId,
    "List-Id"
);
header!(
    /// Which mail it is, whatever SES makes of `Message-ID`.
    MailName,
    "X-First-Sign-In-Mail"
);
header!(
    /// In which languages it is (RFC 3282).
    ContentLanguage,
    "Content-Language"
);

/// Visible ASCII and spaces: nothing else gets in.
#[derive(Clone)]
struct Visible(String);

impl Visible {
    fn new(text: &str) -> Self {
        Self(text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect())
    }
}

/// Whom mails come from. The name is one line, whatever an operator wrote.
#[must_use]
pub fn sender(name: Option<&str>, address: Address) -> Mailbox {
    Mailbox::new(name.map(|name| Line(name).to_string()), address)
}

/// Writes a mail down. `id` names it: the reset's or the notice's.
///
/// # Errors
/// [`Unwritable`].
pub fn compose(
    from: &Mailbox,
    to: &EmailAddress,
    content: &Content,
    id: &str,
) -> Result<Zeroizing<Vec<u8>>, Unwritable> {
    let domain = from.email.domain();
    let Visible(id) = Visible::new(id);
    let name = format!("<{id}@{domain}>");
    let part = |kind: ContentType, body: &str| {
        // Whatever the words are, lines stay short and plain ASCII.
        let part = SinglePart::builder().header(kind).header(ContentTransferEncoding::Base64);
        part.body(body.to_owned())
    };
    let to = to.reveal().parse().map_err(|_| Unwritable)?;
    let message = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(&content.subject)
        .message_id(Some(name.clone()))
        .references(name)
        .header(MailName(Visible(id)))
        .header(ListId(Visible::new(&format!("First Sign-In <first-sign-in.{domain}>"))))
        .header(AutoSubmitted(Visible::new("auto-generated")))
        .header(AutoResponseSuppress(Visible::new("All")))
        .header(ContentLanguage(Visible::new("zh-TW, en")))
        .multipart(
            MultiPart::alternative()
                .singlepart(part(ContentType::TEXT_PLAIN, &content.text))
                .singlepart(part(ContentType::TEXT_HTML, &content.html)),
        );
    Ok(Zeroizing::new(message.map_err(|_| Unwritable)?.formatted()))
}
