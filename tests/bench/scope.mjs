// Gives the helpers of the end-to-end tests an owner outside of a test.

/** Calls `body` with something that has `after`, and undoes everything at the end, last things first. */
export async function scope(body) {
  const undo = [];
  try {
    return await body({ after: (action) => undo.push(action) });
  } finally {
    for (const action of undo.reverse()) await action();
  }
}
