// Whether anybody looks. A tab that is hidden for a while gives its streams back: a browser has six connections for
// an agent, and the agent has better things to do.

const HIDDEN_MS = 10000;

export function whileSeen(come, leave) {
  let timer = null;
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
