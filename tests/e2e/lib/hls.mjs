// HLS playlists as the tests read them: strictly, and independent of the server's own reader.

/** `NAME=value,NAME="value"` as an object of strings. */
export function attributes(text) {
  const all = {};
  for (const [, name, quoted, plain] of text.matchAll(/([A-Z0-9-]+)=(?:"([^"]*)"|([^,]*))(?:,|$)/g)) all[name] = quoted ?? plain;
  return all;
}

const numbers = (all) => Object.fromEntries(Object.entries(all).map(([name, value]) => [name, /^[\d.]+$/.test(value) ? Number(value) : value]));
const split = (line) => [line.slice(0, line.indexOf(':') < 0 ? undefined : line.indexOf(':')), line.indexOf(':') < 0 ? '' : line.slice(line.indexOf(':') + 1)];

function lines(text) {
  if (!text.startsWith('#EXTM3U\n')) throw new Error(`this is no playlist: ${text.slice(0, 60)}`);
  return text.trimEnd().split('\n').slice(1);
}

/** The variants and audio renditions of a multivariant playlist, their URIs resolved against `url`. */
export function parseMultivariant(text, url) {
  const playlist = { text, variants: [], audio: [], keyframes: [], independent: false };
  let variant;
  for (const line of lines(text)) {
    const [tag, value] = split(line);
    if (tag === '#EXT-X-INDEPENDENT-SEGMENTS') playlist.independent = true;
    else if (tag === '#EXT-X-MEDIA') playlist.audio.push({ ...attributes(value), url: new URL(attributes(value).URI, url).href });
    else if (tag === '#EXT-X-I-FRAME-STREAM-INF') playlist.keyframes.push({ ...attributes(value), url: new URL(attributes(value).URI, url).href });
    else if (tag === '#EXT-X-STREAM-INF') variant = attributes(value);
    else if (!line.startsWith('#') && line) {
      const [width, height] = (variant.RESOLUTION ?? '0x0').split('x').map(Number);
      playlist.variants.push({ ...variant, codecs: variant.CODECS.split(','), width, height, bandwidth: Number(variant.BANDWIDTH), url: new URL(line, url).href });
    }
  }
  return playlist;
}

/** A media playlist. Each segment has `msn`, `parts` and what applies to it; an open one has no `uri`. */
export function parseMedia(text) {
  const playlist = { text, segments: [], reports: [], skipped: 0, ended: false, hint: null, independent: false, dateRanges: [] };
  let [map, next, discontinuities] = [null, null, 0];
  const open = () => { next ??= { parts: [], map, date: null, discontinuity: false, uri: null }; return next; };
  const close = () => { playlist.segments.push({ ...next, map: next.map ?? map }); next = null; };
  for (const line of lines(text)) {
    const [tag, value] = split(line);
    const known = {
      '#EXT-X-TARGETDURATION': () => { playlist.targetDuration = Number(value); },
      '#EXT-X-VERSION': () => { playlist.version = Number(value); },
      '#EXT-X-PLAYLIST-TYPE': () => { playlist.type = value; },
      '#EXT-X-MEDIA-SEQUENCE': () => { playlist.mediaSequence = Number(value); },
      '#EXT-X-DISCONTINUITY-SEQUENCE': () => { discontinuities = Number(value); playlist.discontinuitySequence = discontinuities; },
      '#EXT-X-SERVER-CONTROL': () => { playlist.control = numbers(attributes(value)); },
      '#EXT-X-PART-INF': () => { playlist.partTarget = Number(attributes(value)['PART-TARGET']); },
      '#EXT-X-INDEPENDENT-SEGMENTS': () => { playlist.independent = true; },
      '#EXT-X-SKIP': () => { playlist.skipped = Number(attributes(value)['SKIPPED-SEGMENTS']); },
      '#EXT-X-MAP': () => { map = attributes(value).URI; if (next) next.map = map; },
      '#EXT-X-PROGRAM-DATE-TIME': () => { open().date = Date.parse(value); },
      '#EXT-X-DISCONTINUITY': () => { open().discontinuity = true; },
      '#EXT-X-PART': () => { const part = attributes(value); open().parts.push({ uri: part.URI, duration: Number(part.DURATION), independent: part.INDEPENDENT === 'YES' }); },
      '#EXT-X-PRELOAD-HINT': () => { playlist.hint = attributes(value); },
      '#EXT-X-RENDITION-REPORT': () => { playlist.reports.push(numbers(attributes(value))); },
      '#EXT-X-DATERANGE': () => { playlist.dateRanges.push(attributes(value)); },
      '#EXT-X-I-FRAMES-ONLY': () => { playlist.keyframesOnly = true; },
      '#EXT-X-BYTERANGE': () => { const [length, offset] = value.split('@').map(Number); open().range = { offset, length }; },
      '#EXT-X-GAP': () => { open().gap = true; },
      '#EXTINF': () => { open().duration = Number(value.split(',')[0]); },
      '#EXT-X-ENDLIST': () => { playlist.ended = true; },
    }[tag];
    if (known) known();
    else if (line && !line.startsWith('#')) { open().uri = line; close(); } else if (line) throw new Error(`an unknown line: ${line}`);
  }
  if (next?.parts.length) close();
  const first = playlist.mediaSequence + playlist.skipped;
  playlist.segments.forEach((segment, i) => { segment.msn = first + i; });
  return playlist;
}

/** The newest part that is listed: its segment's number and its own. */
export function edge(playlist) {
  const last = playlist.segments.at(-1);
  return last.uri ? { msn: last.msn + 1, part: -1 } : { msn: last.msn, part: last.parts.length - 1 };
}

/** Where a client continues: the number of the next part, past the edge. */
export function nextPart(playlist) {
  const { msn, part } = edge(playlist);
  return { msn, part: part + 1 };
}

/** Puts a delta update together with the playlist `before` it; throws when it does not continue that. */
export function merge(before, delta) {
  const first = delta.mediaSequence;
  const skipped = before.segments.filter((segment) => segment.msn >= first && segment.msn < first + delta.skipped);
  if (skipped.length !== delta.skipped) throw new Error(`the delta skips ${delta.skipped} segments from ${first} on, of which ${skipped.length} are known`);
  const map = skipped.at(-1)?.map ?? null;
  const added = delta.segments.map((segment) => ({ ...segment, map: segment.map ?? map }));
  return { ...delta, skipped: 0, segments: [...skipped, ...added] };
}

/** Gets a playlist; throws unless the answer is 200. */
export async function get(url, options) {
  const response = await fetch(url, { signal: AbortSignal.timeout(45_000), ...options });
  const text = await response.text();
  if (!response.ok) throw new Error(`GET ${url}: ${response.status} ${text.slice(0, 200)}`);
  return text;
}

/** What `parse` makes of the playlist at `url`, once that is there and `enough` holds. */
async function once(url, parse, enough, timeoutMs) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const response = await fetch(url, { signal: AbortSignal.timeout(45_000) });
    const text = await response.text();
    const playlist = response.ok ? parse(text, url) : null;
    if (playlist && enough(playlist)) return playlist;
    if (Date.now() > deadline) throw new Error(`${url} is not as wanted after ${timeoutMs} ms: ${response.status}\n${text.slice(-1500)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** The multivariant playlist at `url`, once it has `enough`: it is not there before the first segment. */
export const multivariant = (url, enough = (playlist) => playlist.variants.length > 0, timeoutMs = 20_000) => once(url, parseMultivariant, enough, timeoutMs);

/** The media playlist at `url`, once `enough` holds. */
export const media = (url, enough = () => true, timeoutMs = 20_000) => once(url, parseMedia, enough, timeoutMs);
