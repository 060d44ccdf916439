//! The Content-Security-Policy of a page: its own scripts, and the inline ones that were in it when it was loaded.

use axum::http::HeaderValue;
use data_encoding::BASE64;
use sha2::{Digest, Sha256};

/// Inline scripts of one page whose hashes are listed; a header stays below 2 kB.
const INLINE_SCRIPTS_MAX: usize = 16;

/// The policy for `html`.
///
/// `'unsafe-eval'`: Vue compiles templates in the browser. `connect-src *`: a page may publish to and watch other servers.
/// `blob:`: pictures and media that scripts make.
pub(crate) fn policy(html: &str) -> HeaderValue {
    let mut scripts = "'self' 'unsafe-eval'".to_owned();
    for script in inline_scripts(html).take(INLINE_SCRIPTS_MAX) {
        let hash = BASE64.encode(&Sha256::digest(script));
        scripts.push_str(&format!(" 'sha256-{hash}'"));
    }
    let policy = format!(
        "default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; \
         media-src 'self' blob:; worker-src 'self' blob:; connect-src *; object-src 'none'; base-uri 'none'; form-action 'self'"
    );
    HeaderValue::try_from(policy).expect("base64 and the text above are printable ASCII")
}

/// The contents of `<script>` elements without `src`, import maps among them.
fn inline_scripts(html: &str) -> impl Iterator<Item = &str> {
    let mut rest = html;
    std::iter::from_fn(move || {
        loop {
            let start = rest.find("<script")?;
            let (attributes, after) = rest[start + "<script".len()..].split_once('>')?;
            let (content, after) = after.split_once("</script")?;
            rest = after;
            let has_source = attributes
                .split_ascii_whitespace()
                .any(|attribute| attribute.starts_with("src="));
            if !has_source {
                return Some(content);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_an_import_map_is_in_the_policy() {
        let html = "<script type=\"importmap\">{}</script><script type=\"module\" async src=\"/x.js\"></script>";
        let policy = policy(html);
        let policy = policy.to_str().unwrap();
        // printf '{}' | openssl dgst -sha256 -binary | base64
        assert!(policy.contains("script-src 'self' 'unsafe-eval' 'sha256-RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=';"), "{policy}");
        assert_eq!(policy.matches("sha256-").count(), 1);
    }

    #[test]
    fn scripts_with_a_source_have_no_hash_and_broken_html_is_no_trap() {
        let scripts = |html| inline_scripts(html).collect::<Vec<_>>();
        assert_eq!(
            scripts("<script>a</script><script src='x'>b</script><script>c</script>"),
            ["a", "c"]
        );
        for html in [
            "",
            "<script",
            "<script>",
            "<script>a</scrip",
            "</script><script",
        ] {
            assert_eq!(scripts(html), [""; 0], "{html}");
        }
    }
}
