/**
 * What each message of the server does to a conference and what the page is told of it.
 * @module
 */

/**
 * @typedef {object} Parts what a message may concern
 * @property {import('./conference-feeds.js').Feeds} feeds
 * @property {(slots: import('./conference-messages.js').Slot[]) => void} assign
 * @property {(message: {type: string, [field: string]: any}) => void} negotiate
 * @property {() => void} renew
 * @property {(message: any) => void} welcome
 */

/** One for each conference. */
export class Reader {
  #conference;
  #parts;

  /** @param {import('./conference.js').Conference} conference @param {Parts} parts */
  constructor(conference, parts) {
    this.#conference = conference;
    this.#parts = parts;
  }

  /** @param {{type: string, [field: string]: any}} message as `parse` reads it */
  read(message) {
    switch (message.type) {
      case 'welcome': return this.#welcome(message);
      case 'answer':
      case 'offer': return this.#parts.negotiate(message);
      case 'restart': return this.#parts.renew();
      case 'slots': return this.#parts.assign(message.slots);
      case 'layers': return this.#parts.feeds.setWatched(message.source, message.active);
      case 'joined':
      case 'updated': return this.#gather({ updated: [message.participant] });
      case 'left': return this.#gather({ left: [message] });
      case 'participants': return this.#gather(message);
      default: return this.#tell(message);
    }
  }

  #welcome(message) {
    const conference = this.#conference;
    conference.people.begin(message.id, message.participants);
    Object.assign(conference, { role: message.role, permissions: message.permissions, space: message.space });
    this.#parts.welcome(message);
    for (const event of ['participants', 'permissions', 'space']) conference.emit(event, { all: true });
  }

  /** Whether somebody joined is known here: after a reconnection the server's view and ours may differ. */
  #gather({ joined = [], updated = [], left = [] }) {
    const { people } = this.#conference;
    const detail = { joined: [], updated: [], left: [] };
    for (const participant of [...joined, ...updated]) detail[people.put(participant)].push(participant);
    for (const { id, ...how } of left) {
      const participant = people.remove(id);
      if (participant) detail.left.push({ id, ...how, participant });
    }
    this.#conference.emit('participants', detail);
  }

  #tell(message) {
    const conference = this.#conference;
    const { type, ...detail } = message;
    if (type === 'space') conference.space = message.space;
    if (type === 'permissions') {
      Object.assign(conference, { role: message.role, permissions: message.permissions });
      this.#parts.feeds.reconsider();
    }
    if (type === 'speakers') conference.speakers = { dominant: message.dominant, active: message.active };
    if (type === 'quality') for (const { id, quality } of message.participants) conference.quality.set(id, quality);
    if (type === 'muted') this.#parts.feeds.obey(message.source, message);
    if (type === 'unpublished') this.#parts.feeds.revoke(message.source);
    // An error about an offer of ours concerns the negotiation first.
    if (type === 'error' && message.request === 'offer') this.#parts.negotiate(message);
    if (type === 'error' && message.request === 'join') this.#parts.negotiate({ ...message, id: 0 });
    conference.emit(type, detail);
  }
}
