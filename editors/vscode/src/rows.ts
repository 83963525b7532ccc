// A text as rows, and edits of it. VS Code counts UTF-16 units, the protocol Unicode code points.
// Rows are never changed in place: whoever holds an array of them holds a text of the past.

/** A place in a text; `character` counts code points (protocol) or UTF-16 units (VS Code). */
export interface Position {
  line: number;
  character: number;
}

export interface Range {
  start: Position;
  end: Position;
}

/** One edit of the protocol. All ranges of a list are of the text before it, and don't overlap. */
export interface Edit {
  range: Range;
  replacement: string;
}

export type Rows = readonly string[];

const SURROGATE = /[\ud800-\udfff]/;
const HALF_PAIR = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

export function rowsOf(text: string): Rows {
  return text.split("\n");
}

export function textOf(rows: Rows): string {
  return rows.join("\n");
}

/** Text with LF line ends, as it is shared. */
export function withLineFeeds(text: string): string {
  return text.includes("\r") ? text.replace(/\r\n?/g, "\n") : text;
}

/** Half a surrogate pair is no character and cannot be shared. */
export function wellFormed(text: string): string {
  return SURROGATE.test(text) ? text.replace(HALF_PAIR, "\ufffd") : text;
}

/** How many code points the first `units` UTF-16 units of `row` are. */
export function codePoints(row: string, units: number): number {
  const end = Math.min(units, row.length);
  if (!SURROGATE.test(row)) {
    return end;
  }
  let count = 0;
  for (let at = 0; at < end; count++) {
    at += row.codePointAt(at)! > 0xffff ? 2 : 1;
  }
  return count;
}

/** Where code point number `count` of `row` starts, in UTF-16 units; its end if there are fewer. */
export function units(row: string, count: number): number {
  if (!SURROGATE.test(row)) {
    return Math.min(count, row.length);
  }
  let at = 0;
  for (; count > 0 && at < row.length; count--) {
    at += row.codePointAt(at)! > 0xffff ? 2 : 1;
  }
  return at;
}

/** A position of VS Code's as the protocol has it. */
export function toProtocol(rows: Rows, place: Position): Position {
  if (place.line >= rows.length) {
    return { line: rows.length - 1, character: codePoints(rows[rows.length - 1], Infinity) };
  }
  return { line: place.line, character: codePoints(rows[place.line], place.character) };
}

/** A position of the protocol's as VS Code has it; past the end it is the end. */
export function fromProtocol(rows: Rows, place: Position): Position {
  if (place.line >= rows.length) {
    return { line: rows.length - 1, character: rows[rows.length - 1].length };
  }
  return { line: place.line, character: units(rows[place.line], place.character) };
}

export function before(a: Position, b: Position): boolean {
  return a.line < b.line || (a.line === b.line && a.character < b.character);
}

/** Edits in order of their place; throws if they overlap. Those at one place keep their order. */
export function inOrder(edits: readonly Edit[]): Edit[] {
  const sorted = [...edits].sort((a, b) => {
    if (before(a.range.start, b.range.start)) return -1;
    if (before(b.range.start, a.range.start)) return 1;
    if (before(a.range.end, b.range.end)) return -1;
    return before(b.range.end, a.range.end) ? 1 : 0;
  });
  for (let i = 0; i < sorted.length; i++) {
    const { start, end } = sorted[i].range;
    if (before(end, start)) {
      throw new RangeError("an edit ends before it starts");
    }
    if (i > 0 && before(start, sorted[i - 1].range.end)) {
      throw new RangeError("edits overlap");
    }
  }
  return sorted;
}

/** The rows after edits that are in order, with positions in UTF-16 units. */
export function applied(rows: Rows, edits: readonly Edit[]): Rows {
  const result: string[] = [];
  let row = 0; // the first row that is not yet in `result`
  let head = ""; // what comes before what is left of it
  let cut = 0; // how much of it is used up
  for (const { range, replacement } of edits) {
    if (row < range.start.line) {
      result.push(head + rows[row].slice(cut));
      for (row++; row < range.start.line; row++) {
        result.push(rows[row]);
      }
      head = "";
      cut = 0;
    }
    const pieces = replacement.split("\n");
    pieces[0] = head + rows[row].slice(cut, range.start.character) + pieces[0];
    head = pieces.pop()!;
    for (const piece of pieces) {
      result.push(piece);
    }
    row = range.end.line;
    cut = range.end.character;
  }
  result.push(head + rows[row].slice(cut));
  for (row++; row < rows.length; row++) {
    result.push(rows[row]);
  }
  return result;
}

export function equal(a: Rows, b: Rows): boolean {
  return a === b || (a.length === b.length && a.every((row, i) => row === b[i]));
}

/** One edit (positions in UTF-16 units) that leads from `old` to `now`; null if they are equal. */
export function difference(old: Rows, now: Rows): Edit | null {
  let top = 0;
  const least = Math.min(old.length, now.length);
  while (top < least && old[top] === now[top]) top++;
  if (top === old.length && top === now.length) {
    return null;
  }
  let bottom = 0;
  while (bottom < least - top && old[old.length - 1 - bottom] === now[now.length - 1 - bottom]) bottom++;
  if (top + bottom === least) {
    // Whole rows come or go: take one row that stays along, for its line end.
    if (top > 0) top--;
    else bottom--;
  }
  const gone = old.slice(top, old.length - bottom);
  const come = now.slice(top, now.length - bottom);
  const first = gone[0];
  let head = 0;
  const most = Math.min(first.length, come[0].length);
  while (head < most && first[head] === come[0][head]) head++;
  if (head > 0 && isLow(first, head)) head--;
  const lastGone = gone[gone.length - 1];
  const lastCome = come[come.length - 1];
  const room = Math.min(
    lastGone.length - (gone.length === 1 ? head : 0),
    lastCome.length - (come.length === 1 ? head : 0),
  );
  let tail = 0;
  while (tail < room && lastGone[lastGone.length - 1 - tail] === lastCome[lastCome.length - 1 - tail]) tail++;
  if (tail > 0 && isLow(lastGone, lastGone.length - tail)) tail--;
  come[come.length - 1] = lastCome.slice(0, lastCome.length - tail);
  come[0] = come[0].slice(head);
  return {
    range: {
      start: { line: top, character: head },
      end: { line: top + gone.length - 1, character: lastGone.length - tail },
    },
    replacement: come.join("\n"),
  };
}

function isLow(row: string, at: number): boolean {
  const unit = row.charCodeAt(at);
  return unit >= 0xdc00 && unit <= 0xdfff;
}
