// A page as artists make them: a reconnecting socket that joins a channel whenever it is connected, and a list of all that it hears.
import ReconnectingWebSocket from './reconnecting-websocket.mjs';

const user = { userId: 'pageuserpageuser', userName: 'A page' };
const envelope = (type, value) => JSON.stringify({ id: 'abcdefghijklmnop', datetime: new Date().toISOString(), type, channel: 'residence', ...user, value });

/** `bus.loaded` is another one after a reload. */
window.bus = { loaded: Math.random(), opened: [], heard: [] };
const socket = new ReconnectingWebSocket(new URLSearchParams(location.search).get('url'));
socket.addEventListener('open', () => {
  window.bus.opened.push(Date.now());
  socket.send(envelope('CHANNEL_JOIN', { userName: user.userName }));
});
socket.addEventListener('message', ({ data }) => window.bus.heard.push(data));
window.bus.say = (type, value) => socket.send(envelope(type, value));
