// What all charts share: a panel with its heading and the table behind it, a drawing that fits, and the tip.

import { byId, element, shape } from "./dom.js";

/** A section of the page with a chart and, folded up, the same as a table. */
export function panel(id, title, question) {
  const note = element("p", { class: "note", text: question });
  const host = element("div", { class: "plot" });
  const table = element("table");
  const details = element(
    "details",
    {},
    element("summary", { text: "As a table" }),
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}, as a table` }, table),
  );
  const heading = element("h2", { id: `${id}-title`, text: title });
  const root = element(
    "section",
    { class: "panel", id, "aria-labelledby": `${id}-title` },
    heading,
    note,
    host,
    details,
  );
  return { root, heading, note, host, table, details };
}

/**
 * A drawing as large as its place. `draw(size)` answers `{shapes, label, near}`; `near(x, y)` says what lies there, as
 * `{x, y, lines, open}`. Draws once a frame at most, and not at all while nobody can see it.
 */
export class Plot {
  #host;
  #draw;
  #svg = shape("svg", { role: "img" });
  #focus = shape("circle", { class: "focus", r: 5, visibility: "hidden" });
  #near = () => null;
  #isDue = false;

  constructor(host, draw) {
    this.#host = host;
    this.#draw = draw;
    host.append(this.#svg);
    new ResizeObserver(() => this.refresh()).observe(host);
    this.#svg.addEventListener("pointermove", (event) => this.#point(event));
    this.#svg.addEventListener("pointerleave", () => this.#point(null));
    this.#svg.addEventListener("click", (event) => this.#found(event)?.open?.());
  }

  refresh() {
    if (!this.#isDue) {
      this.#isDue = true;
      requestAnimationFrame(() => this.#paint());
    }
  }

  #paint() {
    this.#isDue = false;
    const { clientWidth: width, clientHeight: height } = this.#host;
    if (!width || !height) {
      return;
    }
    const unit = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
    const { shapes, label, near } = this.#draw({ width, height, unit });
    this.#near = near ?? (() => null);
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.#svg.setAttribute("aria-label", label);
    this.#svg.replaceChildren(...shapes, this.#focus);
  }

  #found(event) {
    const place = this.#svg.getBoundingClientRect();
    return this.#near(event.clientX - place.left, event.clientY - place.top);
  }

  #point(event) {
    const found = event && this.#found(event);
    this.#focus.setAttribute("visibility", found ? "visible" : "hidden");
    this.#svg.classList.toggle("opens", Boolean(found?.open));
    if (!found) {
      hideTip();
      return;
    }
    this.#focus.setAttribute("cx", found.x);
    this.#focus.setAttribute("cy", found.y);
    const place = this.#svg.getBoundingClientRect();
    showTip(found.lines, place.left + found.x, place.top + found.y);
  }
}

function showTip(lines, x, y) {
  const tip = byId("tip");
  tip.replaceChildren(...lines.map((line, index) => element(index ? "span" : "strong", { text: line })));
  tip.hidden = false;
  const { offsetWidth: width, offsetHeight: height } = tip;
  const left = x + 14 + width > innerWidth ? x - 14 - width : x + 14;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.min(Math.max(4, y - height / 2), innerHeight - height - 4)}px`;
}

function hideTip() {
  byId("tip").hidden = true;
}

/** Lines across the drawing with what they stand for at their left. */
export function yAxis(ticks, place, text, { left, right }) {
  return ticks.flatMap((tick) => {
    const y = Math.round(place(tick)) + 0.5;
    return [
      shape("line", { class: "grid", x1: left, x2: right, y1: y, y2: y }),
      shape("text", {
        class: "tick",
        x: left - 6,
        y,
        "text-anchor": "end",
        "dominant-baseline": "middle",
        text: text(tick),
      }),
    ];
  });
}

/** Of ticks whose places lie closer than `gap`, the larger ones. */
export function spaced(ticks, place, gap) {
  const found = [];
  for (const tick of [...ticks].reverse()) {
    if (!found.length || Math.abs(place(found.at(-1)) - place(tick)) >= gap) {
      found.push(tick);
    }
  }
  return found.reverse();
}

/** What stands below the drawing. */
export function xAxis(ticks, place, text, bottom) {
  return ticks.map((tick) =>
    shape("text", {
      class: "tick",
      x: place(tick),
      y: bottom + 6,
      "text-anchor": "middle",
      "dominant-baseline": "hanging",
      text: text(tick),
    }),
  );
}

/** Moves places apart so that there is `gap` between them, in their order. */
export function apart(places, gap, lowest, highest) {
  const found = [...places];
  for (let index = 1; index < found.length; index += 1) {
    found[index] = Math.max(found[index], found[index - 1] + gap);
  }
  let limit = highest;
  for (let index = found.length - 1; index >= 0; index -= 1) {
    found[index] = Math.max(lowest, Math.min(found[index], limit));
    limit = found[index] - gap;
  }
  return found;
}

/** Said where there is nothing to draw. */
export function nothing({ width, height }, text) {
  const words = shape("text", { class: "nothing", x: width / 2, y: height / 2, "text-anchor": "middle", text });
  return { shapes: [words], label: text };
}
