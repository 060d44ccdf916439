import assert from 'node:assert/strict';
import { test } from 'node:test';
import { carries, fragment, iceOf, offerDescriptors, sections, split, stageOrder, startAt, tuneOpus, withIce } from '../lib/sdp.js';

const OFFER = [
  'v=0', 'o=- 1 2 IN IP4 127.0.0.1', 's=-', 't=0 0', 'a=group:BUNDLE 0 1',
  'm=audio 9 UDP/TLS/RTP/SAVPF 111 63 0', 'c=IN IP4 0.0.0.0', 'a=ice-ufrag:abcd', 'a=ice-pwd:0123456789012345678901', 'a=mid:0', 'a=sendonly',
  'a=rtpmap:111 opus/48000/2', 'a=rtcp-fb:111 transport-cc', 'a=fmtp:111 minptime=10;useinbandfec=1', 'a=rtpmap:63 red/48000/2', 'a=fmtp:63 111/111', 'a=rtpmap:0 PCMU/8000',
  'm=video 9 UDP/TLS/RTP/SAVPF 102 103 96', 'c=IN IP4 0.0.0.0', 'a=ice-ufrag:abcd', 'a=ice-pwd:0123456789012345678901', 'a=mid:1', 'a=sendonly',
  'a=rtpmap:102 H264/90000', 'a=fmtp:102 packetization-mode=1;profile-level-id=42e01f', 'a=rtpmap:103 rtx/90000', 'a=fmtp:103 apt=102', 'a=rtpmap:96 VP8/90000',
  '',
].join('\r\n');

test('splitting a description loses nothing', () => {
  assert.equal(split(OFFER).join(''), OFFER);
  assert.equal(split(OFFER).length, 3);
});

test('sections say kind, port, direction and codecs without repair formats', () => {
  assert.deepEqual(sections(OFFER), [
    { kind: 'audio', port: 9, mid: '0', direction: 'sendonly', codecs: ['OPUS', 'PCMU'] },
    { kind: 'video', port: 9, mid: '1', direction: 'sendonly', codecs: ['H264', 'VP8'] },
  ]);
});

test('a refused or inactive section carries nothing', () => {
  assert.equal(carries(OFFER, 'video'), true);
  assert.equal(carries(OFFER.replace('m=video 9', 'm=video 0'), 'video'), false);
  assert.equal(carries(OFFER.replace('a=mid:1\r\na=sendonly', 'a=mid:1\r\na=inactive'), 'video'), false);
  assert.equal(carries('v=0\r\n', 'audio'), false);
});

test('music sets stereo and the bit rate and keeps what was there', () => {
  const tuned = tuneOpus(OFFER, { stereo: 1, maxaveragebitrate: 256_000 });
  assert.match(tuned, /^a=fmtp:111 minptime=10;useinbandfec=1;stereo=1;maxaveragebitrate=256000\r$/m);
  assert.equal(tuned.replace(/^a=fmtp:111[^\n]*\n/m, ''), OFFER.replace(/^a=fmtp:111[^\n]*\n/m, ''), 'no other line changes');
});

test('tuning twice is tuning once', () => {
  const once = tuneOpus(OFFER, { stereo: 1 });
  assert.equal(tuneOpus(once, { stereo: 1 }), once);
  assert.match(tuneOpus(once, { stereo: 0 }), /useinbandfec=1;stereo=0\r$/m);
});

test('an audio section whose Opus has no parameters gets some', () => {
  const bare = OFFER.replace('a=fmtp:111 minptime=10;useinbandfec=1\r\n', '');
  assert.match(tuneOpus(bare, { stereo: 1 }), /a=rtpmap:111 opus\/48000\/2\r\na=fmtp:111 stereo=1\r\n/);
});

test('a picture begins at its bit rate in every format, repair formats and sound are left alone', () => {
  const started = startAt(OFFER, 1_500_000);
  assert.match(started, /^a=fmtp:102 packetization-mode=1;profile-level-id=42e01f;x-google-start-bitrate=1500\r$/m);
  assert.match(started, /^a=rtpmap:96 VP8\/90000\r\na=fmtp:96 x-google-start-bitrate=1500\r$/m);
  assert.match(started, /^a=fmtp:103 apt=102\r$/m);
  assert.equal(split(started)[1], split(OFFER)[1]);
});

test('a description without Opus stays as it is', () => {
  const other = OFFER.replace('opus/48000/2', 'G722/8000');
  assert.equal(tuneOpus(other, { stereo: 1 }), other);
});

test('a stage prefers H.264 baseline, then other H.264, then VP8, and keeps everything', () => {
  const codecs = [
    { mimeType: 'video/VP8' }, { mimeType: 'video/rtx' }, { mimeType: 'video/VP9', sdpFmtpLine: 'profile-id=0' },
    { mimeType: 'video/H264', sdpFmtpLine: 'level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f' },
    { mimeType: 'video/H264', sdpFmtpLine: 'packetization-mode=1;profile-level-id=64001f' },
    { mimeType: 'video/H264', sdpFmtpLine: 'packetization-mode=1;profile-level-id=42e01f' },
    { mimeType: 'video/AV1' }, { mimeType: 'video/flexfec-03' },
  ];
  assert.deepEqual(stageOrder(codecs), [codecs[5], codecs[4], codecs[3], codecs[0], codecs[2], codecs[6], codecs[1], codecs[7]]);
});

test('a browser without H.264 keeps its own order', () => {
  const codecs = [{ mimeType: 'video/VP8' }, { mimeType: 'video/VP9' }, { mimeType: 'video/AV1' }];
  assert.deepEqual(stageOrder(codecs), codecs);
});

test('a fragment names the bundle, the credentials and the first section', () => {
  assert.equal(fragment(OFFER, ['candidate:1 1 udp 1 192.0.2.1 9 typ host'], true), [
    'a=group:BUNDLE 0 1', 'a=ice-ufrag:abcd', 'a=ice-pwd:0123456789012345678901', 'm=audio 9 UDP/TLS/RTP/SAVPF 111 63 0', 'a=mid:0',
    'a=candidate:1 1 udp 1 192.0.2.1 9 typ host', 'a=end-of-candidates', '',
  ].join('\r\n'));
  assert.throws(() => fragment('v=0\r\n', [], false), /no ICE credentials/);
});

test('new ICE credentials replace the old ones in every section', () => {
  const old = OFFER.replace('a=mid:0\r\n', 'a=mid:0\r\na=candidate:9 1 udp 1 192.0.2.9 9 typ host\r\na=end-of-candidates\r\n');
  const ice = iceOf('a=ice-ufrag:new\r\na=ice-pwd:secret$&\r\nm=audio 9 X 0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n');
  assert.deepEqual(ice, { ufrag: 'new', pwd: 'secret$&', candidates: ['candidate:1 1 udp 1 192.0.2.1 9 typ host'] });
  const renewed = withIce(old, ice);
  assert.equal(renewed.match(/a=ice-ufrag:new\r\n/g).length, 2);
  assert.equal(renewed.match(/a=ice-pwd:secret\$&\r\n/g).length, 2);
  assert.doesNotMatch(renewed, /192\.0\.2\.9|end-of-candidates|abcd/);
  assert.ok(renewed.indexOf('a=candidate:1') < renewed.indexOf('m=video'), 'candidates stand in the first section');
});

test('a text without credentials has no ICE', () => assert.equal(iceOf('a=mid:0\r\n'), null));

test('dependency descriptors are offered where the browser knows them, and nothing else changes', () => {
  const uri = 'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension';
  let set;
  const knowing = (extensions) => ({ getHeaderExtensionsToNegotiate: () => extensions, setHeaderExtensionsToNegotiate: (all) => { set = all; } });
  offerDescriptors(knowing([{ uri: 'urn:a', direction: 'stopped' }, { uri, direction: 'stopped' }]));
  assert.deepEqual(set, [{ uri: 'urn:a', direction: 'stopped' }, { uri, direction: 'sendrecv' }]);
  set = undefined;
  offerDescriptors(knowing([{ uri: 'urn:a', direction: 'stopped' }]));
  assert.equal(set, undefined);
  offerDescriptors({});
});
