// The conference, as tabs of Chromium take part in it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { labUrl, openPage } from '../lib/browser.mjs';
import { enter, outline, pictures, sound } from '../lib/conference.mjs';
import { figure } from '../lib/figures.mjs';
import { startServer } from '../lib/server.mjs';

test('two tabs see and hear each other', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t);
  const ada = await enter(t, server, 'rehearsal', { name: 'Ada', camera: { hue: 0, hz: 300 } });
  const bob = await enter(t, server, 'rehearsal', { name: 'Bob', camera: { hue: 120, hz: 500 } });
  const [first, second] = await Promise.all([ada.meets([bob]), bob.meets([ada])]);
  figure('conference: what the first of two receives', outline(first));
  assert.deepEqual(first.people.map(({ name }) => name).sort(), ['Ada', 'Bob']);
  assert.ok(pictures(second, ada.id) > 0 && sound(second, ada.id) > 0);
  assert.equal(first.inbound.find(({ kind, id }) => kind === 'video' && id === bob.id).codec, 'VP8');
});

test('who mutes is not heard, who shares a screen is seen twice, and nobody negotiates for it', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t);
  const ada = await enter(t, server, 'rehearsal', { name: 'Ada', camera: { hz: 300 } });
  const bob = await enter(t, server, 'rehearsal', { name: 'Bob', camera: null });
  await bob.until('seeing Ada', (report) => pictures(report, ada.id) > 5);
  const negotiations = await ada.page.evaluate(() => {
    const from = performance.now();
    window.screen1 = window.devices({ width: 1280, height: 720, hz: 700 });
    return conference.setScreen(window.screen1.video, window.screen1.audio).then(() => performance.now() - from);
  });
  figure('conference: from sharing a screen to sending it', `${negotiations.toFixed(1)} ms`);
  const shared = await bob.until('seeing the screen', (report) => pictures(report, ada.id, 'screen') > 5 && sound(report, ada.id, 'screen') > 0.001 && pictures(report, ada.id) > 5);
  assert.equal(shared.inbound.find(({ id, kind, source }) => id === ada.id && kind === 'video' && source === 'screen').height, 720, 'a screen comes in full');
  await ada.call('mute', { audio: true, video: true });
  await bob.until('told', ({ people }) => people.find(({ id }) => id === ada.id).feeds.some(({ source, muted: { audio, video } }) => source === 'camera' && audio && video));
  await sleep(1000); // What is on the way is still played, and what is missing made up for a moment.
  const muted = await bob.report();
  const [quiet, still] = [sound(muted, ada.id), pictures(muted, ada.id)];
  await sleep(1500);
  const later = await bob.report();
  assert.ok(sound(later, ada.id) - quiet < 0.001 && pictures(later, ada.id) - still < 5, `${outline(muted)}\n${outline(later)}`);
  assert.ok(pictures(later, ada.id, 'screen') > pictures(muted, ada.id, 'screen'), 'the screen goes on');
  await ada.call('mute', { audio: false, video: false });
  await bob.until('seeing Ada again', (report) => pictures(report, ada.id) > still + 10 && sound(report, ada.id) > quiet + 0.05);
  await ada.call('unpublish', 'screen');
  await bob.until('without the screen', ({ people, inbound }) => people.find(({ id }) => id === ada.id).feeds.length === 1 && !inbound.some(({ source }) => source === 'screen'));
});

test('a reload and a lost WebSocket are the same person, a duplicated tab is another', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t);
  const ada = await enter(t, server, 'rehearsal', { name: 'Ada' });
  const bob = await enter(t, server, 'rehearsal', { name: 'Bob' });
  await Promise.all([ada.meets([bob]), bob.meets([ada])]);

  // Another network, as the browser sees it: another WebSocket, the media goes on.
  await ada.page.evaluate(() => window.dispatchEvent(new Event('online')));
  await ada.page.waitForFunction(() => window.heard.some(({ type, state }) => type === 'state' && state === 'reconnecting') && conference.state === 'joined');
  assert.deepEqual((await ada.heard('media')).map(({ media }) => media), ['connecting', 'connected']);
  assert.equal((await ada.report()).id, ada.id);

  const storage = await ada.page.evaluate(() => ({ ...sessionStorage }));
  const copy = await ada.page.context().newPage();
  await copy.goto(server.url);
  const copied = await copy.evaluate(async (values) => {
    for (const [key, value] of Object.entries(values)) sessionStorage.setItem(key, value);
    const { Conference } = await import('/web/lib/conference.js');
    window.conference = new Conference('rehearsal', { name: 'Copy' });
    await window.conference.join();
    return window.conference.self.id;
  }, storage);
  assert.notEqual(copied, ada.id);
  assert.equal((await ada.report()).state, 'joined');
  await copy.evaluate(() => window.conference.leave());

  await ada.page.reload();
  assert.equal(await ada.page.evaluate(() => window.enter('rehearsal', { name: 'Ada' })), ada.id);
  await Promise.all([ada.meets([bob]), bob.meets([ada])]);
  const left = (await bob.heard('participants')).flatMap((event) => event.left ?? []);
  assert.deepEqual(left.map(({ id }) => id), [copied], 'only the copy was seen to leave');
});

test('six tabs see and hear one another in more slots than they began with', { timeout: 120_000 }, async (t) => {
  const server = await startServer(t);
  const began = Date.now();
  const tabs = await Promise.all(['Ada', 'Bob', 'Cleo', 'Dan', 'Eve', 'Fay'].map((name, place) => enter(t, server, 'rehearsal', { name, camera: { hue: place * 60, hz: 300 + 60 * place, width: 320, height: 180 } })));
  const reports = await Promise.all(tabs.map((tab) => tab.meets(tabs.filter((other) => other !== tab), 60_000)));
  figure('conference: six tabs, from opening the first until everybody sees and hears everybody', `${Date.now() - began} ms`);
  for (const report of reports) assert.equal(new Set(report.inbound.filter(({ id, kind }) => id && kind === 'video').map(({ mid }) => mid)).size, 5, outline(report));
});

test('a performer’s music has the bits that it needs, and the others are told', { timeout: 60_000 }, async (t) => {
  const secret = 'only-for-this-test-and-long-enough-to-be-one';
  const server = await startServer(t, { env: { PROSCENIUM_SECRET: secret } });
  const body = JSON.stringify({ space: 'concert', role: 'performer' });
  const { token } = await (await fetch(`${server.url}/api/token`, { method: 'POST', headers: { Authorization: `Bearer ${secret}`, 'Content-Type': 'application/json' }, body })).json();
  const ada = await enter(t, server, 'concert', { name: 'Ada', token });
  await ada.until('sending', ({ outbound }) => outbound.some(({ kind, packets }) => kind === 'audio' && packets > 20));
  const rate = async () => {
    const sent = async () => (await ada.report()).outbound.filter(({ kind }) => kind === 'audio').reduce((sum, { bytes }) => sum + bytes, 0);
    const [before, from] = [await sent(), performance.now()];
    await sleep(2000);
    return Math.round(((await sent()) - before) * 8 / (performance.now() - from));
  };
  const speech = await rate();
  await ada.page.evaluate(() => conference.music(true));
  const music = await rate();
  figure('conference: sound as speech, twice each time, and as music', `${speech} kbit/s, ${music} kbit/s`);
  assert.ok(music > 200 && speech < 130, `${speech} kbit/s, ${music} kbit/s`);
  assert.equal((await ada.report()).people[0].feeds[0].music, true);
});

/** What a page written for OpenVidu 2 does, with another address and without the password. */
async function oldPage(page, session, metadata) {
  return page.evaluate(async ([name, data]) => {
    const post = async (path, body) => {
      const response = await fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
      return { status: response.status, ...(response.ok ? await response.json() : {}) };
    };
    const { OpenVidu } = await import('/web/compat/openvidu.js');
    window.seen = [];
    const made = await post('/api/sessions', { customSessionId: name });
    const { token } = await post('/api/tokens', { session: name });
    const OV = new OpenVidu();
    const session = OV.initSession();
    window.session = session;
    document.body.append(Object.assign(document.createElement('div'), { id: 'videos' }));
    session.on('streamCreated', ({ stream }) => {
      window.seen.push(['created', stream.connection.data]);
      session.subscribe(stream);
      stream.streamManager.addVideoElement(document.querySelector('#videos').appendChild(document.createElement('video')));
    });
    session.on('streamDestroyed', ({ stream }) => window.seen.push(['destroyed', stream.connection.data]));
    await session.connect(token, data);
    const publisher = OV.initPublisher(null, { publishAudio: true, publishVideo: true, resolution: '640x480', frameRate: 12, insertMode: 'APPEND', mirror: false });
    publisher.addVideoElement(document.body.appendChild(Object.assign(document.createElement('video'), { id: 'own' })));
    await session.publish(publisher);
    return made.status;
  }, [session, metadata]);
}

const shown = (page) => page.evaluate(() => [...document.querySelectorAll('#videos video')].map((video) => ({ width: video.videoWidth, height: video.videoHeight, time: video.currentTime })));

test('pages written for OpenVidu 2 meet', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t);
  const [first, second] = [await openPage(t, server.url), await openPage(t, server.url)];
  const people = [{ userId: 'abcdefghijklmnop', userName: 'Ada' }, { userId: 'ponmlkjihgfedcba', userName: 'Bob' }];
  assert.equal(await oldPage(first, 'residence', people[0]), 200);
  assert.equal(await oldPage(second, 'residence', people[1]), 409, 'the session exists');
  for (const [page, other] of [[first, people[1]], [second, people[0]]]) {
    await page.waitForFunction(() => [...document.querySelectorAll('#videos video')].some((video) => video.videoWidth > 0 && video.currentTime > 0.5), null, { timeout: 20_000 })
      .catch(async (error) => { throw new Error(`${error.message}; ${JSON.stringify(await page.evaluate(() => window.seen))} ${JSON.stringify(await shown(page))}\n${page.messages.join('\n')}`); });
    assert.deepEqual(await page.evaluate(() => window.seen), [['created', JSON.stringify(other)]]);
    const [{ width, height }] = await shown(page);
    assert.ok(Math.abs(width / height - 4 / 3) < 0.05, `${width} x ${height} is not the shape of 640x480`);
  }
  assert.ok(await first.evaluate(() => document.querySelector('#own').videoWidth === 640), 'one sees oneself');
  await second.evaluate(() => window.session.disconnect());
  await first.waitForFunction(() => window.seen.length === 2, null, { timeout: 5000 });
  assert.deepEqual((await first.evaluate(() => window.seen))[1], ['destroyed', JSON.stringify(people[1])]);
});

test('a page of another site takes part with the library of the venue', { timeout: 60_000 }, async (t) => {
  const server = await startServer(t);
  const ada = await enter(t, server, 'residence', { name: 'Ada' });
  const stranger = await openPage(t, await labUrl());
  const height = await stranger.evaluate(async (venue) => {
    const { Conference } = await import(`${venue}/web/lib/conference.js`);
    const conference = new Conference('residence', { name: 'Stranger', url: venue });
    const first = new Promise((resolve) => conference.addEventListener('track', ({ detail: { kind, track } }) => {
      if (kind !== 'video' || !track) return;
      const video = Object.assign(document.createElement('video'), { srcObject: new MediaStream([track]), autoplay: true, muted: true });
      video.onresize = () => resolve(video.videoHeight);
      document.body.append(video);
    }));
    await conference.openCamera();
    await conference.join();
    return first;
  }, server.url);
  assert.ok(height > 0);
  await ada.until('meeting the stranger', ({ people, inbound }) => people.some(({ name, id }) => name === 'Stranger' && inbound.some((entry) => entry.id === id && entry.frames > 3)));
});
