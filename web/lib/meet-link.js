/**
 * How others find a room.
 * @module
 */

/**
 * Copies the address of this room, without its fragment: an invitation belongs to one person.
 * @returns {Promise<string>} what to say of it
 */
export async function copyLink() {
  const link = `${location.origin}${location.pathname}`;
  try {
    await navigator.clipboard.writeText(link);
    return 'The link is copied. Who opens it can join.';
  } catch {
    return `Copy this address: ${link}`;
  }
}
