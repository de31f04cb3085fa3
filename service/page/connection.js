// The one connection to the service: it is kept open while the page is seen, and opened again when it is lost.
//
// A page that nobody sees lets go of it: browsers allow six connections to a host, and the seventh tab would wait.
//
// The token stays in this tab's session storage and goes into a header. A cookie would be sent by itself with every
// request to this host, on every port of it, whoever made the browser send it.

import { eventParser } from "./events.js";

const TOKEN = "streamgauge.token";
const SILENT_AFTER = 12_000;
const PAUSES = [500, 1000, 2000, 4000, 6000];

export function keepToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

function headers() {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/** A problem that the service told: `status`, and what it said. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? `The service answered ${status}.`);
    this.status = status;
    this.reason = problem?.reason ?? null;
  }
}

/** An answer of the API. Throws Refused, or TypeError when nobody answers. */
export async function ask(path) {
  const answer = await fetch(path, { headers: headers(), cache: "no-store" });
  return (await accepted(answer)).json();
}

async function accepted(answer) {
  if (!answer.ok) {
    throw new Refused(answer.status, await answer.json().catch(() => null));
  }
  return answer;
}

/**
 * Calls `heard(event, value)` for what comes, and `changed(state)` when the connection does. A state is
 * `{name: "connecting" | "live" | "paused" | "lost" | "refused", since, error}`.
 */
export class Connection {
  #heard;
  #changed;
  #view = null;
  #lastId = null;
  #attempt = 0;
  #lostSince = null;
  #heardAt = 0;
  #listening = false;
  #abort = new AbortController();

  constructor(heard, changed) {
    this.#heard = heard;
    this.#changed = changed;
    setInterval(() => this.#watch(), 1000);
    addEventListener("online", () => this.#attempt && this.#open());
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#pause() : this.#view && this.#open()));
  }

  /** Looks at another view; null where the service should choose. */
  show(stream, window) {
    this.#view = { stream, window };
    this.#lastId = null;
    this.#attempt = 0;
    this.#open();
  }

  /** Tries again at once. */
  retry() {
    this.#attempt = 0;
    this.#open();
  }

  #pause() {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#listening = false;
    this.#changed({ name: "paused" });
  }

  async #open() {
    this.#abort.abort();
    if (document.hidden) {
      return;
    }
    const abort = new AbortController();
    this.#abort = abort;
    this.#heardAt = Date.now();
    this.#listening = true;
    if (this.#lostSince === null) {
      this.#changed({ name: "connecting" });
    }
    const error = await this.#listen(abort.signal).catch((caught) => caught);
    if (this.#abort !== abort) {
      return;
    }
    if (error instanceof Refused && error.status < 500) {
      this.#listening = false;
      this.#lostSince = null;
      this.#changed({ name: "refused", error });
    } else {
      this.#lost(error ?? null);
    }
  }

  async #listen(signal) {
    const asked = new URLSearchParams(Object.entries(this.#view).filter(([, value]) => value));
    const more = this.#lastId ? { "Last-Event-ID": this.#lastId } : {};
    const answer = await accepted(
      await fetch(`/v1/live?${asked}`, { headers: { ...headers(), ...more }, signal, cache: "no-store" }),
    );
    this.#lostSince = null;
    this.#attempt = 0;
    this.#changed({ name: "live" });
    const parse = eventParser((event, data, id) => {
      this.#lastId = id ?? this.#lastId;
      this.#heard(event, JSON.parse(data));
    });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      this.#heardAt = Date.now();
      parse(part.value);
    }
  }

  #lost(error) {
    this.#listening = false;
    this.#lostSince ??= Date.now();
    const pause = PAUSES[Math.min(this.#attempt, PAUSES.length - 1)] * (0.75 + Math.random() / 2);
    this.#attempt += 1;
    const abort = this.#abort;
    this.#changed({ name: "lost", since: this.#lostSince, error });
    setTimeout(() => this.#abort === abort && this.#open(), pause);
  }

  /** A connection can be dead without an end: the service beats every few seconds. */
  #watch() {
    if (this.#listening && Date.now() - this.#heardAt > SILENT_AFTER) {
      this.#abort.abort();
      this.#abort = new AbortController();
      this.#lost(null);
    }
  }
}
