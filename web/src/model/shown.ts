// What other people wrote, made fit to be shown: the rules of core/shown_text.py, for a page.
//
// A page obeys no escape sequences, but directions and invisible characters can make a name or a
// line read as another one. Each becomes a visible mark. Everything is shown through text nodes;
// nothing of others ever becomes markup, a style or an address.

// Control characters but line feed and tab, changes of direction, lone surrogates.
const OBEYED =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\p{Surrogate}/gu;
const LINE_ENDS = /\r\n|[\r\u0085\u2028\u2029]/g;

/** A text of several lines without anything that hides what it says. */
export function clean(text: string): string {
  return text.replace(LINE_ENDS, "\n").replace(OBEYED, "\ufffd").trim();
}

/** The same in one line: names, paths, sentences. */
export function oneLine(text: string): string {
  return clean(text).replace(/\s+/g, " ");
}

/** A path as it is, with what cannot be seen made visible. */
export function shownPath(path: string): string {
  return path.replace(/[\n\t]/g, "\ufffd").replace(OBEYED, "\ufffd");
}

/** One or two letters for a name's circle. */
export function initials(name: string): string {
  const words = oneLine(name)
    .split(/[\s._-]+/u)
    .filter(Boolean);
  const first = (word: string | undefined) => (word ? ([...word][0] ?? "") : "");
  return (
    (words.length > 1 ? first(words[0]) + first(words.at(-1)) : first(words[0])).toUpperCase() ||
    "?"
  );
}

const UNITS = ["B", "KB", "MB", "GB", "TB"];

/** A size for people, in powers of 1000. */
export function size(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** "1 file", "3 files". */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

/** Seconds for people: "12 s", "3 min", "2 h". */
export function span(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}
