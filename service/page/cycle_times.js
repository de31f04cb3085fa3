// The cycle-time scatter: each dot is a finished item, the lines are the window's percentiles.

import { shape } from "./dom.js";
import { axisTimes, duration, instant, plural } from "./format.js";
import { fillTable } from "./listing.js";
import { Plot, apart, nothing, panel, xAxis, yAxis } from "./plot.js";
import { durationTicks, scale, timeTicks } from "./scales.js";

const PERCENTILES = ["p50", "p85", "p95"];
const REACH = 24;

export class CycleTimes {
  #items = [];
  #times = null;
  #window = [0, 0];
  #isCut = false;
  #open;
  #plot;
  #panel = panel(
    "cycle-times",
    "Cycle time",
    "When items were finished, and how long that took from their commitment.",
  );

  /** `open(item)` is called when one is chosen. */
  constructor(open) {
    this.root = this.#panel.root;
    this.#open = open;
    this.#plot = new Plot(this.#panel.host, (size) => this.#draw(size));
    this.#panel.details.addEventListener("toggle", () => this.#fill());
  }

  /** `answers` are pages of finished items, `times` the window's cycle times, `window` its start and end in ms. */
  show(answers, times, window) {
    const inWindow = (item) => item.cycle_time !== null && Date.parse(item.since) >= window[0];
    const items = answers.flatMap((answer) => answer.items);
    this.#items = items.filter(inWindow).map((item) => ({ ...item, at: Date.parse(item.since) }));
    this.#isCut = answers.some((answer) => answer.next_cursor !== null && inWindow(answer.items.at(-1)));
    this.#times = times;
    const first = this.#items.reduce((least, item) => Math.min(least, item.at), window[1]);
    this.#window = this.#isCut ? [first, window[1]] : window;
    const all = "When items were finished, and how long that took from their commitment.";
    this.#panel.note.textContent = this.#isCut ? `${all} Dots: the latest ${items.length}; lines: all.` : all;
    this.#plot.refresh();
    this.#fill();
  }

  #draw(size) {
    const { width, height, unit } = size;
    if (!this.#items.length) {
      return nothing(size, "Nothing was finished in this window.");
    }
    const longest = Math.max(...this.#items.map((item) => item.cycle_time));
    const high = Math.max(1, Math.min(longest, 3 * (this.#times.p95 ?? longest)) * 1.06, (this.#times.p95 ?? 0) * 1.1);
    const frame = { left: 2.9 * unit, right: width - 5.6 * unit, top: 0.8 * unit, bottom: height - 1.6 * unit };
    const x = scale(this.#window, [frame.left, frame.right]);
    const y = scale([0, high], [frame.bottom, frame.top]);
    const places = this.#items.map((item) => ({
      item,
      x: Math.min(x(item.at), frame.right),
      y: y(Math.min(item.cycle_time, high)),
    }));
    const ticks = timeTicks(...this.#window, Math.max(2, Math.floor((frame.right - frame.left) / (4.2 * unit))));
    return {
      shapes: [
        ...yAxis(durationTicks(high, 5), y, duration, frame),
        ...xAxis(ticks, x, axisTimes(ticks), frame.bottom),
        ...places.map((place) => dot(place, high, frame)),
        ...this.#lines(y, frame, unit),
      ],
      label: this.#said(),
      near: (px, py) => this.#near(places, px, py),
    };
  }

  #lines(y, frame, unit) {
    const known = PERCENTILES.filter((name) => this.#times[name] !== null);
    const labels = apart(
      known.map((name) => y(this.#times[name])).reverse(),
      1.05 * unit,
      frame.top,
      frame.bottom,
    ).reverse();
    return known.flatMap((name, index) => {
      const place = Math.round(y(this.#times[name])) + 0.5;
      const text = `${name.slice(1)}% ${duration(this.#times[name])}`;
      return [
        shape("line", { class: `percentile ${name}`, x1: frame.left, x2: frame.right, y1: place, y2: place }),
        shape("text", { class: "label", x: frame.right + 6, y: labels[index], "dominant-baseline": "middle", text }),
      ];
    });
  }

  #near(places, px, py) {
    let found = null;
    let nearest = REACH ** 2;
    for (const place of places) {
      const distance = (place.x - px) ** 2 + (place.y - py) ** 2;
      if (distance < nearest) {
        nearest = distance;
        found = place;
      }
    }
    return found && { x: found.x, y: found.y, open: () => this.#open(found.item.item), lines: told(found.item) };
  }

  #said() {
    const known = PERCENTILES.filter((name) => this.#times[name] !== null);
    const shares = known.map((name) => `${name.slice(1)}% within ${duration(this.#times[name])}`);
    return `Cycle time of ${plural(this.#times.count, "item")} that were finished in the window: ${shares.join(", ")}.`;
  }

  #fill() {
    if (this.#panel.details.open) {
      fillTable(
        this.#panel.table,
        "Finished items, the latest first",
        ["Item", "Title", "Type", "Finished (UTC)", { number: "Cycle time" }],
        this.#items.map((item) => [
          { name: item.item, open: () => this.#open(item.item) },
          item.title ?? "",
          item.type,
          instant(item.at),
          { number: duration(item.cycle_time) },
        ]),
      );
    }
  }
}

function dot({ item, x, y }, high, frame) {
  if (item.cycle_time <= high) {
    return shape("circle", { class: "dot", cx: x, cy: y, r: 3.2 });
  }
  return shape("path", { class: "dot", d: `M${x - 4},${frame.top + 5}h8l-4,-7z` });
}

function told(item) {
  const title = item.title ? [item.title] : [];
  return [item.item, ...title, `${duration(item.cycle_time)}, finished ${instant(item.at)}`];
}
