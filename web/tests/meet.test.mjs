import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explain } from '../lib/media.js';
import { arrange, bestGrid, capacity, fitOf, PAGER_HEIGHT } from '../lib/meet-grid.js';
import { KEPT_AFTER_MS, SPEAKING_MIN_MS, TileOrder } from '../lib/meet-order.js';
import { actionsFor, handsOf, isShown, tilesOf, wanted } from '../lib/meet-people.js';
import { CalmQuality, WORSE_AFTER_MS } from '../lib/meet-quality.js';
import { hintOf, tokenOfHash, withoutToken } from '../lib/meet-token.js';
import { audienceWord, endingOf, hueOf, initials, KEYS, moreWord, mutedNote, problemsOf, qualityAdvice, qualityWord, tileLabel } from '../lib/meet-words.js';

const keys = (count) => Array.from({ length: count }, (_, place) => `p${place}`);
/** Stages as the pictures get them on the screens that people have. */
const STAGES = [[344, 620], [668, 348], [804, 1060], [1424, 790], [320, 480], [1900, 900]];

function checkInside(arrangement, width, height, what) {
  const boxes = [...arrangement.boxes.values(), ...(arrangement.pager ? [arrangement.pager] : [])];
  for (const box of boxes) {
    assert.ok(box.x >= 0 && box.y >= 0 && box.x + box.width <= width + 1 && box.y + box.height <= height + 1, `${what}: ${JSON.stringify(box)} leaves the stage`);
  }
  boxes.forEach((one, place) => boxes.slice(place + 1).forEach((other) => {
    const apart = one.x + one.width <= other.x + 1 || other.x + other.width <= one.x + 1 || one.y + one.height <= other.y + 1 || other.y + other.height <= one.y + 1;
    assert.ok(apart, `${what}: ${JSON.stringify(one)} covers ${JSON.stringify(other)}`);
  }));
}

test('tiles stay on the stage and never cover one another, whatever its size and however many they are', () => {
  for (const [width, height] of STAGES) {
    for (let count = 0; count <= 60; count++) {
      for (const large of [null, 'large']) {
        for (const page of [0, 1, 99]) {
          const arrangement = arrange({ width, height, keys: keys(count), large, page });
          checkInside(arrangement, width, height, `${width}x${height}, ${count} tiles, large ${large}, page ${page}`);
          assert.ok(arrangement.page < arrangement.pages);
        }
      }
    }
  }
});

test('the pages together show everybody once', () => {
  for (const [width, height] of STAGES) {
    for (const large of [null, 'large']) {
      const shown = [];
      const { pages } = arrange({ width, height, keys: keys(120), large });
      for (let page = 0; page < pages; page++) shown.push(...[...arrange({ width, height, keys: keys(120), large, page }).boxes.keys()].filter((key) => key !== 'large'));
      assert.deepEqual(shown.sort(), keys(120).sort(), `${width}x${height}`);
    }
  }
});

test('as many fit as there is room for, and never more than the venue sends', () => {
  const check = (width, height, count, shown) => {
    const { boxes, pages, pager } = arrange({ width, height, keys: keys(count) });
    assert.deepEqual([boxes.size, pages > 1, pager !== null], [shown, shown < count, shown < count], `${count} on ${width}x${height}`);
  };
  check(344, 620, 12, 12);
  check(668, 348, 12, 12);
  check(1424, 790, 40, 40);
  check(1424, 790, 49, 49);
  check(1424, 790, 80, 49);
  assert.equal(arrange({ width: 1424, height: 790, keys: keys(30), most: 9 }).boxes.size, 9);
  assert.equal(capacity(40, 20, 6), 1, 'one always fits');
});

test('two stand side by side on a wide stage and above one another on a tall one', () => {
  assert.deepEqual([bestGrid(1424, 790, 2, 10).columns, bestGrid(344, 620, 2, 6).columns], [2, 1]);
  assert.equal(bestGrid(1424, 790, 4, 10).columns, 2);
  assert.equal(arrange({ width: 0, height: 0, keys: keys(3) }).boxes.size, 0);
});

test('a last row that is not full stands in the middle', () => {
  const { boxes } = arrange({ width: 1400, height: 800, keys: keys(5) });
  const [first, second] = [boxes.get('p3'), boxes.get('p4')];
  assert.ok(Math.abs(first.x - (1400 - second.x - second.width)) <= 2, `${first.x} ${second.x}`);
});

test('the large tile gets most of a wide stage, and the width of a tall one', () => {
  const wide = arrange({ width: 1424, height: 790, keys: keys(5), large: 'large' });
  assert.deepEqual([wide.kind, wide.pages, wide.boxes.size], ['beside', 1, 6]);
  assert.ok(wide.boxes.get('large').width > 1424 * 0.7);
  const tall = arrange({ width: 344, height: 620, keys: keys(5), large: 'large' });
  assert.deepEqual([tall.kind, tall.pages, tall.boxes.get('large').width], ['below', 1, 344]);
  assert.equal(arrange({ width: 344, height: 620, keys: [], large: 'large' }).boxes.get('large').height, 620);
  const many = arrange({ width: 668, height: 348, keys: keys(20), large: 'large' });
  assert.deepEqual([many.kind, many.pager.height], ['beside', PAGER_HEIGHT]);
});

test('a picture fills its tile unless too much of it would be lost', () => {
  const check = (picture, tile, whole, fit) => assert.equal(fitOf(picture, tile, whole), fit, `${picture} in ${tile}`);
  check(16 / 9, 16 / 9, false, 'cover');
  check(16 / 9, 1, false, 'cover');
  check(9 / 16, 16 / 9, false, 'contain');
  check(9 / 16, 1, false, 'cover');
  check(16 / 9, 4 / 3, true, 'contain');
  check(NaN, 1, false, 'contain');
});

test('while everybody fits, nobody moves, whoever speaks', () => {
  const order = new TileOrder();
  assert.deepEqual(order.update(0, ['a', 'b', 'c'], { seen: 9 }), ['a', 'b', 'c']);
  for (let now = 0; now <= 3000; now += 400) order.heard(now, ['c']);
  assert.deepEqual(order.update(3000, ['a', 'b', 'c'], { seen: 9 }), ['a', 'b', 'c']);
  assert.deepEqual(order.update(3100, ['a', 'b', 'c', 'd'], { seen: 9 }), ['a', 'b', 'c', 'd']);
});

/** Lets `key` speak from `from` to `to`, in ms. */
function speak(order, key, from, to) {
  for (let now = from; now <= to; now += 400) order.heard(now, [key]);
  return to;
}

test('who speaks on another page takes the place of whoever was silent for longest, and nobody else moves', () => {
  const order = new TileOrder();
  const all = ['me', 'a', 'b', 'c', 'd', 'e'];
  const options = { seen: 4, kept: new Set(['me']) };
  order.update(0, all, options);
  speak(order, 'a', 0, 1200);
  speak(order, 'c', 1200, 2000);
  const now = speak(order, 'e', 2000, 2000 + SPEAKING_MIN_MS);
  assert.deepEqual(order.update(now, all, options), ['me', 'a', 'e', 'c', 'd', 'b']);
});

test('a cough brings nobody forward', () => {
  const order = new TileOrder();
  const all = ['a', 'b', 'c', 'd'];
  order.update(0, all, { seen: 2 });
  order.heard(1000, ['d']);
  assert.deepEqual(order.update(1000, all, { seen: 2 }), all);
  // Two coughs with a pause between them are no speech.
  order.heard(4000, ['d']);
  assert.deepEqual(order.update(4000, all, { seen: 2 }), all);
});

test('two who talk in turns stay, a third on another page waits for a place', () => {
  const order = new TileOrder();
  const all = ['a', 'b', 'c'];
  const options = { seen: 2 };
  order.update(0, all, options);
  let moves = 0;
  for (let now = 0; now < 60_000; now += 400) {
    order.heard(now, [['a', 'b', 'c'][Math.floor(now / 4000) % 3]]);
    if (order.update(now, all, options).join('') !== 'abc') moves++;
  }
  assert.equal(moves, 0, 'nobody was silent for long enough to lose their place');
  speak(order, 'c', 60_000, 60_000 + KEPT_AFTER_MS + 4000);
  assert.ok(order.update(60_000 + KEPT_AFTER_MS + 4000, all, options).slice(0, 2).includes('c'));
});

test('a gap is filled from the other pages, and the others stay', () => {
  const order = new TileOrder();
  order.update(0, ['a', 'b', 'c', 'd', 'e'], { seen: 3 });
  assert.deepEqual(order.update(1, ['a', 'c', 'd', 'e'], { seen: 3 }), ['a', 'd', 'c', 'e']);
  assert.deepEqual(order.update(2, ['c', 'e'], { seen: 3 }), ['c', 'e']);
});

test('raised hands and screens come to the first page', () => {
  const order = new TileOrder();
  const all = ['me', 'a', 'b', 'c', 'd'];
  order.update(0, all, { seen: 3, kept: new Set(['me']) });
  assert.deepEqual(order.update(1, all, { seen: 3, kept: new Set(['me']), called: new Set(['d']) }), ['me', 'a', 'd', 'c', 'b']);
  assert.deepEqual(order.update(2, [...all, 's'], { seen: 3, kept: new Set(['me', 's']) }).slice(0, 2), ['me', 's']);
});

const feed = (changes = {}) => ({ source: 'camera', audio: true, video: true, muted: { audio: false, video: false }, music: false, stream: null, layers: [], ...changes });
const person = (id, changes = {}) => ({ id, name: id, role: 'participant', stage: false, hand: null, reachable: true, feeds: [feed()], ...changes });

test('the audience has no tiles, and who is called on stage has one', () => {
  const check = (expected, changes, stageOnly) => assert.equal(isShown(person('a', changes), stageOnly), expected, JSON.stringify(changes));
  check(true, {});
  check(true, { feeds: [] });
  check(false, { feeds: [] }, true);
  check(false, { feeds: [], role: 'viewer' });
  check(true, { feeds: [], role: 'viewer', stage: true });
  check(true, { feeds: [], stage: true }, true);
});

test('screens of others are tiles of their own, one’s own is none', () => {
  const screen = feed({ source: 'screen', audio: false });
  const { cameras, screens, audience } = tilesOf([person('me', { feeds: [feed(), screen] }), person('a', { feeds: [screen, feed()] }), person('v', { role: 'viewer', feeds: [] })], 'me', false);
  assert.deepEqual([cameras.map(({ key }) => key), screens.map(({ key }) => key), audience.map(({ id }) => id)], [['me/camera', 'a/camera'], ['a/screen'], ['v']]);
  assert.deepEqual([cameras[0].isSelf, cameras[1].isSelf, screens[0].isMuted], [true, false, true]);
});

test('only pictures on the screen are asked for, in device pixels, the most important first', () => {
  const people = [person('me'), person('a'), person('b'), person('dark', { feeds: [feed({ muted: { audio: false, video: true } })] }), person('far')];
  const { cameras } = tilesOf(people, 'me', false);
  const boxes = new Map(['me', 'a', 'b', 'dark'].map((id, place) => [`${id}/camera`, { x: 0, y: 0, width: 100 + place, height: 60 }]));
  const list = wanted({ tiles: cameras, boxes, large: null, isPinned: false, dominant: 'b', density: 2.5 });
  assert.deepEqual(list, [
    { id: 'b', source: 'camera', width: 255, height: 150, priority: 'high' },
    { id: 'a', source: 'camera', width: 253, height: 150, priority: 'normal' },
  ]);
  const pinned = wanted({ tiles: cameras, boxes, large: 'a/camera', isPinned: true, dominant: 'b', density: 1 });
  assert.deepEqual(pinned.map(({ id, priority }) => [id, priority]), [['a', 'pinned'], ['b', 'high']]);
  assert.equal(wanted({ tiles: cameras, boxes, large: 'a/camera', isPinned: false, dominant: null, density: 1 }).at(-1).priority, 'low');
});

const NOBODY = { publish: true, stream: false, moderate: false };
const MODERATOR = { publish: true, stream: true, moderate: true };
const labels = (about) => actionsFor({ permissions: NOBODY, room: {}, isPinned: false, isSilenced: false, ...about }).map(({ label }) => label);
const cameraOf = (someone, isSelf = false) => ({ person: someone, source: 'camera', isSelf, key: `${someone.id}/camera` });

test('who does not moderate can pin and not hear, nothing else', () => {
  assert.deepEqual(labels({ tile: cameraOf(person('a')) }), ['Pin: show large', 'Do not hear (only here)']);
  assert.deepEqual(labels({ tile: cameraOf(person('me'), true), isPinned: true }), ['Unpin']);
});

test('a moderator can do to each person what makes sense for them, and unmutes nobody', () => {
  const all = labels({ tile: cameraOf(person('a', { hand: '2026-01-01T00:00:00Z' })), permissions: MODERATOR });
  for (const label of ['Mute', 'Stop the camera', 'Lower the hand', 'Change the role', 'Remove from the room', 'Show on the event page']) assert.ok(all.includes(label), label);
  assert.ok(!all.includes('Call on stage') && !all.includes('Send to the audience'));
  const quiet = labels({ tile: cameraOf(person('a', { feeds: [feed({ muted: { audio: true, video: true } })] })), permissions: MODERATOR });
  assert.ok(!quiet.includes('Mute') && !quiet.includes('Stop the camera') && !quiet.some((label) => /unmute/i.test(label)));
  assert.ok(labels({ tile: { ...cameraOf(person('v', { role: 'viewer', feeds: [] })), key: null }, permissions: MODERATOR }).includes('Call on stage'));
  assert.ok(labels({ tile: cameraOf(person('v', { role: 'viewer', stage: true })), permissions: MODERATOR }).includes('Send to the audience'));
  assert.ok(!labels({ tile: cameraOf(person('me'), true), permissions: MODERATOR }).some((label) => /Remove|role/.test(label)));
  assert.ok(labels({ tile: { ...cameraOf(person('a', { feeds: [feed({ source: 'screen' })] })), source: 'screen' }, permissions: MODERATOR }).includes('Stop the screen share'));
});

test('what a moderator asks for is what the protocol calls it', () => {
  const list = actionsFor({ tile: cameraOf(person('a')), permissions: MODERATOR, room: { stage_only: true }, isPinned: false, isSilenced: false });
  assert.deepEqual(list.filter(({ action }) => action === 'moderate').map(({ fields }) => fields), [
    { action: 'mute', id: 'a', source: 'camera', audio: true }, { action: 'mute', id: 'a', source: 'camera', video: true }, { action: 'stage', id: 'a', on: true },
  ]);
});

test('hands are listed in the order in which they were raised', () => {
  assert.deepEqual(handsOf([person('a', { hand: '2026-01-01T00:00:05Z' }), person('b'), person('c', { hand: '2026-01-01T00:00:01Z' })]).map(({ id }) => id), ['c', 'a']);
});

test('connections are words', () => {
  assert.deepEqual(['good', 'fair', 'poor', 'lost', undefined].map((quality) => qualityWord(quality)), ['Good', 'Weak', 'Bad', 'Reconnecting', 'Good']);
  assert.equal(qualityWord('good', false), 'Reconnecting');
  assert.equal(qualityAdvice('Good'), '');
  assert.match(qualityAdvice('Bad'), /Wi-Fi/);
});

test('whoever hears a tile knows what it shows', () => {
  const [tile] = tilesOf([person('Ada', { hand: 'x', feeds: [feed({ muted: { audio: true, video: true } })] })], null, false).cameras;
  assert.equal(tileLabel(tile, { quality: 'Weak', isSpeaking: true, isPinned: true }), 'Ada, speaking, microphone off, camera off, hand raised, connection weak, pinned');
  const shown = tilesOf([person('Ada', { feeds: [feed({ stream: 'main' })] })], 'Ada', false).cameras[0];
  assert.equal(tileLabel(shown, { quality: 'Good', isSpeaking: false, isPinned: false }), 'Ada (you), on the event page');
  assert.equal(tileLabel({ ...tile, source: 'screen' }, { quality: 'Good', isSpeaking: false, isPinned: false }), 'The screen of Ada');
});

test('names have letters and a colour that stays', () => {
  assert.deepEqual(['Ada Lovelace', 'madonna', '  ', 'Ödön von Horváth', '😀 x', 'a_b'].map(initials), ['AL', 'M', '?', 'ÖH', '😀X', 'AB']);
  assert.equal(hueOf('Ada'), hueOf('Ada'));
  assert.ok(hueOf('Ada') >= 0 && hueOf('Ödön') < 360);
});

test('numbers of people are said as people say them', () => {
  assert.deepEqual([moreWord(7), audienceWord(1), audienceWord(1200)], ['and 7 more', '1 person in the audience', '1,200 people in the audience']);
});

test('every end says what happened and what to do next', () => {
  const check = (state, code, next, title) => {
    const ending = endingOf(state, code && { code, message: 'because of the weather' });
    assert.equal(ending.next, next, code ?? state);
    assert.match(ending.title, title);
    assert.ok(ending.text.length > 10 && /[.!]$/.test(ending.text), ending.text);
    assert.equal(Boolean(ending.button), next === 'again' || next === 'wait', code ?? state);
  };
  check('left', null, 'again', /You left/);
  check('removed', null, 'none', /removed/);
  check('replaced', null, 'again', /another tab/);
  check('refused', 'full', 'wait', /full/);
  check('refused', 'locked', 'again', /locked/);
  check('refused', 'token_expired', 'key', /expired/);
  check('refused', 'token_missing', 'key', /invitation/);
  check('refused', 'token_invalid', 'key', /invitation/);
  check('refused', 'token_space', 'key', /another space/);
  check('refused', 'not_acceptable', 'none', /browser/);
  check('refused', 'stopping', 'wait', /restarting/);
  check('refused', 'unreachable', 'wait', /cannot be reached/);
  check('refused', 'something_new', 'again', /did not work/);
  assert.match(endingOf('refused', { code: 'something_new', message: 'the moon is full' }).text, /The moon is full\./);
  assert.match(endingOf('refused', { code: 'token_invalid' }, { hasToken: true }).title, /does not know this key/);
  assert.equal(mutedNote({ audio: true, video: false }, 'Ada'), 'Ada turned your microphone off. You can turn it on again.');
  assert.ok(KEYS.every(({ key, label }) => key && label));
});

test('an invitation leaves the address, and other parts of it stay', () => {
  assert.equal(tokenOfHash('#token=a.b.c'), 'a.b.c');
  assert.equal(tokenOfHash('#x=1&token=a%2Eb'), 'a.b');
  for (const hash of ['', '#', '#main', '#token=', `#token=${'a'.repeat(5000)}`]) assert.equal(tokenOfHash(hash), null, hash);
  assert.deepEqual(['#token=a', '#camera-2', '#x=1&token=a&y=2', ''].map(withoutToken), ['', '#camera-2', '#x=1&y=2', '']);
});

test('an invitation hints at its bearer, a key at nothing', () => {
  const token = (claims) => `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.y`;
  assert.deepEqual(hintOf(token({ name: 'Ödön', role: 'viewer', exp: 1 })), { name: 'Ödön', role: 'viewer' });
  assert.deepEqual(hintOf(token({ name: 7 })), {});
  for (const other of ['', 'a-key', 'a.b.c', 'x.bnVsbA.y']) assert.deepEqual(hintOf(other), {}, other);
});

test('a connection is called worse only when it stays so, and better or lost at once', () => {
  const calm = new CalmQuality();
  const shown = (now, quality) => calm.update(now, new Map([['a', quality]])).shown.get('a');
  assert.equal(shown(0, 'poor'), 'good');
  assert.equal(shown(WORSE_AFTER_MS - 1, 'poor'), 'good');
  assert.equal(shown(WORSE_AFTER_MS, 'poor'), 'poor');
  assert.equal(shown(WORSE_AFTER_MS + 1, 'good'), 'good');
  assert.equal(shown(WORSE_AFTER_MS + 2, 'lost'), 'lost');
  assert.equal(shown(WORSE_AFTER_MS + 3, 'fair'), 'fair', 'weak is better than lost');
  assert.equal(calm.update(20_000, new Map([['b', 'poor']])).againMs, WORSE_AFTER_MS);
  assert.equal(calm.update(21_000, new Map([['b', 'poor']])).againMs, WORSE_AFTER_MS - 1000);
  assert.deepEqual([...calm.update(22_000, new Map()).shown], []);
});

test('a refusal of both devices is one sentence, other problems are told one by one', () => {
  const [denied, missing] = ['NotAllowedError', 'NotFoundError'].map((name) => (what) => explain({ name, message: '' }, what));
  assert.equal(problemsOf(null, { camera: denied('camera'), microphone: denied('microphone') }).length, 1);
  assert.equal(problemsOf(null, { camera: missing('camera'), microphone: denied('microphone') }).length, 2);
  assert.equal(problemsOf(null, { camera: null, microphone: missing('microphone') }).length, 1);
  assert.deepEqual(problemsOf({ title: 'a', advice: 'b' }, { camera: denied('camera'), microphone: null }), [{ title: 'a', advice: 'b' }]);
});
