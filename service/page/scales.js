// From values to places, and which values deserve a tick.

/** A scale from `domain` to `range`; `bend` 0.5 gives small values more room. */
export function scale([low, high], [from, to], bend = 1) {
  const size = high - low || 1;
  return (value) => from + Math.max(0, (value - low) / size) ** bend * (to - from);
}

/** Ticks from 0 to `highest` in steps of 1, 2 or 5, at most `most` of them. */
export function countTicks(highest, most) {
  let step = 1;
  for (let index = 0; highest / step > most; index += 1) {
    step *= index % 3 === 1 ? 2.5 : 2;
  }
  return multiples(step, 0, highest);
}

const DURATIONS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 259_200,
  432_000, 604_800, 1_209_600, 2_592_000, 5_184_000, 7_776_000, 15_552_000, 31_536_000,
];

/** Ticks in seconds from 0 to `highest`, in steps that clocks and calendars have. */
export function durationTicks(highest, most) {
  const step = DURATIONS.find((length) => highest / length <= most) ?? DURATIONS.at(-1);
  return multiples(step, 0, highest);
}

/** Ticks for a bent scale: each about three times the one before. */
export function bentDurationTicks(highest, most) {
  const steps = DURATIONS.filter((length) => length <= highest);
  const found = [];
  for (const length of steps.reverse()) {
    if (found.length < most && (found.length === 0 || length <= found.at(-1) / 2.4)) {
      found.push(length);
    }
  }
  return [0, ...found.reverse()];
}

/** Instants from `start` to `end` (ms), on round ones. */
export function timeTicks(start, end, most) {
  const step = (DURATIONS.find((length) => (end - start) / 1000 / length <= most) ?? DURATIONS.at(-1)) * 1000;
  return multiples(step, Math.ceil(start / step) * step, end);
}

function multiples(step, first, last) {
  const found = [];
  for (let value = first; value <= last + step / 1e6; value += step) {
    found.push(value);
  }
  return found;
}
