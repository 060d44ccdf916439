/**
 * The people of a room: who has a tile, who is the audience, and what a tile shows.
 * @module
 */

/**
 * @typedef {object} Feed
 * @property {'camera' | 'screen'} source
 * @property {boolean} audio
 * @property {boolean} video
 * @property {{audio: boolean, video: boolean}} muted
 * @property {boolean} music
 * @property {string | null} stream
 *
 * @typedef {object} Person as the venue describes a participant
 * @property {string} id
 * @property {string} name
 * @property {'viewer' | 'participant' | 'performer' | 'moderator'} role
 * @property {boolean} stage
 * @property {string | null} hand since when it is raised
 * @property {boolean} reachable
 * @property {Feed[]} feeds
 *
 * @typedef {object} Tile
 * @property {string} key
 * @property {string} id whose
 * @property {'camera' | 'screen'} source
 * @property {Person} person
 * @property {boolean} isSelf
 * @property {boolean} hasPicture whether one is sent; it may not have come yet
 * @property {boolean} isMuted whether no sound is sent
 */

/** @param {Person | null} person @param {'camera' | 'screen'} source @returns {Feed | null} */
export function feedOf(person, source) {
  return person?.feeds?.find((feed) => feed.source === source) ?? null;
}

export const keyOf = (/** @type {string} */ id, /** @type {string} */ source) => `${id}/${source}`;

/** Whether a person is among those who are shown, and not in the audience. */
export function isShown(/** @type {Person} */ person, isStageOnly = false) {
  return person.stage || person.feeds.length > 0 || (person.role !== 'viewer' && !isStageOnly);
}

/**
 * Everybody's tiles: cameras in the order of `people`, and the screens of others. One's own screen is not shown to oneself.
 * @param {Person[]} people in the order of joining
 * @param {string | null} selfId
 * @param {boolean} isStageOnly
 * @returns {{cameras: Tile[], screens: Tile[], audience: Person[]}}
 */
export function tilesOf(people, selfId, isStageOnly) {
  const cameras = [];
  const screens = [];
  const audience = [];
  for (const person of people) {
    const isSelf = person.id === selfId;
    if (!isShown(person, isStageOnly)) {
      audience.push(person);
      continue;
    }
    cameras.push(tile(person, 'camera', isSelf));
    if (!isSelf && feedOf(person, 'screen')?.video) screens.push(tile(person, 'screen', isSelf));
  }
  return { cameras, screens, audience };
}

/** @returns {Tile} */
function tile(person, source, isSelf) {
  const feed = feedOf(person, source);
  return {
    key: keyOf(person.id, source), id: person.id, source, person, isSelf,
    hasPicture: feed !== null && feed.video && !feed.muted.video,
    isMuted: feed === null || !feed.audio || feed.muted.audio,
  };
}

/**
 * What is asked of the venue: the pictures that are on the screen, in the size that they have there, the most important first.
 * @param {object} seen
 * @param {Tile[]} seen.tiles those on the screen
 * @param {Map<string, import('./meet-grid.js').Box>} seen.boxes
 * @param {string | null} seen.large
 * @param {boolean} seen.isPinned whether a person chose the large one
 * @param {string | null} seen.dominant who speaks, by id
 * @param {number} seen.density device pixels per CSS pixel
 * @returns {{id: string, source: string, width: number, height: number, priority: 'low' | 'normal' | 'high' | 'pinned'}[]}
 */
export function wanted({ tiles, boxes, large, isPinned, dominant, density }) {
  const rank = (tile) => {
    if (tile.key === large) return isPinned ? 0 : 1;
    if (tile.id === dominant) return 2;
    return large === null ? 3 : 4;
  };
  const PRIORITIES = ['pinned', 'high', 'high', 'normal', 'low'];
  return tiles
    .filter((tile) => !tile.isSelf && tile.hasPicture && boxes.has(tile.key))
    .map((tile) => {
      const { width, height } = boxes.get(tile.key);
      return { rank: rank(tile), want: { id: tile.id, source: tile.source, width: Math.ceil(width * density), height: Math.ceil(height * density), priority: PRIORITIES[rank(tile)] } };
    })
    .sort((left, right) => left.rank - right.rank)
    .map(({ want }) => want);
}

/** Hands in the order in which they were raised. @param {Person[]} people */
export function handsOf(people) {
  return people.filter(({ hand }) => hand).sort((left, right) => (left.hand < right.hand ? -1 : 1));
}

/**
 * What is done to a person, as the menu lists it.
 * @param {object} about
 * @param {Tile | {person: Person, source: 'camera' | 'screen', isSelf: boolean, key: string | null}} about.tile
 * @param {{publish?: boolean, stream?: boolean, moderate?: boolean}} about.permissions one's own
 * @param {{stage_only?: boolean}} about.room
 * @param {boolean} about.isPinned
 * @param {boolean} about.isSilenced whether this page does not play their sound
 * @returns {{action: string, label: string, icon: string, danger?: boolean, fields?: object}[]}
 */
export function actionsFor({ tile, permissions, room, isPinned, isSilenced }) {
  const { person, source, isSelf, key } = tile;
  const feed = feedOf(person, source);
  const screen = source === 'screen';
  const list = [];
  if (key) list.push({ action: 'pin', label: isPinned ? 'Unpin' : 'Pin: show large', icon: isPinned ? 'unpin' : 'pin' });
  if (!isSelf && feed?.audio) list.push({ action: 'silence', label: isSilenced ? 'Hear again' : 'Do not hear (only here)', icon: isSilenced ? 'sound' : 'muted' });
  if (permissions.stream && isSelf && feed) list.push(streamEntry(feed, screen));
  if (!permissions.moderate) return list;
  if (!isSelf && feed?.audio && !feed.muted.audio) list.push({ action: 'moderate', label: screen ? 'Mute the screen’s sound' : 'Mute', icon: 'mic-off', fields: { action: 'mute', id: person.id, source, audio: true } });
  if (!isSelf && feed?.video && !feed.muted.video && !screen) list.push({ action: 'moderate', label: 'Stop the camera', icon: 'camera-off', fields: { action: 'mute', id: person.id, source, video: true } });
  if (!isSelf && feed && screen) list.push({ action: 'moderate', label: 'Stop the screen share', icon: 'screen-off', fields: { action: 'unpublish', id: person.id, source } });
  if (screen) return list.concat(permissions.stream && !isSelf && feed ? [streamEntry(feed, true)] : []);
  if (person.hand && !isSelf) list.push({ action: 'moderate', label: 'Lower the hand', icon: 'hand', fields: { action: 'lower_hand', id: person.id } });
  if (person.stage) list.push({ action: 'moderate', label: 'Send to the audience', icon: 'leave-stage', fields: { action: 'stage', id: person.id, on: false } });
  else if (person.role === 'viewer' || room.stage_only) list.push({ action: 'moderate', label: 'Call on stage', icon: 'stage', fields: { action: 'stage', id: person.id, on: true } });
  if (permissions.stream && !isSelf && feed) list.push(streamEntry(feed, false));
  if (!isSelf) {
    list.push({ action: 'role', label: 'Change the role', icon: 'role' });
    list.push({ action: 'remove', label: 'Remove from the room', icon: 'remove', danger: true });
  }
  return list;
}

function streamEntry(feed, isScreen) {
  if (feed.stream) return { action: 'unstream', label: 'Take off the event page', icon: 'eye' };
  return { action: 'stream', label: isScreen ? 'Show the screen on the event page' : 'Show on the event page', icon: 'eye' };
}
