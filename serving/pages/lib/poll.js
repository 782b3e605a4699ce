// Asks again and again while the page is seen; what was shown stays when an answer fails.

import { ask } from "./ask.js";

const FOR_GOOD = new Set([401, 403, 404, 422]);

// Calls shown(answer) or failed({ status, title, detail }). A failure for good ends the asking.
// Returns a function that asks at once.
export function poll(url, everyMs, shown, failed) {
  let timer = 0;
  let ended = false;
  let asking = false;

  async function once() {
    clearTimeout(timer);
    if (ended || asking) return;
    asking = true;
    try {
      const { ok, status, body } = await ask(url);
      if (ok) shown(body);
      else {
        ended = FOR_GOOD.has(status);
        failed({ status, title: body.title, detail: body.detail });
      }
    } finally {
      asking = false;
      if (!ended && !document.hidden) timer = setTimeout(once, everyMs);
    }
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) once();
  });
  addEventListener("online", once);
  addEventListener("offline", once);
  once();
  return once;
}
