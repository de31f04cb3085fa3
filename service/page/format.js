// Numbers, durations and instants as people read them. Durations come in seconds, instants in milliseconds, in UTC.

export const NOTHING = "–";

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;

const counts = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const days = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
const clockWithSeconds = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", timeZone: "UTC" });

export function count(value) {
  return value === null || value === undefined ? NOTHING : counts.format(value);
}

export function percent(value) {
  return value === null || value === undefined ? NOTHING : `${Math.round(value * 100)}%`;
}

/** At most two units, the second only where it matters. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) {
    return NOTHING;
  }
  if (seconds < 10) {
    return `${Math.round(seconds * 10) / 10}s`;
  }
  const whole = Math.round(seconds);
  if (whole < MINUTE) {
    return `${whole}s`;
  }
  if (whole < HOUR) {
    return twoUnits(whole, MINUTE, "m", 1, "s", 10);
  }
  const minutes = Math.round(seconds / MINUTE) * MINUTE;
  if (minutes < DAY) {
    return twoUnits(minutes, HOUR, "h", MINUTE, "m", 24);
  }
  return twoUnits(Math.round(seconds / HOUR) * HOUR, DAY, "d", HOUR, "h", 10);
}

function twoUnits(whole, large, largeName, small, smallName, until) {
  const first = Math.floor(whole / large);
  const rest = Math.floor((whole % large) / small);
  if (first >= until) {
    return `${Math.round(whole / large)}${largeName}`;
  }
  return rest ? `${first}${largeName} ${rest}${smallName}` : `${first}${largeName}`;
}

export function day(instant) {
  return days.format(instant);
}

export function time(instant) {
  return clock.format(instant);
}

export function timeWithSeconds(instant) {
  return clockWithSeconds.format(instant);
}

export function instant(at) {
  return `${day(at)} ${time(at)}`;
}

/** What stands at each of these instants on an axis: the clock's time, and the day where one begins. */
export function axisTimes(ticks) {
  const isFine = ticks.length > 1 && ticks[1] - ticks[0] < DAY * 1000;
  return (tick) => (isFine && tick % (DAY * 1000) ? time(tick) : day(tick));
}

const UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** A window's length in milliseconds, of a text such as `7d`. */
export function windowLength(text) {
  const found = /^(\d+)([smhdw])$/.exec(text);
  return found ? Number(found[1]) * UNITS[found[2]] : 0;
}

/** One of a thing, or many. */
export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** A name as it begins a sentence. */
export function capitalised(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
