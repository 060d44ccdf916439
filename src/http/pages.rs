//! What a person sees: the home page, the page of a space, its stage door and its meeting room, their files, and refusals in words.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use super::AppState;
use super::errors::{self, Detail, Problem};
use super::place::Space;
use super::ws;

pub(crate) const HOME: &str = "index.html";
pub(crate) const SPACE: &str = "space.html";
pub(crate) const PERFORM: &str = "perform.html";
pub(crate) const MEET: &str = "meet.html";

/// A refusal's page needs a style sheet and nothing else.
const REFUSAL_CSP: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'";

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(home))
        .route("/robots.txt", get(robots))
        .route("/web/{*path}", get(file))
        .route("/{space}", get(space))
        .route("/{space}/perform", get(perform))
        .route("/{space}/meet", get(meet))
        .method_not_allowed_fallback(errors::method_not_allowed)
}

/// A page for browsers; a WebSocket for clients of the message bus that know no other address.
async fn home(State(state): State<AppState>, request: Request) -> Result<Response, Problem> {
    if ws::is_asked_for(request.headers()) {
        return ws::root(&state, request).await;
    }
    serve(&state, HOME, request.headers()).await
}

async fn space(
    State(state): State<AppState>,
    _: Space,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    serve(&state, SPACE, &headers).await
}

async fn perform(
    State(state): State<AppState>,
    _: Space,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    serve(&state, PERFORM, &headers).await
}

async fn meet(
    State(state): State<AppState>,
    _: Space,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    serve(&state, MEET, &headers).await
}

async fn file(
    State(state): State<AppState>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    serve(&state, &path, &headers).await
}

async fn serve(state: &AppState, path: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let asset = state.assets.get(path).await;
    let asset = asset
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "there is no such file; begin at /"))?;
    Ok(asset.respond(headers))
}

/// Search engines may list the home page; spaces are for those who were told their word.
async fn robots() -> &'static str {
    "User-agent: *\nAllow: /$\nDisallow: /\n"
}

/// Middleware: whoever asks for a page (`Accept: text/html`, as browsers do when an address is typed) gets refusals as one.
pub(crate) async fn refuse_in_words(request: Request, next: Next) -> Response {
    let accept = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let wants_page = matches!(*request.method(), Method::GET | Method::HEAD)
        && accept.is_some_and(|accept| accept.contains("text/html"));
    let mut response = next.run(request).await;
    let detail = response.extensions_mut().remove::<Detail>();
    let Some(Detail(detail)) = detail.filter(|_| wants_page) else {
        return response;
    };
    let (mut parts, _) = response.into_parts();
    let page = Html(refusal_page(parts.status, &detail)).into_response();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    parts.headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(REFUSAL_CSP),
    );
    Response::from_parts(parts, page.into_body())
}

fn refusal_page(status: StatusCode, detail: &str) -> String {
    let title = status.canonical_reason().unwrap_or("Error");
    let detail = escaped(detail);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"dark\">\n\
         <title>{title} · Proscenium</title>\n<link rel=\"icon\" href=\"/web/icon.svg\" type=\"image/svg+xml\">\n\
         <link rel=\"stylesheet\" href=\"/web/style.css\">\n<link rel=\"stylesheet\" href=\"/web/home.css\">\n</head>\n\
         <body class=\"foyer\">\n<main class=\"entrance\">\n<h1>{title}</h1>\n<p class=\"lead\">{detail}</p>\n\
         <p class=\"hint\"><a href=\"/\">To the entrance</a></p>\n</main>\n</body>\n</html>\n"
    )
}

/// A sentence begins with a capital and ends with a full stop; nothing in it is markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (index, character) in text.chars().enumerate() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ if index == 0 => escaped.extend(character.to_uppercase()),
            _ => escaped.push(character),
        }
    }
    escaped.push('.');
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_contains_no_markup_of_the_visitor() {
        let page = refusal_page(StatusCode::NOT_FOUND, "no <script>alert('\"&')</script>");
        assert!(page.contains("No &lt;script&gt;alert(&#39;&quot;&amp;&#39;)&lt;/script&gt;."));
        assert!(!page.contains("<script"));
    }
}
