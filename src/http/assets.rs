//! The files of `web/`: embedded in the binary, or read from `--web-dir` at every request so that an edit shows at once.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, LazyLock};

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use super::csp;
use super::variants::Text;

/// Longest file in bytes that is served: pages, scripts, fonts and pictures, no films.
pub(crate) const FILE_MAX: u64 = 32 * 1024 * 1024;
/// Files below this many bytes are not worth compressing: they fit into one packet.
const GZIP_MIN: usize = 1024;
/// What a web directory must have.
const PAGES: [&str; 4] = [
    super::pages::HOME,
    super::pages::SPACE,
    super::pages::PERFORM,
    super::pages::MEET,
];

#[derive(RustEmbed)]
#[folder = "web/"]
#[exclude = "tests/*"]
#[exclude = "node_modules/*"]
#[exclude = "*.md"]
#[exclude = "vendor/update"]
struct Embedded;

/// Why the pages cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum AssetError {
    /// A page is missing or unreadable.
    #[error(
        "cannot read {path}: {source}; --web-dir must name a copy of the web folder of Proscenium"
    )]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Where the files come from.
#[derive(Debug, Clone)]
pub(crate) enum Assets {
    /// The binary.
    Embedded(Arc<BTreeMap<String, Arc<Asset>>>),
    /// A folder.
    Folder(PathBuf),
}

/// One file, ready to be served.
#[derive(Debug)]
pub(crate) struct Asset {
    bytes: Bytes,
    gzip: Option<Bytes>,
    /// Of the uncompressed file, without quotes; the compressed one has `-gz` after it.
    etag: String,
    content_type: &'static str,
    csp: Option<HeaderValue>,
}

/// Compressed once per process, not once per router.
static EMBEDDED: LazyLock<Arc<BTreeMap<String, Arc<Asset>>>> = LazyLock::new(|| {
    let file = |path: std::borrow::Cow<'static, str>| {
        let file = Embedded::get(&path)?;
        let asset = Asset::new(&path, Bytes::from(file.data.into_owned()), true);
        Some((path.into_owned(), Arc::new(asset)))
    };
    Arc::new(Embedded::iter().filter_map(file).collect())
});

impl Assets {
    /// The embedded files, or those of `folder`.
    ///
    /// # Errors
    /// When `folder` lacks a page.
    pub(crate) fn open(folder: Option<&Path>) -> Result<Self, AssetError> {
        let Some(folder) = folder else {
            return Ok(Self::Embedded(Arc::clone(&EMBEDDED)));
        };
        let unreadable = |path: PathBuf| move |source| AssetError::Unreadable { path, source };
        let folder = folder
            .canonicalize()
            .map_err(unreadable(folder.to_owned()))?;
        for page in PAGES {
            let path = folder.join(page);
            read_file(&path).map_err(unreadable(path))?;
        }
        Ok(Self::Folder(folder))
    }

    /// The file at `path` below the web folder; `None` when there is none, when it is longer than [`FILE_MAX`] or lies elsewhere.
    pub(crate) async fn get(&self, path: &str) -> Option<Arc<Asset>> {
        match self {
            Self::Embedded(files) => files.get(path).map(Arc::clone),
            Self::Folder(folder) => {
                let full = below(folder, path)?;
                let folder = folder.clone();
                // Files are read where blocking is allowed.
                let read = tokio::task::spawn_blocking(move || {
                    // A link must not lead out of the folder.
                    let full = full.canonicalize()?;
                    if !full.starts_with(&folder) {
                        return Err(io::ErrorKind::PermissionDenied.into());
                    }
                    read_file(&full)
                });
                let bytes = read.await.ok()?.ok()?;
                Some(Arc::new(Asset::new(path, bytes.into(), false)))
            }
        }
    }
}

/// `folder/path` if `path` consists of ordinary names: no `..`, no hidden files, nothing absolute.
fn below(folder: &Path, path: &str) -> Option<PathBuf> {
    let relative = Path::new(path);
    let is_ordinary = |part: Component<'_>| match part {
        Component::Normal(name) => name.to_str().is_some_and(|name| !name.starts_with('.')),
        _ => false,
    };
    let is_inside =
        !path.is_empty() && !path.contains(['\\', '\0']) && relative.components().all(is_ordinary);
    is_inside.then(|| folder.join(relative))
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > FILE_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "no file, or too long a file",
        ));
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Asset {
    fn new(path: &str, bytes: Bytes, compress: bool) -> Self {
        let content_type = content_type(path);
        let digest = Sha256::digest(&bytes);
        let is_text = content_type.contains("charset")
            || content_type.contains("svg")
            || content_type.contains("json");
        let gzip = (compress && is_text && bytes.len() >= GZIP_MIN)
            .then(|| gzip(&bytes))
            .flatten();
        let csp = std::str::from_utf8(&bytes)
            .ok()
            .filter(|_| content_type.starts_with("text/html"))
            .map(csp::policy);
        Self {
            gzip: gzip.filter(|gzip| gzip.len() < bytes.len()),
            etag: data_encoding::HEXLOWER.encode(&digest[..16]),
            bytes,
            content_type,
            csp,
        }
    }

    /// The answer to a `GET` with these request headers: 200, or 304 when the client has it.
    pub(crate) fn respond(&self, request: &HeaderMap) -> Response {
        // The names carry no version: a browser asks each time, and mostly hears 304.
        let text = Text {
            plain: &self.bytes,
            gzip: || self.gzip.as_ref(),
            etag: &self.etag,
            content_type: self.content_type,
            cache_control: "no-cache",
        };
        let mut response = text.respond(request);
        let headers = response.headers_mut();
        // Pages of other sites import the client library; a page itself is for nobody else to read.
        if self.csp.is_none() {
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_ORIGIN,
                HeaderValue::from_static("*"),
            );
        }
        if response.status() == StatusCode::NOT_MODIFIED {
            return response;
        }
        let headers = response.headers_mut();
        if let Some(csp) = &self.csp {
            headers.insert(header::CONTENT_SECURITY_POLICY, csp.clone());
            headers.insert(
                header::REFERRER_POLICY,
                HeaderValue::from_static("same-origin"),
            );
        }
        response
    }
}

fn gzip(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// By the end of the name. Texts say that they are UTF-8: p5 2 does not run otherwise.
fn content_type(path: &str) -> &'static str {
    let ending = path
        .rsplit_once('.')
        .map_or("", |(_, ending)| ending)
        .to_ascii_lowercase();
    match ending.as_str() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "txt" | "license" => "text/plain; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "mp3" => "audio/mpeg",
        "ogg" | "opus" => "audio/ogg",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "wasm" => "application/wasm",
        "glb" => "model/gltf-binary",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn only_ordinary_names_lead_into_a_folder() {
        let folder = Path::new("/web");
        assert_eq!(
            below(folder, "lib/whep.js"),
            Some("/web/lib/whep.js".into())
        );
        for path in [
            "",
            "..",
            "../etc/passwd",
            "lib/../../x",
            "/etc/passwd",
            ".git/config",
            "lib/.env",
            "a\0b",
            "..\\x",
            ".",
        ] {
            assert_eq!(below(folder, path), None, "{path}");
        }
    }

    #[tokio::test]
    async fn a_file_is_sent_once_and_then_304() {
        let asset = Asset::new("a.js", Bytes::from("x".repeat(5000)), true);
        let plain = asset.respond(&HeaderMap::new());
        assert_eq!(
            plain.headers()[header::CONTENT_TYPE],
            "text/javascript; charset=utf-8"
        );
        let mut request = headers(header::ACCEPT_ENCODING, "gzip");
        let small = asset.respond(&request);
        assert_eq!(small.headers()[header::CONTENT_ENCODING], "gzip");
        assert_ne!(small.headers()[header::ETAG], plain.headers()[header::ETAG]);
        request.insert(header::IF_NONE_MATCH, small.headers()[header::ETAG].clone());
        let known = asset.respond(&request);
        assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
        assert!(!known.headers().contains_key(header::CONTENT_TYPE));
        assert_eq!(known.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        request.remove(header::ACCEPT_ENCODING);
        assert_eq!(asset.respond(&request).status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn the_pages_are_embedded_with_a_policy_and_tests_are_not() {
        let assets = Assets::open(None).unwrap();
        for page in PAGES {
            let page = assets.get(page).await.unwrap();
            assert!(page.csp.is_some() && page.content_type.starts_with("text/html"));
            let page = page.respond(&HeaderMap::new());
            assert!(
                !page
                    .headers()
                    .contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN)
            );
        }
        let Assets::Embedded(files) = &assets else {
            unreachable!("no folder was named")
        };
        let strangers: Vec<_> = files
            .keys()
            .filter(|path| path.starts_with("tests/") || path.ends_with(".md"))
            .collect();
        assert!(strangers.is_empty(), "{strangers:?}");
    }

    #[tokio::test]
    async fn a_web_folder_is_read_anew_each_time_and_never_left() {
        let root = std::env::temp_dir().join(format!("proscenium-web-{}", uuid::Uuid::new_v4()));
        let folder = root.join("web");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(root.join("secret.txt"), "secret").unwrap();
        let missing = Assets::open(Some(&folder)).unwrap_err().to_string();
        assert!(
            missing.contains("index.html") && missing.contains("--web-dir"),
            "{missing}"
        );
        for page in PAGES {
            std::fs::write(folder.join(page), "one").unwrap();
        }
        let assets = Assets::open(Some(&folder)).unwrap();
        assert_eq!(&assets.get("index.html").await.unwrap().bytes[..], b"one");
        std::fs::write(folder.join("index.html"), "two").unwrap();
        assert_eq!(&assets.get("index.html").await.unwrap().bytes[..], b"two");
        std::os::unix::fs::symlink(root.join("secret.txt"), folder.join("link.txt")).unwrap();
        for outside in ["link.txt", "../secret.txt", "", "none.txt"] {
            assert!(assets.get(outside).await.is_none(), "{outside}");
        }
        std::fs::remove_dir_all(&root).unwrap();
    }
}
