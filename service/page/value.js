// Items finished and business value delivered, step by step: when the one rises and the other does not, it shows here.

import { shape } from "./dom.js";
import { axisTimes, count, instant } from "./format.js";
import { fillTable } from "./listing.js";
import { Plot, nothing, panel, xAxis, yAxis } from "./plot.js";
import { countTicks, scale, timeTicks } from "./scales.js";

const ROWS = [
  ["throughput", "items finished", "bar items"],
  ["value_delivered", "value delivered", "bar value"],
];

export class Value {
  #steps = [];
  #plot;
  #panel = panel(
    "value",
    "Throughput and value",
    "More items are not more value: above, items finished; below, what they were worth.",
  );

  constructor() {
    this.root = this.#panel.root;
    this.#plot = new Plot(this.#panel.host, (size) => this.#draw(size));
    this.#panel.details.addEventListener("toggle", () => this.#fill());
  }

  /** `trend` as of the route of the measures. */
  show(trend) {
    this.#steps = trend.map((step) => ({ ...step, from: Date.parse(step.start), to: Date.parse(step.end) }));
    this.#plot.refresh();
    this.#fill();
  }

  #draw(size) {
    const { width, height, unit } = size;
    if (!this.#steps.some((step) => step.throughput || step.value_delivered)) {
      return nothing(size, "Nothing was finished in this window.");
    }
    const [start, end] = [this.#steps[0].from, this.#steps.at(-1).to];
    const frame = { left: 3.2 * unit, right: width - 1.4 * unit, top: 0.4 * unit, bottom: height - 1.6 * unit };
    const x = scale([start, end], [frame.left, frame.right]);
    const half = (frame.bottom - frame.top) / 2;
    const ticks = timeTicks(start, end, Math.max(2, Math.floor((frame.right - frame.left) / (4.2 * unit))));
    const rows = ROWS.map(([name, title, kind], index) => {
      const top = frame.top + index * half + 1.3 * unit;
      const bottom = frame.top + (index + 1) * half;
      return this.#row({ name, title, kind }, x, { ...frame, top, bottom }, unit);
    });
    return {
      shapes: [...rows.flat(), ...xAxis(ticks, x, axisTimes(ticks), frame.bottom)],
      label: this.#said(),
      near: (px) => this.#near(px, x, frame),
    };
  }

  #row({ name, title, kind }, x, frame, unit) {
    const values = this.#steps.map((step) => step[name]);
    const highest = Math.max(1, ...values);
    const y = scale([0, highest], [frame.bottom, frame.top]);
    const bars = this.#steps.map((step, index) => {
      const [left, right] = [x(step.from) + 0.5, x(step.to) - 0.5];
      const top = y(Math.max(0, values[index]));
      const width = Math.max(1, right - left);
      return shape("rect", { class: kind, x: left, y: top, width, height: frame.bottom - top });
    });
    const heading = shape("text", { class: "label", x: frame.left, y: frame.top - 0.45 * unit, text: title });
    return [...yAxis(countTicks(highest, 3), y, count, frame), ...bars, heading];
  }

  #near(px, x, frame) {
    const step = this.#steps.find((each) => px >= x(each.from) && px < x(each.to));
    if (!step) {
      return null;
    }
    const lines = ROWS.map(([name, title]) => `${count(step[name])} ${title}`);
    return { x: (x(step.from) + x(step.to)) / 2, y: frame.top + 6, lines: [`from ${instant(step.from)}`, ...lines] };
  }

  #sum(name) {
    return this.#steps.reduce((sum, step) => sum + step[name], 0);
  }

  #said() {
    const sums = ROWS.map(([name, title]) => `${count(this.#sum(name))} ${title}`);
    return `In the window: ${sums.join(", ")}; step by step in the table below.`;
  }

  #fill() {
    if (this.#panel.details.open) {
      fillTable(
        this.#panel.table,
        "Items finished and value delivered",
        ["From (UTC)", ...ROWS.map(([, title]) => ({ number: title }))],
        this.#steps.map((step) => [instant(step.from), ...ROWS.map(([name]) => ({ number: count(step[name]) }))]),
      );
    }
  }
}
