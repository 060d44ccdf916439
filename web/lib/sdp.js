/**
 * Reading and adapting session descriptions: only the few lines that browsers give no API for.
 * @module
 */

/**
 * @typedef {object} Section one `m=` section
 * @property {string} kind `audio`, `video` or `application`
 * @property {number} port 0 when the section is refused
 * @property {string | null} mid
 * @property {string} direction `sendrecv`, `sendonly`, `recvonly` or `inactive`
 * @property {string[]} codecs upper-case names in order of preference, without repair formats
 */

const REPAIR = new Set(['RTX', 'RED', 'ULPFEC', 'FLEXFEC-03']);

/**
 * Splits a description into its session part and its `m=` sections, each with its line ends.
 * @param {string} sdp
 * @returns {string[]}
 */
export function split(sdp) {
  return sdp.split(/^(?=m=)/m);
}

/**
 * The `m=` sections of a description.
 * @param {string} sdp
 * @returns {Section[]}
 */
export function sections(sdp) {
  return split(sdp).slice(1).map((text) => {
    const [kind, port, , ...payloads] = text.slice(2, text.search(/\r?\n|$/)).split(' ');
    const names = new Map([...text.matchAll(/^a=rtpmap:(\d+) ([^/\s]+)/gm)].map((found) => [found[1], found[2].toUpperCase()]));
    return {
      kind,
      port: Number.parseInt(port, 10),
      mid: midOf(text),
      direction: /^a=(sendrecv|sendonly|recvonly|inactive)\s*$/m.exec(text)?.[1] ?? 'sendrecv',
      codecs: payloads.map((payload) => names.get(payload)).filter((name) => name !== undefined && !REPAIR.has(name)),
    };
  });
}

/**
 * Whether the description carries media of this kind: a section that is neither refused nor inactive.
 * @param {string} sdp
 * @param {'audio' | 'video'} kind
 * @returns {boolean}
 */
export function carries(sdp, kind) {
  return sections(sdp).some((section) => section.kind === kind && section.port !== 0 && section.direction !== 'inactive');
}

/**
 * Sets parameters of Opus in every audio section, keeping all others. A browser decodes stereo only when its own description says `stereo=1`,
 * and sends it only when the other side's does; no API sets either.
 * @param {string} sdp
 * @param {Record<string, number>} parameters for example `{ stereo: 1, maxaveragebitrate: 256000 }`
 * @param {(mid: string | null) => boolean} [where] the sections meant, all unless said
 * @returns {string}
 */
export function tuneOpus(sdp, parameters, where = () => true) {
  return split(sdp).map((text) => {
    if (!text.startsWith('m=audio') || !where(midOf(text))) return text;
    const payload = /^a=rtpmap:(\d+) opus\/48000/im.exec(text)?.[1];
    return payload === undefined ? text : withParameters(text, payload, parameters);
  }).join('');
}

/**
 * Puts formats first in these sections, in this order: what comes first in the other side's description is what a browser sends. Formats that are
 * not negotiated stay out, and the rest keeps its order.
 * @param {string} sdp
 * @param {string[]} names for example `['VP8']`, or `['red']` for redundant audio (RFC 2198)
 * @param {(mid: string | null) => boolean} where
 * @returns {string}
 */
export function preferFormats(sdp, names, where) {
  const wanted = names.map((name) => name.toUpperCase());
  return split(sdp).map((text) => {
    if (!text.startsWith('m=') || !where(midOf(text))) return text;
    const formats = new Map([...text.matchAll(/^a=rtpmap:(\d+) ([^/\s]+)/gm)].map(([, payload, name]) => [payload, name.toUpperCase()]));
    const rank = (/** @type {string} */ payload) => {
      const place = wanted.indexOf(formats.get(payload) ?? '');
      return place < 0 ? wanted.length : place;
    };
    return text.replace(/^(m=\S+ \S+ \S+)((?: \d+)+)/, (_, head, payloads) => [head, ...ordered(payloads.trim().split(' '), rank)].join(' '));
  }).join('');
}

const midOf = (/** @type {string} */ text) => /^a=mid:(\S+)/m.exec(text)?.[1] ?? null;

/**
 * Lets Chromium begin a picture at this bit rate: by itself it begins at 300 kbit/s and shows a tiny picture for ten seconds. Others ignore it.
 * @param {string} sdp the other side's description
 * @param {number} bitrate_bps
 * @returns {string}
 */
export function startAt(sdp, bitrate_bps) {
  const parameters = { 'x-google-start-bitrate': Math.round(bitrate_bps / 1000) };
  return split(sdp).map((text) => {
    if (!text.startsWith('m=video')) return text;
    const payloads = [...text.matchAll(/^a=rtpmap:(\d+) ([^/\s]+)/gm)].filter(([, , name]) => !REPAIR.has(name.toUpperCase()));
    return payloads.reduce((tuned, [, payload]) => withParameters(tuned, payload, parameters), text);
  }).join('');
}

/** One section with these parameters added to a payload's format, or replaced in it. */
function withParameters(text, payload, parameters) {
  const line = new RegExp(`^a=fmtp:${payload} ([^\\r\\n]*)`, 'm');
  const old = line.exec(text);
  const merged = new Map((old?.[1] ?? '').split(';').map((pair) => pair.trim()).filter(Boolean).map((pair) => {
    const at = pair.indexOf('=');
    return at < 0 ? [pair, null] : [pair.slice(0, at), pair.slice(at + 1)];
  }));
  for (const [name, value] of Object.entries(parameters)) merged.set(name, String(value));
  const written = `a=fmtp:${payload} ${[...merged].map(([name, value]) => (value === null ? name : `${name}=${value}`)).join(';')}`;
  if (old) return text.replace(line, () => written);
  return text.replace(new RegExp(`^(a=rtpmap:${payload} [^\\r\\n]*)(\\r?\\n|$)`, 'm'), (_, map, end) => `${map}${end || '\r\n'}${written}${end}`);
}

/**
 * Orders codecs for a stage: H.264 constrained baseline (the one that every viewer and HLS can use) before other H.264, then VP8, then the rest;
 * repair formats last. Nothing is dropped, and equals keep the browser's order.
 * @template {{mimeType: string, sdpFmtpLine?: string}} C
 * @param {C[]} codecs
 * @returns {C[]}
 */
export function stageOrder(codecs) {
  return ordered(codecs, ({ mimeType, sdpFmtpLine = '' }) => {
    const name = nameOf(mimeType);
    if (REPAIR.has(name)) return 9;
    if (name === 'H264') {
      if (!sdpFmtpLine.includes('packetization-mode=1')) return 3;
      return /profile-level-id=42e0/i.test(sdpFmtpLine) ? 0 : 1;
    }
    return name === 'VP8' ? 4 : 5;
  });
}

/**
 * Orders codecs as somebody prefers them; those that are not named follow in the browser's order, repair formats last.
 * @template {{mimeType: string}} C
 * @param {C[]} codecs
 * @param {string[]} names for example `['VP8', 'H264']`
 * @returns {C[]}
 */
export function preferredOrder(codecs, names) {
  const wanted = names.map((name) => name.toUpperCase());
  return ordered(codecs, ({ mimeType }) => {
    const name = nameOf(mimeType);
    if (REPAIR.has(name)) return wanted.length + 1;
    return wanted.includes(name) ? wanted.indexOf(name) : wanted.length;
  });
}

const nameOf = (/** @type {string} */ mimeType) => mimeType.split('/')[1].toUpperCase();

/** Lowest rank first, equals in the order they have. */
function ordered(codecs, rankOf) {
  return codecs.map((codec, place) => ({ codec, place, rank: rankOf(codec) }))
    .sort((left, right) => left.rank - right.rank || left.place - right.place)
    .map(({ codec }) => codec);
}

/**
 * @typedef {object} Ice the part of a description that an ICE restart changes
 * @property {string} ufrag
 * @property {string} pwd
 * @property {string[]} candidates values of `a=candidate`, each beginning with `candidate:`
 */

/**
 * The ICE credentials and candidates of a description or of an sdpfrag (RFC 8840).
 * @param {string} text
 * @returns {Ice | null} null without credentials
 */
export function iceOf(text) {
  const ufrag = /^a=ice-ufrag:(\S+)/m.exec(text)?.[1];
  const pwd = /^a=ice-pwd:(\S+)/m.exec(text)?.[1];
  if (!ufrag || !pwd) return null;
  return { ufrag, pwd, candidates: [...text.matchAll(/^a=(candidate:[^\r\n]+)/gm)].map((found) => found[1]) };
}

/**
 * An sdpfrag (RFC 8840) for the first section of a bundle: what a PATCH carries.
 * @param {string} sdp the local description
 * @param {string[]} candidates
 * @param {boolean} complete whether no more candidates follow
 * @returns {string}
 */
export function fragment(sdp, candidates, complete) {
  const ice = iceOf(sdp);
  const [first] = sections(sdp);
  if (!ice || !first) throw new Error('the local description has no ICE credentials or no media section');
  const bundle = /^a=group:BUNDLE[^\r\n]*/m.exec(sdp)?.[0];
  const media = /^m=[^\r\n]*/m.exec(sdp)?.[0];
  return [
    ...(bundle ? [bundle] : []),
    `a=ice-ufrag:${ice.ufrag}`,
    `a=ice-pwd:${ice.pwd}`,
    media,
    ...(first.mid === null ? [] : [`a=mid:${first.mid}`]),
    ...candidates.map((candidate) => `a=${candidate}`),
    ...(complete ? ['a=end-of-candidates'] : []),
    '',
  ].join('\r\n');
}

/**
 * The same description with new ICE credentials and candidates: the remote side after a restart.
 * @param {string} sdp
 * @param {Ice} ice
 * @returns {string}
 */
export function withIce(sdp, ice) {
  const bare = sdp.replace(/^a=(?:candidate:[^\r\n]*|end-of-candidates)\r?\n/gm, '')
    .replace(/^a=ice-ufrag:[^\r\n]*/gm, () => `a=ice-ufrag:${ice.ufrag}`)
    .replace(/^a=ice-pwd:[^\r\n]*/gm, () => `a=ice-pwd:${ice.pwd}`);
  const [session, ...media] = split(bare);
  const lines = ice.candidates.map((candidate) => `a=${candidate}\r\n`).join('');
  return session + media.map((text, place) => {
    if (place > 0 || lines === '') return text;
    return (text.endsWith('\n') ? text : `${text}\r\n`) + lines;
  }).join('');
}

const DESCRIPTOR = 'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension';

/**
 * Offers dependency descriptors, by which a viewer follows all spatial layers of AV1. Chromium knows them and does not offer them by
 * itself; other browsers are left as they are.
 * @param {RTCRtpTransceiver & { getHeaderExtensionsToNegotiate?: () => { uri: string, direction: string }[], setHeaderExtensionsToNegotiate?: (extensions: { uri: string, direction: string }[]) => void }} transceiver
 */
export function offerDescriptors(transceiver) {
  const extensions = transceiver?.getHeaderExtensionsToNegotiate?.();
  const descriptor = extensions?.find(({ uri }) => uri === DESCRIPTOR);
  if (!extensions || !descriptor) return;
  descriptor.direction = 'sendrecv';
  transceiver.setHeaderExtensionsToNegotiate?.(extensions);
}
