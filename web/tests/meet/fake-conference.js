/**
 * A room without a venue, for looking at the page: `Conference` as `lib/conference.js` has it, with people who are drawn. Never shipped.
 * The page's address says what there is: `?people=12&audience=30&role=moderator&screen=1&refuse=locked`.
 * @module
 */

const NAMES = ['Ada Lovelace', 'Bertolt', 'Clara Schumann', 'Dario Fo', 'Elfriede J.', 'Federico García Lorca', 'Gret', 'Heiner M.', 'Ingrid Bergström-Johansson', 'Jean', 'Kazuo Ohno', 'Lotte Lenya', 'Mei Lanfang', 'Nô', 'Ödön von Horváth', 'Pina B.', 'Quentin', 'Rosa'];
const asked = new URLSearchParams(location.search);
const number = (name, otherwise) => Number(asked.get(name) ?? otherwise);

/** A picture that moves: a room with somebody in it, in a colour of their own. */
function draw(place, width = 640, height = 360, words = '') {
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const paint = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  const hue = (place * 47) % 360;
  const frame = () => {
    const time = performance.now() / 1000 + place;
    const light = paint.createLinearGradient(0, 0, width, height);
    light.addColorStop(0, `hsl(${hue} 30% 34%)`);
    light.addColorStop(1, `hsl(${hue + 40} 35% 16%)`);
    paint.fillStyle = words ? '#f4f1ea' : light;
    paint.fillRect(0, 0, width, height);
    if (words) {
      paint.fillStyle = '#222';
      paint.font = '600 44px serif';
      words.split('|').forEach((line, row) => paint.fillText(line, 60, 110 + row * 64));
      paint.fillRect(60 + (time * 60) % (width - 200), height - 60, 80, 8);
      return;
    }
    const x = width / 2 + Math.sin(time) * width * 0.04;
    paint.fillStyle = `hsl(${hue + 180} 22% 24%)`;
    paint.beginPath();
    paint.ellipse(x, height * 1.02, height * 0.42, height * 0.36, 0, 0, 7);
    paint.fill();
    paint.fillStyle = `hsl(${20 + (place % 4) * 6} 45% ${42 + (place % 5) * 7}%)`;
    paint.beginPath();
    paint.ellipse(x, height * 0.44, height * 0.17, height * 0.22, 0, 0, 7);
    paint.fill();
  };
  frame();
  setInterval(frame, 100);
  return canvas.captureStream(10).getVideoTracks()[0];
}

export class Conference extends EventTarget {
  state = 'idle';
  self = null;
  participants = new Map();
  space = { name: 'harness', locked: false, stage_only: asked.has('stage_only') };
  role = asked.get('role') ?? 'participant';
  permissions = {};
  limits = { audio_slots: 16, video_slots: 49, participants: 200, loudest: 8 };
  quality = new Map();
  speakers = { dominant: null, active: [] };
  watched = [];
  calls = [];
  #tracks = new Map();

  constructor(space, options) {
    super();
    this.options = options;
    globalThis.fake = this;
  }

  async join({ audio, video, muted = {} }) {
    this.#to('joining');
    await new Promise((done) => setTimeout(done, 120));
    const refuse = asked.get('refuse');
    if (refuse === 'full' || refuse === 'unreachable') {
      this.#to('joining', refuse === 'full' ? { code: 'full', message: 'the room is full' } : null, 5000);
      return new Promise(() => {});
    }
    if (refuse) {
      const error = Object.assign(new Error('refused by the harness'), { code: refuse });
      this.#to(['removed', 'replaced'].includes(refuse) ? refuse : 'refused', error);
      throw error;
    }
    this.#permit(this.role);
    this.self = this.person('p_self', this.options.name, this.role);
    if (this.permissions.publish) this.self.feeds = [this.feed(audio, video, muted)];
    for (let place = 1; place < number('people', 2); place++) this.add(NAMES[(place - 1) % NAMES.length]);
    for (let place = 0; place < number('audience', 0); place++) this.participants.set(`p_a${place}`, this.person(`p_a${place}`, `Guest ${place + 1}`, 'viewer'));
    this.participants.set('p_self', this.self);
    for (let place = 0; place < number('screen', 0); place++) this.share(`p_${place + 1}`);
    const mood = ['good', 'good', 'fair', 'good', 'poor', 'good', 'lost'];
    [...this.participants.keys()].forEach((id, place) => this.quality.set(id, asked.has('moods') ? mood[place % 7] : 'good'));
    this.#to('joined');
    this.#tell('participants', { all: true });
    this.#tell('tracks');
    this.#tell('quality');
    const others = () => [...this.participants.values()].filter(({ id, feeds }) => id !== 'p_self' && feeds.length > 0);
    if (asked.has('speak')) this.speak(others()[number('speak', 0)]?.id ?? null);
  }

  person(id, name, role) {
    const place = this.participants.size;
    return { id, name, role, stage: false, hand: null, joined: new Date(Date.now() + place).toISOString(), reachable: true, feeds: [] };
  }

  feed(audio, video, muted) {
    return { source: 'camera', audio: true, video: true, muted: { audio: !audio || muted.audio === true, video: !video || muted.video === true }, music: false, stream: null, layers: [] };
  }

  add(name) {
    const place = this.participants.size + 1;
    const id = `p_${place}`;
    const person = this.person(id, name, 'participant');
    person.feeds = [this.feed(place % 3 !== 0, place % 4 !== 3, {})];
    this.participants.set(id, person);
    if (place % 4 !== 3) this.#tracks.set(`${id}/camera`, place % 5 === 4 ? draw(place, 360, 640) : draw(place));
    if (this.state === 'joined') (this.#tell('participants', { joined: [person] }), this.#tell('tracks'));
    return id;
  }

  share(id) {
    this.participants.get(id).feeds.push({ source: 'screen', audio: false, video: true, muted: { audio: false, video: false }, music: false, stream: null, layers: [] });
    this.#tracks.set(`${id}/screen`, draw(0, 1280, 720, 'ACT TWO, SCENE ONE|A street before the theatre.|Enter the PLAYERS, late, in rain.'));
  }

  update(id, changes) {
    const person = { ...this.participants.get(id), ...changes };
    this.participants.set(id, person);
    if (id === 'p_self') this.self = person;
    this.#tell('participants', { updated: [person] });
  }

  drop(id) {
    const left = this.participants.get(id);
    this.participants.delete(id);
    this.#tell('participants', { left: [{ id, reason: 'left', participant: left }] });
  }

  speak(id) {
    this.speakers = { dominant: id, active: id ? [{ id, level: 30 }] : [] };
    this.#tell('speakers', this.speakers);
  }

  stage(on) {
    this.#permit(on ? 'participant' : this.role);
    this.update('p_self', { stage: on });
    this.#tell('permissions');
  }

  blocked(blocked) { this.#tell('sound', { blocked }); }
  muteMe(what) { this.#tell('muted', { source: 'camera', audio: false, video: false, by: 'p_1', ...what }); }
  end(state, error) { this.#to(state, error); }
  trackOf(id, source) {
    const track = this.#tracks.get(`${id}/${source}`);
    return track ? { track, state: asked.has('moods') && id === 'p_5' ? 'paused' : 'live', mid: '1' } : null;
  }

  watch(list) { this.watched = list; }
  async publish(source, tracks) {
    this.#note('publish', [source, Object.keys(tracks)]);
    this.update('p_self', { feeds: [this.feed(tracks.audio, tracks.video, {})] });
  }

  async setScreen(video) { this.#note('setScreen', video !== null); }
  setSpeaker() {}
  unlockSound() { this.#tell('sound', { blocked: false }); }
  mute(muted) { this.#note('mute', muted); this.#own(muted); }
  music(on) { this.#note('music', on); }
  silence(ids) { this.#note('silence', ids); }
  raiseHand(on) { this.update('p_self', { hand: on ? new Date().toISOString() : null }); }
  rename(name) { this.update('p_self', { name }); }
  leave() { this.#note('leave'); this.state = 'left'; }

  moderate(action, fields) {
    this.#note('moderate', { action, ...fields });
    if (action === 'lock') this.space = { ...this.space, locked: fields.on };
    if (action === 'stage_only') this.space = { ...this.space, stage_only: fields.on };
    if (action === 'lock' || action === 'stage_only') this.#tell('space');
    if (action === 'remove') this.drop(fields.id);
    if (action === 'role') this.update(fields.id, { role: fields.role });
    if (action === 'stage') this.update(fields.id, { stage: fields.on, hand: null });
    if (action === 'mute') {
      const [feed] = this.participants.get(fields.id).feeds;
      this.update(fields.id, { feeds: [{ ...feed, muted: { audio: fields.audio || feed.muted.audio, video: fields.video || feed.muted.video } }] });
    }
  }

  #own(muted) {
    const feed = this.self?.feeds[0];
    if (feed) this.update('p_self', { feeds: [{ ...feed, muted: { ...feed.muted, ...muted } }] });
  }

  #permit(role) {
    this.permissions = { publish: role !== 'viewer', screen: role !== 'viewer', music: role === 'performer' || role === 'moderator', stream: role === 'performer' || role === 'moderator', moderate: role === 'moderator' };
  }

  #note(name, value) { this.calls.push([name, value]); }
  #tell(name, detail = {}) { this.dispatchEvent(new CustomEvent(name, { detail })); }
  #to(state, error = null, retryMs = null) {
    this.state = state;
    this.#tell('state', { state, error, retryMs });
  }
}
