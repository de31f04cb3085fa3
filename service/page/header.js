// The bar at the top: which stream, which window, which theme, and whether what is shown is live.

import { byId, element, keepChildren, mark, tell } from "./dom.js";
import { count, timeWithSeconds, windowLength } from "./format.js";

const USUAL = ["1d", "7d", "30d", "90d"];
const THEMES = { "": "system", light: "light", dark: "dark" };

export class Header {
  /** `choose({stream, window})` is called with what was chosen. */
  constructor(choose) {
    byId("stream").addEventListener("change", (event) => choose({ stream: event.target.value, window: null }));
    byId("windows").addEventListener("change", (event) => choose({ window: event.target.value }));
    byId("pickers").addEventListener("submit", (event) => event.preventDefault());
    byId("theme").addEventListener("click", nextTheme);
    tellTheme();
  }

  /** The streams and windows that there are, as the first event says them. */
  show({ streams, stream, window }) {
    const select = byId("stream");
    keepChildren(
      select,
      streams,
      (entry) => entry.stream,
      buildOption,
      () => {},
    );
    select.querySelector("option:not([value])")?.remove();
    select.value = stream;
    select.disabled = false;
    const own = streams.find((entry) => entry.stream === stream).windows;
    const shown = [...new Set([...own, ...USUAL, window])].sort(
      (one, other) => windowLength(one) - windowLength(other),
    );
    keepChildren(
      byId("windows"),
      shown,
      (text) => text,
      buildWindow,
      (node, text) => {
        node.firstChild.checked = text === window;
      },
    );
  }

  /** What is said of each stream beside its name. */
  showOverview(streams) {
    const options = [...byId("stream").options];
    streams.forEach((entry, index) => {
      const held = entry.constraint ? ` · ${entry.constraint} holds it up` : "";
      if (options[index]?.value === entry.stream) {
        tell(options[index], `${entry.stream} · ${count(entry.wip)} in progress${held}`);
      }
    });
  }

  /** The state of the connection, or of the numbers. */
  showConnection(state, at) {
    mark(byId("connection"), "data-state", state);
    const words = {
      connecting: "Connecting",
      live: `Live · ${at === null ? "" : timeWithSeconds(at)}`,
      stale: `Stale · ${at === null ? "" : timeWithSeconds(at)}`,
      paused: "Paused",
      lost: "Connection lost",
      refused: "Not connected",
    };
    tell(byId("connection-text"), words[state]);
  }
}

function buildOption(entry) {
  return element("option", { value: entry.stream, text: entry.stream });
}

function buildWindow(text) {
  const input = element("input", { type: "radio", name: "window", value: text, id: `window-${text}` });
  return element("label", {}, input, element("span", { text }));
}

function nextTheme() {
  const names = Object.keys(THEMES);
  const root = document.documentElement;
  const next = names[(names.indexOf(root.dataset.theme ?? "") + 1) % names.length];
  if (next) {
    root.dataset.theme = next;
    localStorage.setItem("streamgauge.theme", next);
  } else {
    delete root.dataset.theme;
    localStorage.removeItem("streamgauge.theme");
  }
  tellTheme();
}

function tellTheme() {
  tell(byId("theme"), `Theme: ${THEMES[document.documentElement.dataset.theme ?? ""]}`);
}
