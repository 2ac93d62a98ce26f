/**
 * Whether anybody looks. A tab that is hidden for a while gives its streams back: a browser has six connections for
 * an agent, and the agent has better things to do.
 */

const HIDDEN_MS = 10000;

/**
 * Call `leave` when nobody has looked for a while, and `come` when somebody does again.
 * @param {() => void} come
 * @param {() => void} leave
 */
export function whileSeen(come, leave) {
  /** @type {number | undefined} */
  let timer;
  let left = false;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.hidden) {
      timer = setTimeout(() => {
        left = true;
        leave();
      }, HIDDEN_MS);
    } else if (left) {
      left = false;
      come();
    }
  });
}
