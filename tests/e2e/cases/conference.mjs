// The conference, as tabs of Chromium take part in it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPage } from '../lib/browser.mjs';
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
