// The message server that this one replaces, as its clients knew it: Node with `ws`, and Redis between hearing and telling.
import { createRequire } from 'node:module';
import { createServer } from 'node:http';

const require = createRequire(new URL('../e2e/package.json', import.meta.url));
const { WebSocketServer, WebSocket } = require('ws');
const { createClient } = require('@redis/client');

const [port, redisUrl] = process.argv.slice(2);
const publisher = createClient({ url: redisUrl });
const subscriber = createClient({ url: redisUrl });
await Promise.all([publisher.connect(), subscriber.connect()]);

const http = createServer((request, response) => response.end('ok'));
const server = new WebSocketServer({ server: http });
server.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', (data) => {
    const text = data.toString();
    try {
      if (JSON.parse(text).store) publisher.rPush('messages', text);
    } catch {
      // Not JSON: relayed all the same.
    }
    publisher.publish('messages', text);
  });
});
await subscriber.subscribe('messages', (text) => {
  for (const client of server.clients) if (client.readyState === WebSocket.OPEN) client.send(text);
});
http.listen(Number(port), '127.0.0.1');
