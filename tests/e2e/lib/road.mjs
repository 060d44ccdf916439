// The other end of the wire that tests/e2e/in-namespace lays: hosts that reach the server over an interface, not over loopback.
function needed(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run this through tests/e2e/in-namespace, as tests/run does`);
  return value;
}

/** The server's address as seen from the road. */
export const houseAddress = () => needed('PROSCENIUM_E2E_HOUSE');

/** A command line that runs `command` on the road. */
export function onTheRoad(command, args) {
  return ['nsenter', [`--net=/run/netns/${needed('PROSCENIUM_E2E_ROAD')}`, command, ...args]];
}
