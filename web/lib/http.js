/**
 * The HTTP half of WHIP (RFC 9725) and WHEP: offers out, answers and refusals in.
 * @module
 */

/** How long an offer may stay unanswered, in ms. */
export const ANSWER_TIMEOUT_MS = 10_000;
/** Longest `Retry-After` that is obeyed, in ms: a page should not sleep for an hour because of a proxy. */
export const RETRY_AFTER_MAX_MS = 30_000;
/** Longest text of a refusal that a person is shown, in characters. */
const EXPLANATION_LENGTH_MAX = 300;

/**
 * @typedef {'not-live' | 'taken' | 'replaced' | 'key' | 'not-acceptable' | 'gone' | 'busy' | 'refused' | 'unreachable' | 'blocked'} RefusalKind
 * not-live: nobody performs yet · taken: somebody else performs · replaced: somebody took over from this session · key: no key or a wrong one · not-acceptable: no codec in common ·
 * gone: no such address · busy: try later · refused: the offer itself is wrong · unreachable: no answer, or the server failed ·
 * blocked: the server answered, but no media got through.
 */

/** Why an offer did not become a session. */
export class Refusal extends Error {
  /**
   * @param {RefusalKind} kind
   * @param {string} message for a person
   * @param {{status?: number, retryAfterMs?: number, counterOffer?: {sdp: string, resource: string, etag: string | null}}} [more]
   */
  constructor(kind, message, { status = 0, retryAfterMs = 0, counterOffer } = {}) {
    super(message);
    this.name = 'Refusal';
    this.kind = kind;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.counterOffer = counterOffer;
  }
}

/**
 * What a status means for an offer.
 * @param {number} status
 * @param {'whip' | 'whep'} protocol
 * @returns {RefusalKind}
 */
export function classify(status, protocol) {
  if (status === 401 || status === 403) return 'key';
  if (status === 404 || status === 410) return 'gone';
  if (status === 406 || status === 422) return 'not-acceptable';
  if (status === 409) return protocol === 'whep' ? 'not-live' : 'taken';
  if (status === 408 || status === 429 || status === 503) return 'busy';
  if (status >= 500) return 'unreachable';
  return 'refused';
}

/**
 * `Retry-After` in ms: seconds or a date (RFC 9110 section 10.2.3); 0 when absent, unreadable or past.
 * @param {string | null} value
 * @param {number} [now] ms since 1970
 * @returns {number}
 */
export function parseRetryAfter(value, now = Date.now()) {
  if (!value) return 0;
  const ms = /^\s*\d+\s*$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isFinite(ms) ? Math.min(RETRY_AFTER_MAX_MS, Math.max(0, ms)) : 0;
}

/**
 * The ICE servers of `Link` headers (RFC 9725 section 4.6). Other links are skipped.
 * @param {string | null} value the headers, joined by commas as `fetch` gives them
 * @returns {RTCIceServer[]}
 */
export function parseIceServers(value) {
  const servers = [];
  for (const [, url, parameters] of (value ?? '').matchAll(/<([^>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]+))*)/g)) {
    const found = Object.fromEntries([...parameters.matchAll(/([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]+))/g)]
      .map(([, name, quoted, plain]) => [name.toLowerCase(), quoted === undefined ? plain : quoted.replace(/\\(.)/g, '$1')]));
    if (found.rel !== 'ice-server' || !/^(stun|turn)s?:/i.test(url)) continue;
    const server = { urls: url };
    if (found.username !== undefined) server.username = found.username;
    if (found.credential !== undefined) server.credential = found.credential;
    // Browsers throw on a TURN server without credentials; one bad line in a configuration must not end every connection.
    if (/^turn/i.test(url) && (server.username === undefined || server.credential === undefined)) continue;
    servers.push(server);
  }
  return servers;
}

/**
 * The headers that prove the right to publish or to watch.
 * @param {string | null | undefined} key
 * @returns {Record<string, string>}
 */
export function authorization(key) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** The reason in a refusal's body: plain text, or JSON with a usual field. */
async function explanation(/** @type {Response} */ response) {
  const type = response.headers.get('Content-Type') ?? '';
  const text = (await response.text().catch(() => '')).trim();
  if (type.includes('json')) {
    try {
      const body = JSON.parse(text);
      const found = body.detail ?? body.error ?? body.message ?? body.title;
      if (typeof found === 'string') return found.slice(0, EXPLANATION_LENGTH_MAX);
    } catch {
      return '';
    }
  }
  return type.startsWith('text/plain') ? text.slice(0, EXPLANATION_LENGTH_MAX) : '';
}

/**
 * @typedef {object} Reply an offer that was accepted
 * @property {string} sdp the answer
 * @property {string} resource absolute address of the session, to be deleted in the end
 * @property {string | null} etag
 * @property {RTCIceServer[]} iceServers
 */

/**
 * Sends an offer.
 * @param {'whip' | 'whep'} protocol
 * @param {string} address of the endpoint, absolute
 * @param {string} sdp
 * @param {{key?: string | null, signal?: AbortSignal}} [options]
 * @returns {Promise<Reply>}
 * @throws {Refusal} for every answer that is not a session, and when there is no answer
 */
export async function postOffer(protocol, address, sdp, { key, signal } = {}) {
  let response;
  try {
    response = await fetch(address, {
      method: 'POST',
      headers: { 'Content-Type': 'application/sdp', Accept: 'application/sdp', ...authorization(key) },
      body: sdp,
      cache: 'no-store',
      signal: withTimeout(signal, ANSWER_TIMEOUT_MS),
    });
  } catch (error) {
    throw new Refusal('unreachable', `The venue does not answer: ${error instanceof Error ? error.message : error}`);
  }
  const location = response.headers.get('Location');
  // The address after redirects is the base of a relative Location.
  const resource = location ? new URL(location, response.url || address).href : null;
  const etag = response.headers.get('ETag');
  const isSdp = (response.headers.get('Content-Type') ?? '').startsWith('application/sdp');
  if (response.ok && isSdp) {
    const answer = await response.text();
    // Some servers leave out Location; a session that cannot be deleted still plays.
    return { sdp: answer, resource: resource ?? '', etag, iceServers: parseIceServers(response.headers.get('Link')) };
  }
  const { status } = response;
  const retryAfterMs = parseRetryAfter(response.headers.get('Retry-After'));
  if (status === 406 && isSdp && resource) {
    throw new Refusal('not-acceptable', 'The server offers another format', { status, counterOffer: { sdp: await response.text(), resource, etag } });
  }
  if (response.ok) throw new Refusal('refused', `${address} answered ${status} but with no session description: is it a ${protocol.toUpperCase()} address?`, { status });
  const text = await explanation(response);
  throw new Refusal(classify(status, protocol), text || `The venue answered ${status}`, { status, retryAfterMs });
}

/**
 * Ends a session on the server. Never fails: the server notices by itself in the end.
 * @param {string} resource
 * @param {{key?: string | null, leaving?: boolean}} [options] leaving: the page goes away, the request must outlive it
 * @returns {Promise<void>}
 */
export async function deleteResource(resource, { key, leaving = false } = {}) {
  if (!resource) return;
  try {
    await fetch(resource, { method: 'DELETE', headers: authorization(key), keepalive: leaving, signal: leaving ? undefined : withTimeout(undefined, 5000) });
  } catch {
    // Nothing is left to do here.
  }
}

/**
 * Whether a session ended because somebody else took its stream over: trying again would only take it back.
 * @param {string} resource
 * @param {{key?: string | null}} [options]
 * @returns {Promise<Refusal | null>} null also when nobody answers
 */
export async function replacement(resource, { key } = {}) {
  if (!resource) return null;
  try {
    const response = await fetch(resource, { headers: authorization(key), cache: 'no-store', signal: withTimeout(undefined, 5000) });
    if (response.status !== 410) return null;
    return new Refusal('replaced', await explanation(response) || 'Somebody else has taken over', { status: 410 });
  } catch {
    return null;
  }
}

/**
 * Changes a session.
 * @param {string} resource
 * @param {{type: string, body: string, key?: string | null, ifMatch?: string | null, signal?: AbortSignal}} change
 * @returns {Promise<Response>} whatever the status
 */
export function patchResource(resource, { type, body, key, ifMatch, signal }) {
  return fetch(resource, {
    method: 'PATCH',
    headers: { 'Content-Type': type, ...(ifMatch ? { 'If-Match': ifMatch } : {}), ...authorization(key) },
    body,
    signal: withTimeout(signal, ANSWER_TIMEOUT_MS),
  });
}

/**
 * A signal that is aborted with `signal` or after `ms`, whichever comes first.
 * @param {AbortSignal | undefined} signal
 * @param {number} ms
 * @returns {AbortSignal}
 */
export function withTimeout(signal, ms) {
  const controller = new AbortController();
  if (signal?.aborted) {
    controller.abort(signal.reason);
    return controller.signal;
  }
  const timer = setTimeout(() => controller.abort(new DOMException(`no answer within ${ms / 1000} s`, 'TimeoutError')), ms);
  signal?.addEventListener('abort', () => {
    clearTimeout(timer);
    controller.abort(signal.reason);
  }, { once: true });
  return controller.signal;
}

/**
 * An address of media that a server names, for a player or a link.
 * @param {unknown} value
 * @param {string} [base] what it is relative to
 * @returns {string | null} null for whatever is no HTTP address: it must not become a link
 */
export function mediaAddress(value, base = globalThis.location?.href ?? 'http://localhost/') {
  if (typeof value !== 'string' || value === '' || value.length > 2048) return null;
  try {
    const { protocol, href, origin, pathname, search } = new URL(value, base);
    if (protocol !== 'http:' && protocol !== 'https:') return null;
    return origin === new URL(base).origin ? pathname + search : href;
  } catch {
    return null;
  }
}
