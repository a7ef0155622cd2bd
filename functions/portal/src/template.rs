//! Filling in a page: `{{name}}` becomes what the caller says, and nothing else is special.

/// A page's source that cannot be filled in. Only a change to the sources can cause it, and a test renders them all.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unrendered(pub(crate) String);

/// Replaces each `{{name}}` by `fill(name)`, which gives HTML.
///
/// # Errors
/// [`Unrendered`]: braces are not closed, or `fill` knows no such name.
pub(crate) fn render<F>(source: &str, fill: F) -> Result<String, Unrendered>
where
    F: Fn(&str) -> Result<String, Unrendered>,
{
    let mut filled = String::with_capacity(source.len() * 2);
    let mut rest = source;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) =
            after.split_once("}}").ok_or_else(|| Unrendered(format!("unclosed after {before:?}")))?;
        filled.push_str(before);
        filled.push_str(&fill(name)?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Text as HTML, in an element or a quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// JSON as the content of a `<script type="application/json">`, which nothing in it can end.
pub(crate) fn data_block(value: &serde_json::Value) -> String {
    value.to_string().replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_in_and_nothing_else() {
        let fill = |name: &str| match name {
            "who" => Ok(escape("<b> & \"c\"")),
            other => Err(Unrendered(other.to_owned())),
        };
        assert_eq!(render("a {who} {{who}}!", fill), Ok("a {who} &lt;b&gt; &amp; &quot;c&quot;!".to_owned()));
        assert_eq!(render("{{what}}", fill), Err(Unrendered("what".to_owned())));
        assert!(render("{{who", fill).is_err());
    }

    #[test]
    fn a_data_block_cannot_be_ended_from_inside() {
        let block = data_block(&serde_json::json!({ "x": "</script><!--" }));
        assert!(!block.contains('<'), "{block}");
    }
}
