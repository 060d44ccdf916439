// Gives the helpers of the end-to-end tests an owner outside of a test.

/** Calls `body` with something that has `after` and a `signal` of the end, and undoes everything then, last things first. */
export async function scope(body) {
  const undo = [];
  const end = new AbortController();
  try {
    return await body({ after: (action) => undo.push(action), signal: end.signal });
  } finally {
    end.abort();
    for (const action of undo.reverse()) await action();
  }
}
