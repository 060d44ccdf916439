// Debian's nginx with its RTMP module: what is published to it, others watch by HLS in segments of MPEG-TS.
import { startNginx } from '../e2e/lib/nginx.mjs';
import { freePort } from '../e2e/lib/server.mjs';

/** Starts it with one application for each number of seconds that a fragment lasts. */
export async function startNginxRtmp(t, fragments) {
  const rtmpPort = await freePort();
  const application = (directory) => (seconds) => `application hls${seconds} { live on; hls on; hls_path ${directory}/hls${seconds}; hls_fragment ${seconds}s; hls_playlist_length ${seconds * 6}s; }`;
  const nginx = await startNginx(t, {
    modules: ['ngx_rtmp_module.so'],
    main: ({ directory }) => `rtmp { server { listen 127.0.0.1:${rtmpPort}; ${fragments.map(application(directory)).join('\n')} } }`,
    http: ({ port, directory }) => `access_log off; server { listen 127.0.0.1:${port}; root ${directory}; types { application/vnd.apple.mpegurl m3u8; video/mp2t ts; } add_header Access-Control-Allow-Origin *; add_header Cache-Control no-cache; }`,
  });
  return {
    process: nginx.process,
    publish: (seconds) => `rtmp://127.0.0.1:${rtmpPort}/hls${seconds}/stage`,
    play: (seconds) => `${nginx.url}/hls${seconds}/stage.m3u8`,
    log: () => nginx.log('error.log'),
  };
}
